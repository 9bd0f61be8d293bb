"""Write the dashboards: `python -m deploy.grafana.source`."""

from __future__ import annotations

import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.grafana.source import content, gateway, overview, replay, sources, stage

FOLDER = Path(__file__).parents[1] / "dashboards"
MODULES = (overview, stage, sources, content, replay, gateway)


def rendered() -> dict[str, str]:
    """Return the JSON of each dashboard, by the name of its file."""
    encoder = JSONEncoder(sort_keys=True, indent=2)
    texts = {}
    for module in MODULES:
        made = module.build().build()
        # Alerts link to a panel by its number.
        for number, panel in enumerate(made.panels or [], start=1):
            panel.id_val = number
        texts[f"{module.__name__.rpartition('.')[2]}.json"] = encoder.encode(made) + "\n"
    return texts


if __name__ == "__main__":
    for name, text in rendered().items():
        (FOLDER / name).write_text(text)
    print(f"{len(MODULES)} dashboards written to {FOLDER}", file=sys.stderr)

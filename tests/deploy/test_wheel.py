"""The wheel that `pip install` makes holds everything that newsmill needs to run: code, weights, tables."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this project, built in an environment of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    (found,) = folder.glob("newsmill-*.whl")
    return found


def test_it_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"schemas", "workers", "newsmill"}


def test_it_holds_the_page_of_the_console(wheel: Path) -> None:
    static = ROOT / "newsmill" / "console" / "static"
    wanted = {str(path.relative_to(ROOT)) for path in static.iterdir()}
    assert len(wanted) > 5
    assert wanted <= set(zipfile.ZipFile(wheel).namelist())


def test_it_runs_from_there_alone(wheel: Path, tmp_path: Path) -> None:
    place = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(place)
    text = "Harbour reopens\n\nThe harbour of Port Alder reopened on Monday after a storm, the mayor said. " * 3
    document = json.dumps({"url": "https://alder.example/harbour", "text": text})
    # Unlike the repository's own folder, `place` comes first, and nothing else of newsmill is in reach.
    code = (
        f"import sys; sys.path[:] = [{str(place)!r}] + [p for p in sys.path if p != {str(ROOT)!r}]; "
        "sys.meta_path[:] = [f for f in sys.meta_path if 'editable' not in repr(f).lower()]; "
        "import newsmill, workers, schemas; "
        f"assert all(m.__file__.startswith({str(place)!r}) for m in (newsmill, workers, schemas)); "
        "from newsmill.cli import main; sys.argv = ['newsmill', 'run', '-']; main()"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=document.encode(),
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    (article,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert article["source"] == "alder.example"
    assert set(article["processing"]) == {"ingest", "dedup", "entities", "classify"}

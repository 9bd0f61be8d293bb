"""Whether this newsmill is compiled, and of which sources.

A wheel may hold modules that mypyc has compiled (`hatch_build.py`); Python takes them and not the sources beside them.
So a source that is changed afterwards would change nothing, and that must be said.
"""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

_ROOT: Final = Path(__file__).parent.parent
_NAME: Final = "compiled.json"


def describe(root: Path = _ROOT) -> str:
    """Return in a few words what the newsmill in the folder `root` is: pure Python, or what of it is compiled."""
    about = _about(root)
    return (
        f"compiled: {len(about['sources'])} modules, mypyc {about['mypyc']}" if about.get("sources") else "pure Python"
    )


def changed(root: Path = _ROOT) -> list[str]:
    """Return the compiled modules whose sources are not what they were compiled of, by name: here, or in the checkout
    that it was installed from, where that is still there."""
    sources = _about(root).get("sources", {})
    if not sources:
        return []
    places = [root, *_checkout()]
    return [name for name, digest in sorted(sources.items()) if any(_differs(place, name, digest) for place in places)]


def _about(root: Path) -> dict[str, Any]:
    try:
        about: dict[str, Any] = json.loads((root / "newsmill" / _NAME).read_bytes())
    except FileNotFoundError:
        return {}
    return about


def _checkout() -> list[Path]:
    """The folder that pip has installed newsmill from (PEP 610), none where it was a wheel."""
    try:
        origin = json.loads(distribution("newsmill").read_text("direct_url.json") or "{}")
    except PackageNotFoundError:
        return []
    folder = Path(unquote(urlsplit(origin["url"]).path)) if "dir_info" in origin else None
    return [folder] if folder is not None and (folder / "newsmill").is_dir() else []


def _differs(place: Path, module: str, digest: str) -> bool:
    try:
        source = place.joinpath(*module.split(".")).with_suffix(".py").read_bytes()
    except OSError:
        return True
    return hashlib.sha256(source).hexdigest() != digest

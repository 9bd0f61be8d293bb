"""Builds a wheel in which the modules that take the most of the CPU are compiled with mypyc, when it is asked for:

    HATCH_BUILD_HOOKS_ENABLE=true pip wheel --no-deps .

Never needed: without it the wheel is pure Python. Both give the same bytes (tests/deploy/test_compiled.py). The sources
stay in the wheel, beside what was made of them; `newsmill/compiled.json` says which they were.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

MODULES = (
    # All of ingest that plain text goes through: a fifth less CPU. Left out: `stage` and what else has classes of
    # workers.stage (their attributes are narrower than their base's, which mypyc does not take); `watched` and
    # `snapshot` (msgspec's classes, which mypyc can't make); `language`, `html` and `metadata`, which wait for C.
    *(f"workers.ingest.{name}" for name in (
        "characters", "dates", "decoding", "document", "draft", "furniture", "headline", "health", "identity",
        "labeller", "lines", "memory", "memorylog", "rawjson", "recurring", "redelivery", "refusal", "repeats",
        "teasers", "text", "urls", "wording",
    )),
    # The inner loops of entities: a tenth less where words are new to it. Left out: `tagger`, most of which is numpy's,
    # and which has a protocol that mypyc can't make; `stage`, as in ingest; the others, which gave 2 % together.
    *(f"workers.entities.{name}" for name in (
        "casing", "consistency", "features", "lexicon", "mentions", "resolve", "sentences", "tokens",
    )),
    # dedup and classify spend their time in numpy: compiled, they took 3 % less and as much as before.
)  # fmt: skip

GROUP = "newsmill"
"""Of the library that holds the code of all of them: `newsmill__mypyc`."""

NEEDED = (
    "a compiled newsmill needs a C compiler and the headers of Python: on Debian and Ubuntu `apt-get install gcc "
    "libc6-dev python3-dev`, on Fedora `dnf install gcc python3-devel`, on macOS `xcode-select --install`. Without "
    "them newsmill runs as pure Python, and does the same."
)

_SETUP = """
from mypyc.build import mypycify
from setuptools import setup

setup(name={group!r}, packages=[], ext_modules=mypycify(
    ["--config-file", "mypy.ini", *{sources!r}], opt_level="3", debug_level="0", group_name={group!r}
))
"""


class CompiledHook(BuildHookInterface[Any]):
    """Adds the compiled modules to a wheel. Raises RuntimeError where they can't be made."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile before the wheel is put together."""
        if version == "editable":
            raise RuntimeError("an editable install runs the sources as they are: it can't be compiled")
        self._folder = tempfile.mkdtemp(prefix="newsmill-compiled-")
        files = compile_modules(Path(self.root), Path(self._folder))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["force_include"].update({str(file): str(file.relative_to(self._folder)) for file in files})

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove what was made on the way."""
        shutil.rmtree(self._folder, ignore_errors=True)


def compile_modules(root: Path, folder: Path) -> list[Path]:
    """Compile `MODULES` of the checkout `root`; return the files for the wheel, each in `folder` where it belongs.

    Raises RuntimeError when there is no compiler, or it fails.
    """
    check_compiler()
    for package in ("schemas", "workers", "newsmill"):
        shutil.copytree(root / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "*.so", "*.pyd"))
    sources = [f"{module.replace('.', '/')}.py" for module in MODULES]
    (folder / "mypy.ini").write_text(_mypy_settings(root))
    (folder / "setup.py").write_text(_SETUP.format(group=GROUP, sources=sources))
    command = [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"mypyc has failed:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}\n{NEEDED}")
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    made = [folder / f"{GROUP}__mypyc{suffix}", *((folder / source).with_suffix(suffix) for source in sources)]
    about = folder / "newsmill" / "compiled.json"
    digests = {
        module: hashlib.sha256((root / source).read_bytes()).hexdigest()
        for module, source in zip(MODULES, sources, strict=True)
    }
    about.write_text(json.dumps({"mypyc": installed_version("mypy"), "sources": digests}, indent=1))
    return [*made, about]


def check_compiler() -> None:
    """Raise RuntimeError, which says what to install, where there is no C compiler or no header of Python."""
    if sys.platform == "win32":
        return  # setuptools looks for it where Visual Studio has put it
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    if shutil.which(compiler) is None:
        raise RuntimeError(f"there is no {compiler}: {NEEDED}")
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        raise RuntimeError(f"there is no Python.h: {NEEDED}")


def _mypy_settings(root: Path) -> str:
    """The settings of the project's own check of types, as far as they matter here."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    (untyped,) = project["tool"]["mypy"]["overrides"]
    return (
        "[mypy]\nstrict = True\nignore_missing_imports = True\n"
        f"[mypy-{','.join(untyped['module'])}]\nfollow_imports = skip\nignore_missing_imports = True\n"
    )

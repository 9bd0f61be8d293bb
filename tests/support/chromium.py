"""A real Chromium for tests: one that is installed, else Debian's package unpacked into the cache, no root needed."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

CACHE = Path.home() / ".cache" / "newsmill" / "chromium"

FONTS = ("fonts-inter", "fonts-sil-charis")
"""What the page asks for first; pictures for the documents are taken with it."""

_INSTALLED = ("chromium", "chromium-browser", "google-chrome")
_QUIET = (
    # Nothing but the page is to be asked for anything.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
    "--disable-gpu",
    "--font-render-hinting=none",
)


class NoChromium(Exception):
    """There is none here, and none can be had. The text says why."""


def find() -> Path:
    """Return the path of Chromium. Raises NoChromium."""
    for name in _INSTALLED:
        if found := shutil.which(name):
            return Path(found)
    unpacked = CACHE / "usr" / "lib" / "chromium" / "chromium"
    if not unpacked.exists():
        _unpack()
    return unpacked


def _unpack() -> None:
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise NoChromium(f"Chromium is not installed, and there is no {tool} to fetch Debian's package with")
    # What an installation would bring: Chromium, and those of its libraries that this machine has not.
    planned = _run("apt-get", "--simulate", "--no-install-recommends", "install", "chromium", *FONTS)
    names = [line.split()[1] for line in planned.splitlines() if line.startswith("Inst ")]
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE.parent) as folder:
        _run("apt-get", "download", "--quiet", *names, folder=folder)
        for package in sorted(Path(folder).glob("*.deb")):
            _run("dpkg-deb", "-x", str(package), f"{folder}/x")
        if not Path(folder, "x/usr/lib/chromium/chromium").exists():
            raise NoChromium(f"Debian's packages hold no Chromium: {', '.join(names) or 'none was named'}")
        with contextlib.suppress(OSError):  # another process was quicker
            Path(folder, "x").rename(CACHE)


def _run(*command: str, folder: str | None = None) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise NoChromium(f"Debian's package of Chromium can't be had: {done.stderr.strip()}")
    return done.stdout


@contextlib.contextmanager
def running() -> Iterator[Browser]:
    """Run a headless Chromium. Raises NoChromium."""
    program = find()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NEWSMILL_")}
    if program.is_relative_to(CACHE):
        # Its own libraries, and fonts beside those of the machine.
        libraries = [*CACHE.glob("usr/lib/*-linux-gnu"), *CACHE.glob("usr/lib/*-linux-gnu/pulseaudio")]
        environment |= {
            "LD_LIBRARY_PATH": ":".join(map(str, libraries)),
            "XDG_DATA_HOME": str(CACHE / "usr/share"),
        }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=list(_QUIET),
            # Chromium's sandbox does not run as root, and the only page it is shown is ours.
            chromium_sandbox=os.geteuid() != 0 and not program.is_relative_to(CACHE),
            env=environment,
        )
        try:
            yield browser
        finally:
            browser.close()

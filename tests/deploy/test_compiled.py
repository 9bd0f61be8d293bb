"""A wheel with compiled modules: the same bytes out, in all that the stages make; it says what it is."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "compiled"
SOURCES = ("schemas", "workers", "newsmill")


def _wheel() -> Path:
    """The wheel of these sources: built once, then kept until one of them changes."""
    digest = hashlib.sha256(f"{sys.version} {sysconfig.get_platform()}".encode())
    packages = (path for name in SOURCES for path in (ROOT / name).rglob("*.py"))
    for path in sorted([ROOT / "pyproject.toml", ROOT / "hatch_build.py", *packages]):
        digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    place = CACHE / digest.hexdigest()[:16]
    if not list(place.glob("*.whl")):
        shutil.rmtree(CACHE, ignore_errors=True)
        command = [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--wheel-dir",
            f"{place}.new",
            str(ROOT),
        ]
        environment = {**os.environ, "HATCH_BUILD_HOOKS_ENABLE": "true"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        Path(f"{place}.new").rename(place)
    (found,) = place.glob("newsmill-*.whl")
    return found


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the packages of a compiled wheel."""
    compiler = os.environ.get("CC", "cc").split()[0]
    if shutil.which(compiler) is None:
        reason = f"no C compiler ({compiler}): a compiled build can't be made"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(f"CI must test the compiled build: {reason}", pytrace=False)
        pytest.skip(reason)
    place = tmp_path_factory.mktemp("compiled")
    zipfile.ZipFile(_wheel()).extractall(place)
    return place


def _outputs(packages: Path, out: Path) -> list[str]:
    program = ROOT / "tests" / "support" / "both_builds.py"
    command = [sys.executable, "-P", str(program), str(packages), str(ROOT), str(out)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return out.read_text(encoding="ascii").splitlines()


def test_the_stages_make_the_same_of_everything(compiled: Path, tmp_path: Path) -> None:
    ours, theirs = _outputs(ROOT, tmp_path / "sources"), _outputs(compiled, tmp_path / "compiled")
    assert ours[0] == str(ROOT / "workers" / "ingest" / "text.py")
    assert theirs[0] == str(compiled / "workers" / "ingest" / "text") + sysconfig.get_config_var("EXT_SUFFIX")
    assert len(ours) > 4_000
    kinds = {kind: sum(line.startswith(f"{kind}(") for line in ours) for kind in ("Draft", "Emit", "Reject")}
    assert all(often > 100 for often in kinds.values()), kinds
    for number, (one, other) in enumerate(zip(ours[1:], theirs[1:], strict=True)):
        assert one == other, f"output {number}"


def _run(compiled: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # The editable install of these sources must be out of reach.
    code = (
        f"import sys; sys.path[:] = [{str(compiled)!r}] + [p for p in sys.path if p != {str(ROOT)!r}]; "
        f"from newsmill.cli import main; sys.argv = ['newsmill', *{arguments!r}]; main()"
    )
    command = [sys.executable, "-P", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=compiled)


def test_it_says_that_it_is_compiled(compiled: Path) -> None:
    done = _run(compiled, "--version")
    assert done.returncode == 0, done.stderr
    assert "compiled: " in done.stdout


def test_it_says_when_a_source_is_another(compiled: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(compiled, copy)
    with (copy / "workers" / "ingest" / "repeats.py").open("a") as source:
        source.write("# changed\n")
    done = _run(copy, "settings")
    assert done.returncode == 0
    assert "workers.ingest.repeats" in done.stderr
    assert "make compiled" in done.stderr


def test_without_a_compiler_make_says_what_to_install() -> None:
    environment = {**os.environ, "CC": "no-such-compiler"}
    command = ["make", "--no-print-directory", "compiled"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "there is no C compiler (no-such-compiler)" in done.stderr
    assert "apt-get install gcc" in done.stderr

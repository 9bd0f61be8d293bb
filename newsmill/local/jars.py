"""Fetches the jars of Apache Kafka from Maven Central, once, into a cache that concurrent callers share."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from importlib import resources
from pathlib import Path

from newsmill.local.errors import LocalKafkaError

_MAVEN_SECONDS = 900
_BROKER_JAR = "kafka_2.13-*.jar"


def pom() -> bytes:
    """Return the Maven project (pom.xml, UTF-8) that names the jars."""
    return resources.files("newsmill.local").joinpath("pom.xml").read_bytes()


def kafka_version() -> str:
    """Return the version of Apache Kafka that the pom names, such as `4.3.1`."""
    found = re.search(rb"<kafka.version>([^<]+)</kafka.version>", pom())
    if found is None:
        raise LocalKafkaError("newsmill/local/pom.xml names no kafka.version: the installation is damaged.")
    return found[1].decode()


def cache_dir() -> Path:
    """Return where jars are kept: newsmill/ under XDG_CACHE_HOME, else under ~/.cache (XDG Base Directory)."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "newsmill"


def check_jars(libs: Path) -> Path:
    """Return `libs`, which must hold a Kafka's jars (the libs/ of a downloaded Kafka, say); else LocalKafkaError."""
    if not any(libs.glob(_BROKER_JAR)):
        raise LocalKafkaError(f"{libs} does not hold the jars of Apache Kafka (no {_BROKER_JAR}).")
    return libs


def ensure_jars(cache: Path | None = None) -> Path:
    """Return the directory of the jars under `cache` (default: `cache_dir()`), fetching them if they aren't there.

    The directory is complete or absent: Maven fills a temporary one beside it, which is then renamed. Callers that
    come at the same time wait for the first. Its name carries the Kafka version and a hash of the pom, so a new
    pom never meets old jars.

    Raises LocalKafkaError when Maven is missing or fails (no network, say).
    """
    project = pom()
    root = cache or cache_dir()
    home = root / f"kafka-{kafka_version()}-{hashlib.sha256(project).hexdigest()[:12]}"
    libs = home / "libs"
    if libs.is_dir():
        return libs
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not libs.is_dir():
            with tempfile.TemporaryDirectory(prefix="fetch-", dir=home) as scratch:
                _fetch(project, Path(scratch)).rename(libs)
    return libs


def _fetch(project: bytes, scratch: Path) -> Path:
    maven = shutil.which("mvn")
    if maven is None:
        raise LocalKafkaError(
            "A local Kafka fetches Apache Kafka's jars with Maven, and there is no `mvn` on PATH. "
            "Install Maven (Debian and Ubuntu: maven), or use an existing Kafka."
        )
    (scratch / "pom.xml").write_bytes(project)
    libs = scratch / "libs"
    command = [
        *(maven, "--batch-mode", "--no-transfer-progress", "-Dstyle.color=never", "-f", str(scratch / "pom.xml")),
        *("dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={libs}"),
    ]
    try:
        done = subprocess.run(
            command, cwd=scratch, capture_output=True, text=True, errors="replace", timeout=_MAVEN_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise LocalKafkaError(
            f"Maven did not fetch Apache Kafka's jars within {_MAVEN_SECONDS} seconds. Check the network and try again."
        ) from error
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-20:])
        raise LocalKafkaError(
            "Maven could not fetch Apache Kafka's jars. Is Maven Central (or the mirror in ~/.m2/settings.xml) within "
            f"reach? Maven's last lines:\n{said}"
        )
    return check_jars(libs)

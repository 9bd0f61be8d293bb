from __future__ import annotations

import threading
from pathlib import Path

import pytest

from newsmill.local import LocalKafka, LocalKafkaError
from newsmill.local.jars import cache_dir, check_jars, ensure_jars, kafka_version, pom
from newsmill.local.java import find_java, java_major


def program(directory: Path, name: str, script: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def bin_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that is all of PATH. The programs in it may use /bin/sh and what they name in full."""
    path = tmp_path / "bin"
    path.mkdir()
    monkeypatch.setenv("PATH", str(path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return path


@pytest.mark.parametrize(
    ("text", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime Environment (build 17.0.15+6)', 17),
        ('openjdk version "25" 2025-09-16', 25),
        ('java version "1.8.0_292"', 8),
        ('openjdk version "21-ea" 2023-09-19', 21),
        ("The operation couldn't be completed. Unable to locate a Java Runtime.", None),
        ("", None),
    ],
)
def test_java_versions_are_read(text: str, major: int | None) -> None:
    assert java_major(text) == major


def test_no_java(bin_dir: Path) -> None:
    with pytest.raises(LocalKafkaError, match=r"none on PATH.*Install a Java runtime of version 17"):
        find_java()


def test_java_home_comes_before_path(bin_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(bin_dir, "java", "echo 'openjdk version \"21.0.1\"' >&2")
    at_home = program(tmp_path / "jdk" / "bin", "java", "echo 'openjdk version \"17.0.1\"' >&2")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    assert find_java() == str(at_home)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "empty"))
    with pytest.raises(LocalKafkaError, match="JAVA_HOME"):
        find_java()


def test_an_old_java_stops_the_start_before_anything_is_written(bin_dir: Path, tmp_path: Path) -> None:
    program(bin_dir, "java", "echo 'openjdk version \"11.0.2\" 2019-01-15' >&2")
    with pytest.raises(LocalKafkaError, match="is Java 11, and Apache Kafka 4 needs 17 or later"):
        LocalKafka(tmp_path / "data").start()
    assert not (tmp_path / "data").exists()


def test_a_java_that_fails(bin_dir: Path) -> None:
    program(bin_dir, "java", "echo 'no runtime installed' >&2; exit 1")
    with pytest.raises(LocalKafkaError, match="no runtime installed"):
        find_java()


def test_no_maven(bin_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(LocalKafkaError, match=r"no `mvn` on PATH.*Install Maven"):
        ensure_jars(tmp_path / "cache")


def test_a_failing_maven_is_quoted_and_leaves_nothing_half_made(bin_dir: Path, tmp_path: Path) -> None:
    program(bin_dir, "mvn", "echo '[ERROR] Could not transfer artifact'; exit 1")
    with pytest.raises(LocalKafkaError, match="Could not transfer artifact"):
        ensure_jars(tmp_path / "cache")
    assert list((tmp_path / "cache").glob("*/*")) == list((tmp_path / "cache").glob("*/lock"))


def test_a_maven_that_fetches_something_else_is_refused(bin_dir: Path, tmp_path: Path) -> None:
    program(bin_dir, "mvn", 'for a; do case "$a" in -DoutputDirectory=*) /bin/mkdir -p "${a#*=}";; esac; done')
    with pytest.raises(LocalKafkaError, match="does not hold the jars"):
        ensure_jars(tmp_path / "cache")


def test_concurrent_callers_fetch_once(bin_dir: Path, tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    program(
        bin_dir,
        "mvn",
        f"echo call >> {calls}; /bin/sleep 0.2\n"
        'for a; do case "$a" in -DoutputDirectory=*) out="${a#*=}";; esac; done\n'
        '/bin/mkdir -p "$out"; : > "$out/kafka_2.13-9.9.jar"',
    )
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(ensure_jars(tmp_path / "cache"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert calls.read_text().splitlines() == ["call"]
    assert check_jars(found[0]) == found[0]


def test_the_cache_is_named_after_the_version(bin_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kafka_version().startswith("4.")
    assert f"<kafka.version>{kafka_version()}<".encode() in pom()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir() == tmp_path / "newsmill"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_dir() == Path.home() / ".cache" / "newsmill"

"""Finds a Java that runs Apache Kafka 4: Java 17 or later."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

from newsmill.local.errors import LocalKafkaError

MIN_JAVA = 17
"""Oldest Java that runs the broker of Apache Kafka 4 (KIP-1013)."""

_VERSION = re.compile(r'version "(\d+)(?:\.(\d+))?')


def java_major(version_text: str) -> int | None:
    """Return the major version in what `java -version` prints, or None when there is none.

    >>> java_major('openjdk version "17.0.15" 2025-04-15')
    17
    >>> java_major('java version "1.8.0_292"')
    8
    """
    found = _VERSION.search(version_text)
    if found is None:
        return None
    major = int(found[1])
    # Up to Java 8 the version began with "1." (JEP 223).
    return int(found[2]) if major == 1 and found[2] else major


def find_java() -> str:
    """Return the path of a `java` of at least `MIN_JAVA`: that of JAVA_HOME if it is set, else the first on PATH.

    Raises LocalKafkaError when there is none, it is too old, or it does not run.
    """
    home = os.environ.get("JAVA_HOME")
    java = shutil.which(os.path.join(home, "bin", "java")) if home else shutil.which("java")
    hint = f"Install a Java runtime of version {MIN_JAVA} or later (Debian and Ubuntu: openjdk-17-jre-headless)"
    if java is None:
        where = f"under JAVA_HOME ({home})" if home else "on PATH"
        raise LocalKafkaError(f"A local Kafka needs Java, and there is none {where}. {hint}, or use an existing Kafka.")
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LocalKafkaError(f"{java} does not run ({error}). {hint}.") from error
    text = answer.stderr + answer.stdout
    major = java_major(text)
    if answer.returncode != 0 or major is None:
        raise LocalKafkaError(f"{java} -version does not say a version. It says: {text.strip()[:300]!r}. {hint}.")
    if major < MIN_JAVA:
        raise LocalKafkaError(f"{java} is Java {major}, and Apache Kafka 4 needs {MIN_JAVA} or later. {hint}.")
    return java

"""Fuzz what reads bytes from outside, guided by coverage (libFuzzer, through Atheris).

    python -m tests.fuzz TARGET [--runs N] [--seconds S] [--corpus DIR] [--artifacts DIR]

A finding is an exception that is no refusal, one input that takes 10 seconds, or more than 2 GB of memory; then the
exit status is not 0, and the input is in a file in `--artifacts`, which the last lines name. `--corpus` keeps inputs
that reached new code, to go on from. The same number of runs tries the same inputs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import atheris

from tests.fuzz.targets import TARGETS

INSTRUMENTED = ["newsmill", "workers", "schemas"]
LONGEST = 4_096


def main() -> None:
    """Run until a finding, `--runs` inputs or `--seconds`, whichever comes first; libFuzzer ends the process."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--runs", type=int, default=-1, help="inputs to try; -1: no end")
    parser.add_argument("--seconds", type=int, default=0, help="time to take; 0: no end")
    parser.add_argument("--corpus", type=Path, help="directory of inputs, kept")
    parser.add_argument("--artifacts", type=Path, default=Path("out/fuzz"), help="directory for findings")
    arguments = parser.parse_args()
    arguments.artifacts.mkdir(parents=True, exist_ok=True)
    with atheris.instrument_imports(include=INSTRUMENTED):
        check = atheris.instrument_func(TARGETS[arguments.target].make())
    with tempfile.TemporaryDirectory() as scratch:
        corpus = arguments.corpus or Path(scratch)
        corpus.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(TARGETS[arguments.target].seeds()):
            (corpus / f"seed-{number:03}").write_bytes(seed[: 8 * LONGEST])
        limits = ["-seed=1", f"-max_len={LONGEST}", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"]
        limits.append(f"-artifact_prefix={arguments.artifacts}/")
        bounds = [f"-runs={arguments.runs}", f"-max_total_time={arguments.seconds}"]
        atheris.Setup([sys.argv[0], *limits, *bounds, str(corpus)], check)
        atheris.Fuzz()


if __name__ == "__main__":
    main()

"""Simulate dedup spread over many partitions by several minhash keys of each article: recall, and what it costs.

    python -m benchmarks.dedup_routing

An article is sent to the partitions of its r routing keys (the r smallest hashes of its word triples, each taken over
one of r disjoint parts of the hash space). Two copies meet when they share a routing key. With Jaccard similarity s of
the triples, one key is shared with probability s (Broder, 1997), so r keys meet with probability 1 - (1 - s)**r. The
simulation draws sets of triples and checks that, for trimmed copies and rewritten ones; the cost follows from r.
"""

from __future__ import annotations

import argparse

import numpy as np

SHAPES = (
    ("light copy: 95 % kept, 5 % added", 0.95, 0.05),
    ("medium copy: 60 % kept, 10 % added", 0.6, 0.1),
    ("heavy copy: 30 % kept, 20 % added", 0.3, 0.2),
    ("round-up: 80 % kept, 200 % added", 0.8, 2.0),
)
TRIPLES = 290
POSTING_BYTES = 24
"""A key, the id that it leads to, and their share of an index."""


def recall(kept: float, added: float, keys: int, trials: int, draw: np.random.Generator) -> float:
    """Return the share of copies that share one of `keys` routing keys with their original, of `trials`."""
    met = 0
    common, own, extra = int(TRIPLES * kept), TRIPLES - int(TRIPLES * kept), int(TRIPLES * added)
    for _ in range(trials):
        shared = draw.integers(0, 2**32, (common, 2))
        left, right = draw.integers(0, 2**32, (own, 2)), draw.integers(0, 2**32, (extra, 2))
        original, copy = np.concatenate([shared, left]), np.concatenate([shared, right])
        met += bool(_keys(original, keys) & _keys(copy, keys))
    return met / trials


def _keys(hashes: np.ndarray, keys: int) -> set[tuple[int, int]]:
    """The routing keys of a text: in each of `keys` parts of the hash space (by the first hash) the least second."""
    part = hashes[:, 0] % keys
    return {(n, int(hashes[part == n, 1].min())) for n in range(keys) if (part == n).any()}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2_000)
    parser.add_argument("--rate", type=float, default=3_000.0, help="articles a second and core, measured")
    parser.add_argument("--bytes", type=float, default=1_300.0, help="resident bytes an article, measured")
    options = parser.parse_args()
    counts = (1, 2, 4, 8, 16)
    draw = np.random.default_rng(1)
    print(f"{'meets with r keys':<40}" + "".join(f"{count:>8}" for count in counts))
    for name, kept, added in SHAPES:
        found = (recall(kept, added, count, options.trials, draw) for count in counts)
        print(f"{name:<40}" + "".join(f"{share:>8.3f}" for share in found))
    for day in (1e7, 1e9):
        print(f"\n{day:.0e} articles a day, window of 7 days: cores, messages a second, state (GB) when articles are")
        print(f"{'':>8}{'cores':>10}{'messages/s':>14}{'copied to each key':>22}{'kept once, keys apart':>24}")
        for count in counts:
            each_second = day / 86_400
            cores = each_second * count / options.rate
            kept = day * 7 * options.bytes / 1e9
            apart = day * 7 * (options.bytes + count * POSTING_BYTES) / 1e9
            print(f"  r = {count:<4}{cores:>8,.2f}{each_second * count:>14,.0f}{kept * count:>22,.0f}{apart:>24,.0f}")


if __name__ == "__main__":
    main()

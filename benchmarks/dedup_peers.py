"""Other ways to find copies, on the same streams: datasketch and rensa, MinHash with LSH, verified and not.

They get what dedup gets (headline and text, in the order of arrival). Recrawls and revisions are told by URL and text
hash, which is not what is compared here. `pip install datasketch rensa` for this benchmark; newsmill needs neither.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import Any

Document = dict[str, Any]
Method = Callable[[Sequence[Document]], tuple[list[Document], float]]

PERMUTATIONS = 128


def methods() -> list[tuple[str, Method]]:
    """Return (name, method) for each peer and setting."""
    found: list[tuple[str, Method]] = []
    for words, threshold, verify in (
        (3, 0.2, "none"),
        (3, 0.2, "jaccard"),
        (3, 0.2, "containment"),
        (5, 0.2, "containment"),
        (5, 0.5, "none"),
        (5, 0.5, "jaccard"),
    ):
        name = f"{words} words, {threshold}, verified: {verify}"
        found.append((f"datasketch {name}", _method(_datasketch(threshold), words, threshold, verify)))
        found.append((f"rensa {name}", _method(_rensa(threshold), words, threshold, verify)))
    return found


def _method(index: Callable[[], Any], words: int, threshold: float, verify: str) -> Method:
    def decide(documents: Sequence[Document]) -> tuple[list[Document], float]:
        start = time.process_time()
        lookup, known = index(), {}
        seen: dict[str, str] = {}
        decisions = []
        for number, row in enumerate(documents):
            url, text = row["url"], f"{row['title']}\n\n{row['text']}"
            if url in seen:
                kind = "recrawl" if seen[url] == text else "revision"
                seen[url] = text
                decisions.append({"url": url, "duplicate_of": None, "kind": kind})
                continue
            seen[url] = text
            shingles = _shingles(text, words)
            best, best_share = None, -1.0
            for other in lookup.query_then_add(number, shingles):
                share = _share(shingles, known[other][1], verify)
                if (verify == "none" or share >= threshold) and share > best_share:
                    best, best_share = known[other][0], share
            known[number] = (url, shingles)
            decisions.append({"url": url, "duplicate_of": best, "kind": "near" if best else "unique"})
        return decisions, time.process_time() - start

    return decide


def _shingles(text: str, size: int) -> frozenset[str]:
    words = re.findall(r"\w+", text.lower())
    return frozenset(" ".join(words[at : at + size]) for at in range(max(1, len(words) - size + 1)))


def _share(left: frozenset[str], right: frozenset[str], verify: str) -> float:
    common = len(left & right)
    if verify == "containment":
        return common / max(1, min(len(left), len(right)))
    return common / max(1, len(left | right))


def _datasketch(threshold: float) -> Callable[[], Any]:
    from datasketch import MinHash, MinHashLSH

    class Lookup:
        def __init__(self) -> None:
            self._lsh = MinHashLSH(threshold=threshold, num_perm=PERMUTATIONS)

        def query_then_add(self, number: int, shingles: frozenset[str]) -> list[int]:
            made = MinHash(num_perm=PERMUTATIONS)
            made.update_batch([shingle.encode("utf-8") for shingle in shingles])
            found = sorted(self._lsh.query(made))
            self._lsh.insert(number, made)
            return found

    return Lookup


def _rensa(threshold: float) -> Callable[[], Any]:
    from rensa import RMinHash, RMinHashLSH

    # Bands so that the S-curve's middle, (1 / bands) ** (bands / permutations), is near the threshold.
    bands = min(
        (b for b in range(2, PERMUTATIONS + 1) if PERMUTATIONS % b == 0),
        key=lambda b: abs((1 / b) ** (b / PERMUTATIONS) - threshold),
    )

    class Lookup:
        def __init__(self) -> None:
            self._lsh = RMinHashLSH(threshold=threshold, num_perm=PERMUTATIONS, num_bands=bands)

        def query_then_add(self, number: int, shingles: frozenset[str]) -> list[int]:
            made = RMinHash(num_perm=PERMUTATIONS, seed=42)
            made.update(sorted(shingles))
            found = sorted(self._lsh.query(made))
            self._lsh.insert(number, made)
            return found

    return Lookup

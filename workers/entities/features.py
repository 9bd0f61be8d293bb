"""What the tagger sees of a token: attributes of the token's own form, of its place in the document, and of pairs.

The weights are linear in these attributes, so that the score of a token is the sum of what its neighbours contribute:

- *unary* attributes depend on one token alone; each has a weight for each distance (-2 to 2) at which it is seen.
- *pair* attributes depend on a token and the one before it or after it.

That is what makes tagging fast: the unary part is computed once for each distinct token and then looked up.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import repeat
from typing import Final, NamedTuple

from workers.entities.casing import NORMAL, TITLE
from workers.entities.gazetteer import word_classes, words_of
from workers.entities.lexicon import cluster_attributes, cluster_of, lists_of
from workers.entities.sentences import Sentence

DISTANCES: Final = (-2, -1, 0, 1, 2)

MAX_CACHED_SHAPES: Final = 50_000
"""Distinct tokens whose shape is kept."""

EDGE: Final = ""
"""Text of the two tokens that stand before and after each sentence."""

_RUNS = re.compile(r"(.)\1+")


Key = tuple[str, str, str, str]
"""All that the unary attributes of a token depend on; equal keys have equal attributes. Its text; the case of its
sentence; its mark, where it is part of a known name, else empty; what the rest of the document says of the form (see
`_document_clues`), else empty. A plain tuple: there is one for each token, and nothing else is as quick."""


@lru_cache(maxsize=MAX_CACHED_SHAPES)
def shape(text: str) -> str:
    """Return the shape of a token, runs of equal kinds shortened: `McCain` -> `XxXx`, `U.S.` -> `X.X.`."""
    kinds = []
    for char in text[:20]:
        if char.isalpha():
            kinds.append("x" if char.islower() else "X")
        elif char.isdigit():
            kinds.append("d")
        else:
            kinds.append("'" if char == "’" else char)
    return _RUNS.sub(r"\1", "".join(kinds))


def _document_clues(sentences: Sequence[Sentence]) -> dict[str, str]:
    """Return what a document says of each form that it writes with a capital, in any of its sentences in prose case:

    `l` also without a capital, `m` with a capital in mid-sentence, `t` after a title or a role, `f` after a first
    name, `w` after "in", "at" or "from", `s` next to a verb of saying, `o` before a word that ends organisations.
    """
    titles, firsts, where = words_of("title"), words_of("first"), words_of("where")
    speech, ends = words_of("speech"), words_of("orgword")
    clues: dict[str, set[str]] = {}
    small: set[str] = set()
    for words, _, case, _ in sentences:
        if case != NORMAL:
            continue
        last = len(words) - 1
        before = ""
        for at, word in enumerate(words):
            first = word[0]
            if first.islower():
                small.add(word)
            elif first.isupper():
                found = clues.get(word)
                if found is None:
                    found = clues[word] = set()
                if before:
                    if before not in ".\"“‘'?!:" and before != "...":
                        found.add("m")
                    low = before.lower()
                    if low in titles:
                        found.add("t")
                    elif low in firsts:
                        found.add("f")
                    elif low in where:
                        found.add("w")
                    elif low in speech:
                        found.add("s")
                if at < last:
                    after = words[at + 1]
                    if after in speech:
                        found.add("s")
                    elif after[0].isupper() and after.lower() in ends:
                        found.add("o")
            before = word
    return {word: "".join(sorted(found | {"l"} if word.lower() in small else found)) for word, found in clues.items()}


def document_keys(sentences: Sequence[Sentence]) -> list[list[Key]]:
    """Return the keys of a document's words, sentence by sentence. No sentence may be empty."""
    clues = _document_clues(sentences)
    nothing = repeat("")
    keys: list[list[Key]] = []
    for words, _, case, marks in sentences:
        # A headline has nothing to say of its own capitals, so it borrows the clues of the body.
        forms = words if case in (NORMAL, TITLE) else [word.capitalize() for word in words]
        keys.append(list(zip(words, repeat(case), marks, map(clues.get, forms, nothing))))
    return keys


class Unary(NamedTuple):
    """The unary attributes of one token, by the distance up to which they are seen."""

    wide: list[str]
    """Seen by the token and by the two on either side."""
    near: list[str]
    """Seen by the token and by the one on either side."""
    own: list[str]
    """Seen by the token alone."""

    def every(self) -> list[str]:
        """Return all of them."""
        return self.wide + self.near + self.own

    def at(self, distance: int) -> list[str]:
        """Return the attributes that a token sees of this one, which stands at `distance` from it."""
        if distance == 0:
            return self.every()
        return self.wide + self.near if abs(distance) == 1 else self.wide


def unary(key: Key) -> Unary:
    """Return the unary attributes of the token that `key` describes."""
    text, case, known, seen = key
    if text == EDGE:
        return Unary(["edge"], [], [])
    low = text.lower().replace("’", "'")
    capital = "c" if text[0].isupper() else "-"
    wide = ["w=" + low, f"s={case}{shape(text)}"]
    wide += [f"k={name}{capital}" for name in word_classes().get(low, ())]
    if known:
        wide.append("g=" + known)
    near = ["z=" + low[-3:], "p=" + low[:3], *("d=" + clue for clue in seen)]
    path, lists = cluster_of(text, case), lists_of(low)
    if path:
        shallow, *deeper = cluster_attributes(path)
        near.append(shallow)
        wide += deeper
    if lists:
        near += [f"i={lists}{capital}", *(f"i={letter}{capital}" for letter in lists if len(lists) > 1)]
    own = [
        "1=" + low[:1],
        "2=" + low[:2],
        "4=" + low[:4],
        "-1=" + low[-1:],
        "-2=" + low[-2:],
        "-4=" + low[-4:],
        f"n={min(len(text), 10)}",
        f"e={case}{text}",
    ]
    if path or lists:
        own += [f"j={case}{path & 63} {shape(text)}", f"l={lists}{path & 63}"]
    if seen:
        own.append("D=" + seen)
        if known:
            own.append(f"D={known}{seen}")
    return Unary(wide, near, own)


def pair_parts(key: Key) -> tuple[str, str, str]:
    """Return what pair attributes are made of: the lower-cased word, its shape, and the first eight steps of the path
    of its cluster."""
    text, case, _, _ = key
    if text == EDGE:
        return EDGE, EDGE, EDGE
    return text.lower(), shape(text), str(cluster_of(text, case) & 255)


def pairs(keys: Sequence[Key]) -> list[tuple[str, str, str, str, str]]:
    """Return, for each token, its five pair attributes: of the words before and here (`<`), here and after (`>`), of
    the shapes of all three (`^`), and of the clusters before and here (`^<`), here and after (`^>`)."""
    out = []
    parts = [pair_parts(key) for key in keys]
    texts, forms, groups = ([part[number] for part in parts] for number in range(3))
    last = len(keys) - 1
    for at in range(len(keys)):
        before, after = (texts[at - 1] if at else EDGE), (texts[at + 1] if at < last else EDGE)
        left, right = (forms[at - 1] if at else EDGE), (forms[at + 1] if at < last else EDGE)
        group_before, group_after = (groups[at - 1] if at else EDGE), (groups[at + 1] if at < last else EDGE)
        out.append(
            (
                f"<{before} {texts[at]}",
                f">{texts[at]} {after}",
                f"^{left} {forms[at]} {right}",
                f"^<{group_before} {groups[at]}",
                f"^>{groups[at]} {group_after}",
            )
        )
    return out

"""Which lines of a page are its article: a linear chain over lines, with weights in whole numbers.

A conditional random field with two labels (Lafferty, McCallum and Pereira 2001), decoded by Viterbi. Sums are of whole
numbers, so the same lines give the same answer on every machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from workers.ingest.lines import FORMAT, SIZE

SCALE: Final = 256
"""A trained weight times this, rounded, is the whole number that is kept."""

NAME: Final = "lines.weights"

_SURE: Final = 8 * SCALE


class WeightsError(ValueError):
    """The text is no weights for these features."""


@dataclass(frozen=True, slots=True)
class Weights:
    """For each feature how much it speaks for the article, [SIZE]; `enter` and `leave` are what a change of label
    costs, `digest` is the SHA-256 of the file, hex."""

    unary: tuple[int, ...]
    enter: int
    leave: int
    bias: int
    digest: str


def load(text: str | None = None) -> Weights:
    """Return the weights in `text` (default: the package's own). Raises WeightsError.

    A header line (format, number of features, enter, leave, bias), then `feature weight` for each weight that is not 0.
    """
    if text is None:
        text = files("workers.ingest").joinpath(NAME).read_text(encoding="ascii")
    rows = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    unary = [0] * SIZE
    try:
        (version, size, enter, leave, bias), *pairs = rows
        if version != FORMAT or int(size) != SIZE:
            raise WeightsError(f"weights of format {version} with {size} features; format {FORMAT} has {SIZE}")
        for feature, weight in pairs:
            unary[int(feature)] = int(weight)
        numbers = int(enter), int(leave), int(bias)
    except (ValueError, IndexError) as error:
        raise error if isinstance(error, WeightsError) else WeightsError(str(error)) from error
    return Weights(tuple(unary), *numbers, hashlib.sha256(text.encode()).hexdigest())


def dump(weights: Weights) -> str:
    """Return the weights as text that `load` reads."""
    rows = [f"{FORMAT} {SIZE} {weights.enter} {weights.leave} {weights.bias}"]
    rows += [f"{feature} {weight}" for feature, weight in enumerate(weights.unary) if weight]
    return "\n".join(rows) + "\n"


def scores(weights: Weights, rows: Sequence[Sequence[int]]) -> list[int]:
    """Return for each line how much its own features speak for the article; below 0 they speak against it. A line
    without features is surely the article."""
    unary = weights.unary
    return [sum(map(unary.__getitem__, row)) if row else _SURE for row in rows]


def label(weights: Weights, scored: Sequence[int]) -> list[bool]:
    """Return for each line whether it is the article: the labels with the highest sum; of equals, outside. `scored` are
    the `scores` of the lines."""
    enter, leave, bias = weights.enter, weights.leave, weights.bias
    outside = inside = 0
    back: list[tuple[bool, bool]] = []
    for number, own in enumerate(scored):
        if number == 0:
            inside = own
            back.append((False, False))
            continue
        # The bias is what going on inside gives.
        left, entered = inside + leave, outside + enter
        from_inside, stays = left > outside, inside >= entered
        outside, inside = (left if from_inside else outside), (inside if stays else entered) + own + bias
        back.append((from_inside, stays))
    answer = [False] * len(scored)
    at_inside = inside > outside
    for number in range(len(scored) - 1, -1, -1):
        answer[number] = at_inside
        at_inside = back[number][1] if at_inside else back[number][0]
    return answer

"""Calibration: how the numbers about an article's windows become one logit a subject, and from where it counts.

calibration.json holds integers and ids only:

- `subjects`: the ids, to match it with the weights; `parents`: the id above each, empty for level 1;
- `coefficients`, `second`: one for each number, in 1/256, for level 1 and for level 2;
- `bias`: one a subject, in 1/256 of a logit; `threshold`: one a subject, thousandths of probability;
- `ceiling`: thousandths, by which the probability of level 1 is multiplied: how often readers agree on a label.

A subject of level 2 has a logit given that its parent is right; its probability is the product of the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

NUMBERS: Final = ("headline", "lead", "mean", "strongest", "meaning lead", "meaning mean", "meaning strongest")
"""What is combined, in the order of `coefficients`: the first four from the words, the others from their meanings."""

Int64 = npt.NDArray[np.int64]


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    subjects: tuple[str, ...]
    parents: tuple[str, ...]
    coefficients: tuple[int, ...]
    second: tuple[int, ...]
    bias: tuple[int, ...]
    threshold: tuple[int, ...]
    ceiling: int


@dataclass(frozen=True, slots=True)
class Calibration:
    """Integers as in the file, with `coefficients` of shape (subjects, numbers): each has those of its level.

    `parent`: place of each subject's parent among the subjects, its own place on level 1. Shapes of `parent`, `bias`
    and `threshold`: (subjects,).
    """

    subjects: tuple[str, ...]
    parent: Int64
    coefficients: Int64
    bias: Int64
    threshold: Int64
    ceiling: int


def dump(
    subjects: tuple[str, ...],
    parents: tuple[str, ...],
    coefficients: list[int],
    second: list[int],
    bias: list[int],
    threshold: list[int],
    ceiling: int = 1000,
) -> bytes:
    """Return the bytes of calibration.json (its form is at the top)."""
    file = _File(subjects, parents, tuple(coefficients), tuple(second), tuple(bias), tuple(threshold), ceiling)
    return msgspec.json.encode(file) + b"\n"


def parse(data: bytes) -> Calibration:
    """Return the calibration in the JSON `data`. Raises ValueError when it does not have the form above."""
    file = msgspec.json.decode(data, type=_File)
    lengths = {len(file.subjects), len(file.parents), len(file.bias), len(file.threshold)}
    if len(lengths) != 1 or not len(file.coefficients) == len(file.second) == len(NUMBERS):
        raise ValueError("calibration: lists are not of the lengths that belong together")
    place = {id: number for number, id in enumerate(file.subjects) if not file.parents[number]}
    missing = sorted({id for id in file.parents if id} - place.keys())
    if missing:
        raise ValueError(f"calibration: no subject of level 1 has the id {missing[0]}")
    return Calibration(
        subjects=file.subjects,
        parent=np.array([place.get(id, number) for number, id in enumerate(file.parents)], np.int64),
        coefficients=np.array([file.second if id else file.coefficients for id in file.parents], np.int64),
        bias=np.array(file.bias, np.int64),
        threshold=np.array(file.threshold, np.int64),
        ceiling=file.ceiling,
    )

"""Calibration: how the numbers about an article's windows become one logit a subject, and from where it counts.

calibration.json holds integers only: `coefficients` (one for each number, in 1/256), `bias` (one a subject, in 1/256
of a logit), `threshold` (one a subject, thousandths) and `subjects` (their ids, to match it with the weights).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

NUMBERS: Final = ("headline", "lead", "mean", "strongest")
"""What is combined, in the order of `coefficients`."""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    subjects: tuple[str, ...]
    coefficients: tuple[int, ...]
    bias: tuple[int, ...]
    threshold: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Calibration:
    """Integers as in the file; `coefficients` has shape (4,), `bias` and `threshold` have shape (subjects,)."""

    subjects: tuple[str, ...]
    coefficients: npt.NDArray[np.int64]
    bias: npt.NDArray[np.int64]
    threshold: npt.NDArray[np.int64]


def parse(data: bytes) -> Calibration:
    """Return the calibration in the JSON `data`. Raises ValueError when it does not have the form above."""
    file = msgspec.json.decode(data, type=_File)
    if len(file.coefficients) != len(NUMBERS) or not len(file.subjects) == len(file.bias) == len(file.threshold):
        raise ValueError("calibration: lists are not of the lengths that belong together")
    return Calibration(
        file.subjects,
        np.array(file.coefficients, np.int64),
        np.array(file.bias, np.int64),
        np.array(file.threshold, np.int64),
    )

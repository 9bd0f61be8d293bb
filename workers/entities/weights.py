"""The weights of the tagger: a linear-chain CRF in integers, and the file that holds it.

Weights are whole numbers (a CRF's weights times `SCALE`, rounded), so that sums are exact and tagging gives the same
bytes on every machine. The file is a compressed NumPy archive (.npz, no pickle).
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from workers.entities.features import DISTANCES

TYPES: Final = ("PER", "ORG", "LOC", "MISC")
LABELS: Final = ("O", *(f"{edge}-{kind}" for kind in TYPES for edge in "BI"))
"""Labels in the order of the weights' columns: O, then B and I of each type."""

SCALE: Final = 512

FORMAT: Final = 2
"""Version of the file's layout and of the attributes that it names."""


class WeightsError(ValueError):
    """The bytes are not weights of this format."""


@dataclass(frozen=True, slots=True)
class Weights:
    """What tagging needs. L is the number of labels, D of distances.

    `unary`: attribute -> row of `unary_weights`, int16 [U, D, L]. `pair`: attribute -> row of `pair_weights`,
    int16 [P, L]; the last row of each is zero, for attributes that have no weight. `transitions` is int32 [L, L], from
    row to column. `margins` (int32, ascending) and `confidences` (per mille, one more) say how often a span of at least
    that margin is right. `digest` is the SHA-256 of the file, hex.
    """

    unary: dict[str, int]
    unary_weights: NDArray[np.int16]
    pair: dict[str, int]
    pair_weights: NDArray[np.int16]
    transitions: NDArray[np.int32]
    margins: NDArray[np.int32]
    confidences: NDArray[np.int16]
    digest: str


def _pack(names: dict[str, int]) -> NDArray[np.uint8]:
    return np.frombuffer("\n".join(names).encode(), dtype=np.uint8)


def _unpack(packed: NDArray[np.uint8]) -> dict[str, int]:
    text = packed.tobytes().decode()
    return {name: row for row, name in enumerate(text.split("\n"))} if text else {}


def dump(weights: Weights) -> bytes:
    """Return the file for `weights` (its `digest` is not used). Equal weights give equal bytes."""
    file = io.BytesIO()
    np.savez_compressed(
        file,
        format=np.array([FORMAT], dtype=np.int32),
        unary=_pack(weights.unary),
        unary_weights=weights.unary_weights[:-1],
        pair=_pack(weights.pair),
        pair_weights=weights.pair_weights[:-1],
        transitions=weights.transitions,
        margins=weights.margins,
        confidences=weights.confidences,
    )
    return file.getvalue()


def load(data: bytes) -> Weights:
    """Return the weights that `data` holds. Raises WeightsError when it is not a file of this format."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            if file["format"].tolist() != [FORMAT]:
                raise WeightsError(f"weights of format {file['format'].tolist()}, expected {FORMAT}")
            unary, pair = _unpack(file["unary"]), _unpack(file["pair"])
            unary_weights = _with_zero_row(file["unary_weights"])
            pair_weights = _with_zero_row(file["pair_weights"])
            transitions, margins, confidences = file["transitions"], file["margins"], file["confidences"]
    except (EOFError, KeyError, OSError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"not a file of weights: {error}") from error
    size = len(LABELS)
    if (
        unary_weights.shape != (len(unary) + 1, len(DISTANCES), size)
        or pair_weights.shape != (len(pair) + 1, size)
        or transitions.shape != (size, size)
        or len(confidences) != len(margins) + 1
    ):
        raise WeightsError("the parts of the weights do not fit together")
    digest = hashlib.sha256(data).hexdigest()
    return Weights(unary, unary_weights, pair, pair_weights, transitions, margins, confidences, digest)


def _with_zero_row(rows: NDArray[np.int16]) -> NDArray[np.int16]:
    return np.concatenate([rows, np.zeros((1, *rows.shape[1:]), dtype=np.int16)])

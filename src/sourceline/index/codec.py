"""How token vectors are kept: two bytes a number while they are few, compact when they are many.

A codec depends on the ranking head alone, never on the corpus: a passage has the same codes in every generation, so
that they can be taken over from one to the next.
"""

from typing import Protocol, cast

import faiss
import numpy as np
import numpy.typing as npt

from sourceline.encoding.encoder import Float32
from sourceline.encoding.head import Head

Codes = npt.NDArray[np.uint8]
# bfloat16 is the upper half of float32, so that to decode it is to shift: FAISS takes a twelfth of the time that it
# takes for float16, which was half of late interaction's.
TWO_BYTES, QUANTISED, BYTES = "bfloat16", "pq", "int8"


class Codec(Protocol):
    """Turns vectors (n, dimension) into codes (n, ``code_size``) and back, in compiled code."""

    @property
    def code_size(self) -> int:
        """Bytes of a code."""

    def compute_codes(self, vectors: Float32) -> Codes:
        """Return the codes of vectors."""

    def decode(self, codes: Codes) -> Float32:
        """Return the vectors of codes."""


def codec_name(head: Head, compact: bool) -> str:
    """Return which codec keeps the token vectors of a head: by its codebook if it has one, else a byte a number."""
    if not compact:
        return TWO_BYTES
    return BYTES if head.codebook is None else QUANTISED


def open_codec(name: str, head: Head) -> Codec:
    """Return a codec by its name.

    Raises:
        ValueError: there is none of this name, or the head lacks what it needs.
    """
    if name == TWO_BYTES:
        return faiss.ScalarQuantizer(head.dimension, faiss.ScalarQuantizer.QT_bf16)
    if name == BYTES:
        return _bytes(head.dimension, 1.0)
    if name == QUANTISED and head.codebook is not None:
        quantiser = faiss.ProductQuantizer(head.dimension, len(head.codebook), 8)
        faiss.copy_array_to_vector(np.ascontiguousarray(head.codebook).ravel(), quantiser.centroids)
        return cast(Codec, quantiser)  # the stubs describe the wrapped C++ functions; these are the wrappers
    raise ValueError(f"there is no codec {name!r} for this ranking head")


def _bytes(dimension: int, most: float) -> faiss.ScalarQuantizer:
    """Return a quantiser of numbers between ``-most`` and ``most`` to a byte each."""
    quantiser = faiss.ScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_8bit_uniform)
    faiss.copy_array_to_vector(np.array([-most, 2 * most], dtype=np.float32), quantiser.trained)
    return quantiser

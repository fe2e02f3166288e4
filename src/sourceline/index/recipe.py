"""By what an index is made of its documents."""

import hashlib
from dataclasses import dataclass

from sourceline.corpus.windows import WINDOW_CHARACTERS
from sourceline.encoding.encoder import Encoder
from sourceline.encoding.head import Head, head_bytes, head_for
from sourceline.encoding.models import Model
from sourceline.index.codec import Codec, codec_name, open_codec
from sourceline.index.manifest import FORMAT

# Above so many bytes of documents, token vectors are kept in few bytes: about a million tokens, 400 MB as bfloat16.
COMPACT_ABOVE = 4_000_000


@dataclass(frozen=True, slots=True)
class Recipe:
    """What can be chosen; another than the one that ships is for measuring what a part of it is worth.

    ``head``: the ranking head, None for the model's own; ``titles``: whether they stand in front of windows;
    ``window``: the most characters of a window, 0 if each passage is encoded by itself.
    """

    head: Head | None = None
    titles: bool = True
    window: int = WINDOW_CHARACTERS


SHIPPED = Recipe()


@dataclass(frozen=True, slots=True)
class Mixed:
    """A recipe with all that it depends on. Blocks of the same ``digest`` can be taken over, text for text."""

    head: Head
    codec: str
    digest: str

    def open_codec(self) -> Codec:
        """Return the codec that keeps token vectors."""
        return open_codec(self.codec, self.head)


def mix(recipe: Recipe, encoder: Encoder, model: Model, size: int) -> Mixed:
    """Return the recipe for documents of ``size`` bytes in all.

    Raises:
        ModelError: the model's head cannot be read.
    """
    head = recipe.head or head_for(model.digest, encoder.dimension)
    codec = codec_name(head, size > COMPACT_ABOVE)
    made_of = f"{FORMAT}\0{encoder.fingerprint}\0{codec}\0{recipe.titles}\0{recipe.window}\0".encode()
    return Mixed(head, codec, hashlib.sha256(made_of + head_bytes(head)).hexdigest()[:16])

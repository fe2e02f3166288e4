"""By what an index is made of its documents."""

import hashlib
from dataclasses import dataclass

from sourceline.encoders.base import Encoder
from sourceline.encoders.hub import Model
from sourceline.encoders.ranking_head import RankingHead, find_ranking_head, ranking_head_bytes
from sourceline.index.multivector import Codec, codec_name, open_codec
from sourceline.index.snapshot import FORMAT
from sourceline.ingest.chunking import WINDOW_CHARACTERS

# Above so many bytes of documents, token vectors are kept in few bytes: about a million tokens, 400 MB as bfloat16.
COMPACT_ABOVE = 4_000_000


@dataclass(frozen=True, slots=True)
class IndexConfig:
    """What can be chosen; another than the one that ships is for measuring what a part of it is worth.

    ``head``: the ranking head, None for the model's own; ``titles``: whether they stand in front of windows;
    ``window``: the most characters of a window, 0 if each passage is encoded by itself.
    """

    head: RankingHead | None = None
    titles: bool = True
    window: int = WINDOW_CHARACTERS


DEFAULT_CONFIG = IndexConfig()


@dataclass(frozen=True, slots=True)
class ResolvedConfig:
    """A recipe with all that it depends on. Blocks of the same ``digest`` can be taken over, text for text."""

    head: RankingHead
    codec: str
    digest: str

    def open_codec(self) -> Codec:
        """Return the codec that keeps token vectors."""
        return open_codec(self.codec, self.head)


def resolve(config: IndexConfig, encoder: Encoder, model: Model, size: int) -> ResolvedConfig:
    """Return the recipe for documents of ``size`` bytes in all.

    Raises:
        ModelError: the model's head cannot be read.
    """
    head = config.head or find_ranking_head(model.digest, encoder.dim)
    codec = codec_name(head, size > COMPACT_ABOVE)
    made_of = f"{FORMAT}\0{encoder.fingerprint}\0{codec}\0{config.titles}\0{config.window}\0".encode()
    return ResolvedConfig(head, codec, hashlib.sha256(made_of + ranking_head_bytes(head)).hexdigest()[:16])

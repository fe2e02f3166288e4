"""How an index is made from its documents."""

import hashlib
from dataclasses import dataclass

from sourceline.encoders.base import Encoder
from sourceline.encoders.hub import Model
from sourceline.encoders.ranking_head import RankingHead, find_ranking_head, ranking_head_bytes
from sourceline.index.multivector import BFLOAT16, Codec, codec_name, open_codec
from sourceline.index.snapshot import FORMAT
from sourceline.ingest.chunking import CHUNK_CHARACTERS
from sourceline.ingest.sentences import SPLITTING

# Without a codebook, vectors take one byte per component instead of two above so many bytes of documents: about a
# million tokens, which take 800 MB in two.
COMPACT_ABOVE = 4_000_000


@dataclass(frozen=True, slots=True)
class IndexConfig:
    """Build options. Anything but the default is for measuring what a part is worth.

    ``head`` is the ranking head, None for the model's own; ``titles`` says whether they stand in front of chunks;
    ``chunk_characters`` is the most that a chunk holds, 0 to encode each passage by itself.
    """

    head: RankingHead | None = None
    titles: bool = True
    chunk_characters: int = CHUNK_CHARACTERS


DEFAULT_CONFIG = IndexConfig()


@dataclass(frozen=True, slots=True)
class ResolvedConfig:
    """A config with everything that it depends on. Encoded chunks can be copied between equal digests."""

    head: RankingHead
    codec: str
    digest: str

    @property
    def compact(self) -> bool:
        """Whether vectors, those of sentences too, take at most one byte per component."""
        return self.codec != BFLOAT16

    def open_codec(self) -> Codec:
        """Return the codec that keeps token vectors."""
        return open_codec(self.codec, self.head)


def resolve(config: IndexConfig, encoder: Encoder, model: Model, size: int) -> ResolvedConfig:
    """Return the config for documents of ``size`` bytes in all.

    Raises:
        ModelError: the model's ranking head cannot be read.
    """
    head = config.head or find_ranking_head(model.digest, encoder.dim)
    codec = codec_name(head, size > COMPACT_ABOVE)
    parts = (FORMAT, encoder.fingerprint, codec, config.titles, config.chunk_characters, SPLITTING)
    digest = hashlib.sha256("".join(f"{part}\0" for part in parts).encode() + ranking_head_bytes(head)).hexdigest()[:16]
    return ResolvedConfig(head, codec, digest)

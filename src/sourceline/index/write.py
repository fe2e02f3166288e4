"""Writes and checks a generation."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from sourceline.encoding.cache import EncodingCache
from sourceline.encoding.encoder import Encoder, Encoding, Float32, Int32, unit
from sourceline.encoding.encoders import kind_of
from sourceline.encoding.head import Head, write_head
from sourceline.errors import BuildError, DamagedError
from sourceline.index import generation as generations
from sourceline.index.cut import CutDocument
from sourceline.index.dense import DenseWriter
from sourceline.index.generation import HEAD, Generation
from sourceline.index.lexical import LexicalWriter
from sourceline.index.manifest import FORMAT, Manifest, file_table, write_manifest
from sourceline.index.passages import PassagesWriter
from sourceline.index.tokens import TokensWriter


def write_generation(
    index: Path,
    documents: Sequence[CutDocument],
    skipped: dict[str, str],
    encoder: Encoder,
    head: Head,
    cache: EncodingCache,
) -> str:
    """Write all files of a new generation, the manifest last; return its id. Nothing is published yet."""
    now = datetime.now(UTC)
    folder = index / generations.GENERATIONS / _next_id(index, now)
    folder.mkdir(parents=True)
    dense = DenseWriter(encoder.dimension)
    lexical = LexicalWriter(folder)
    write_head(folder / HEAD, head)
    with TokensWriter(folder, head.dimension) as tokens, PassagesWriter(folder) as stored:
        for one in documents:
            _require_verbatim(one)
            stored.add(one.document, one.passages)
            lexical.add([passage.text for passage in one.answers()])
            dense.add(_add_tokens(one, tokens, head, cache, encoder.dimension))
        for one in documents:
            tokens.add_title(head.of_passage(_encoding(one.title, cache).vectors) if one.title else None)
        dense.write(folder)
        lexical.write()
        stored.write()
        count = tokens.write()
    write_manifest(folder, _manifest(folder, now, documents, skipped, encoder, count))
    return folder.name


def _manifest(
    folder: Path,
    now: datetime,
    documents: Sequence[CutDocument],
    skipped: dict[str, str],
    encoder: Encoder,
    tokens: int,
) -> Manifest:
    return Manifest(
        format=FORMAT,
        id=folder.name,
        created=now.isoformat(timespec="seconds"),
        model=encoder.model,
        encoder=kind_of(encoder).value,
        fingerprint=encoder.fingerprint,
        dimension=encoder.dimension,
        documents=len(documents),
        passages=sum(len(one.passages) for one in documents),
        rows=sum(len(one.answers()) for one in documents),
        tokens=tokens,
        skipped=skipped,
        files=file_table(folder),
    )


def _require_verbatim(one: CutDocument) -> None:
    for passage in one.passages:
        if one.document.text[passage.start : passage.end] != passage.text:
            raise BuildError(f"{one.document.id}: a passage is not verbatim; this is a defect of Sourceline")


def _add_tokens(one: CutDocument, tokens: TokensWriter, head: Head, cache: EncodingCache, dimension: int) -> Float32:
    """Append the tokens of a document's answers; return the answers' vectors, (rows, dimension): the tokens' means.

    A document of headings alone has none.
    """
    vectors: list[Float32] = []
    for ids, spans, states in _passage_tokens(one, cache):
        tokens.add(ids, spans, head.of_passage(states))
        vectors.append(unit(states.mean(axis=0)) if len(states) else np.zeros(dimension, dtype=np.float32))
    return np.array(vectors, dtype=np.float32).reshape(-1, dimension)


def _passage_tokens(one: CutDocument, cache: EncodingCache) -> Iterator[tuple[Int32, Int32, Float32]]:
    """Yield for each passage that can be an answer the ids, the spans within it, and the vectors of its tokens."""
    kept = []
    for window, text in zip(one.windows, one.texts(), strict=False):  # behind the windows stands the title
        encoding = _encoding(text, cache)
        spans = encoding.tokens.spans + (window.start - len(one.prefix(window)))
        keep = (spans[:, 0] >= window.keep_start) & (spans[:, 0] < window.keep_end)
        kept.append((encoding.tokens.ids[keep], spans[keep], encoding.vectors[keep]))
    ids, spans, vectors = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    for passage in one.answers():
        first, last = np.searchsorted(spans[:, 0], [passage.start, passage.end])
        yield ids[first:last], spans[first:last] - passage.start, vectors[first:last]


def _encoding(text: str, cache: EncodingCache) -> Encoding:
    encoding = cache.get(text)
    if encoding is None:
        raise BuildError("an encoding is missing from the cache: run `sourceline rebuild-index` again")
    return encoding


def _next_id(index: Path, now: datetime) -> str:
    """Return an id that sorts behind every generation that ever stood in this folder's ``CURRENT``."""
    used = [generations.current_id(index), *generations.folder_names(index)]
    number = max((int(name[:8]) for name in used if name and name[:8].isdecimal()), default=0) + 1
    return f"{number:08d}-{now:%Y%m%dT%H%M%SZ}"


def check_generation(index: Path, generation: str) -> Generation:
    """Open what was written as a reader would, and ask it for some of its own passages."""
    opened = generations.open_generation(index, generation)
    rows = opened.passages.row_count
    for row in range(0, rows, max(1, rows // 16)):
        (vector,) = opened.dense.vectors([row])
        best = opened.dense.search(vector, 1, None)[0].score
        if np.any(vector) and best < float(vector @ vector) - 1e-3:
            raise DamagedError(f"generation {generation} does not find its own passage {row}")
    return opened

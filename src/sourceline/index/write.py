"""Writes and checks a generation."""

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import numpy as np

from sourceline.encoding.encoder import Encoder
from sourceline.encoding.encoders import kind_of
from sourceline.encoding.head import write_head
from sourceline.errors import BuildError, DamagedError
from sourceline.index import generation as generations
from sourceline.index.block import Block
from sourceline.index.cut import CutDocument
from sourceline.index.dense import DenseWriter
from sourceline.index.generation import HEAD, Generation
from sourceline.index.lexical import LexicalWriter
from sourceline.index.manifest import FORMAT, Manifest, file_table, write_manifest
from sourceline.index.passages import DocumentEntry
from sourceline.index.passages_writer import PassagesWriter
from sourceline.index.recipe import Mixed
from sourceline.index.tokens import TokensWriter
from sourceline.types import Document, Passage


class GenerationWriter:
    """Writes documents in order, each new or taken over from the generation before. Nothing is published yet."""

    def __init__(self, index: Path, encoder: Encoder, mixed: Mixed) -> None:
        self._now = datetime.now(UTC)
        self._folder = index / generations.GENERATIONS / _next_id(index, self._now)
        self._folder.mkdir(parents=True)
        self._encoder, self._mixed = encoder, mixed
        self._documents = self._passages = self._rows = self.parts = 0
        with ExitStack() as stack:
            self._dense = stack.enter_context(DenseWriter(self._folder, encoder.dimension))
            self._tokens = stack.enter_context(TokensWriter(self._folder, encoder.vocabulary))
            self._stored = stack.enter_context(PassagesWriter(self._folder))
            self._lexical = stack.enter_context(LexicalWriter(self._folder))
            self._open = stack.pop_all()

    def __enter__(self) -> Self:
        """Use as a context manager to close the files, however the build goes."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self._open.close()

    def add(self, cut: CutDocument, keys: Sequence[bytes], blocks: Sequence[Block], title: Block) -> None:
        """Append a document: the blocks of its parts with their keys, and its title's."""
        _require_verbatim(cut)
        rows = [len(block.counts) for block in blocks]
        self._add(cut.document, cut.passages, list(zip(keys, rows, strict=True)), len(blocks))
        for block in blocks:
            self._add_block(block)
        self._tokens.add_title(title)

    def take(self, before: Generation, entry: DocumentEntry) -> None:
        """Append a document as it is in the generation before, which was made by the same recipe."""
        document = Document(entry.id, entry.title, before.passages.text_of(entry), entry.sha256, ())
        self._add(document, before.passages.of_document(entry), before.passages.parts_of(entry), entry.parts)
        if entry.rows:
            self._add_block(before.block(entry.rows))
        self._tokens.add_title(before.title_block(entry))

    def _add(
        self, document: Document, passages: Sequence[Passage], parts: Sequence[tuple[bytes, int]], count: int
    ) -> None:
        self._stored.add(document, passages, parts, count)
        answers = [passage.text for passage in passages if not passage.heading]
        self._lexical.add(answers)
        self._documents += 1
        self._passages += len(passages)
        self._rows += len(answers)
        self.parts += count

    def _add_block(self, block: Block) -> None:
        self._tokens.add(block)
        self._dense.add(block.vectors)

    def write(self, skipped: dict[str, str], before: Generation | None) -> str:
        """Finish all files, the manifest last; return the generation's id."""
        write_head(self._folder / HEAD, self._mixed.head)
        self._dense.write(before.dense if before else None)
        self._lexical.write()
        self._stored.write()
        tokens = self._tokens.write()
        manifest = Manifest(
            format=FORMAT,
            id=self._folder.name,
            created=self._now.isoformat(timespec="seconds"),
            model=self._encoder.model,
            encoder=kind_of(self._encoder).value,
            fingerprint=self._encoder.fingerprint,
            dimension=self._encoder.dimension,
            codec=self._mixed.codec,
            recipe=self._mixed.digest,
            documents=self._documents,
            passages=self._passages,
            rows=self._rows,
            tokens=tokens,
            skipped=skipped,
            files=file_table(self._folder),
        )
        write_manifest(self._folder, manifest)
        return self._folder.name


def _require_verbatim(cut: CutDocument) -> None:
    for passage in cut.passages:
        if cut.document.text[passage.start : passage.end] != passage.text:
            raise BuildError(f"{cut.document.id}: a passage is not verbatim; this is a defect of Sourceline")


def _next_id(index: Path, now: datetime) -> str:
    """Return an id that sorts behind every generation that ever stood in this folder's ``CURRENT``."""
    used = [generations.current_id(index), *generations.folder_names(index)]
    number = max((int(name[:8]) for name in used if name and name[:8].isdecimal()), default=0) + 1
    return f"{number:08d}-{now:%Y%m%dT%H%M%SZ}"


def check_generation(index: Path, generation: str) -> Generation:
    """Open what was written as a reader would, and ask it for some of its own passages."""
    opened = generations.open_generation(index, generation, verify=False)  # the manifest was just made of the files
    rows = opened.passages.row_count
    for row in range(0, rows, max(1, rows // 16)):
        (vector,) = opened.dense.vectors([row])
        best = opened.dense.search(vector, 1, None)[0].score
        if np.any(vector) and best < float(vector @ vector) - 1e-3:
            raise DamagedError(f"generation {generation} does not find its own passage {row}")
    return opened

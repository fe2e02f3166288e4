"""Makes the blocks of all documents, and writes them in order: bounded memory, however many documents there are."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sourceline.corpus.documents import Found, read_document
from sourceline.encoding.encoder import Encoder, Encoding
from sourceline.errors import CorpusError, DocumentError
from sourceline.index.block import Block, make_block, no_block
from sourceline.index.cache import BlockCache
from sourceline.index.cut import CutDocument, Part, cut_document
from sourceline.index.generation import Generation
from sourceline.index.passages import DocumentEntry
from sourceline.index.recipe import Mixed, Recipe
from sourceline.index.report import Progress
from sourceline.index.write import GenerationWriter

# Blocks are put into the cache in batches of so many parts: at most this much work is lost to an interruption.
BATCH = 64
# Documents are encoded in groups of about so many bytes, so that short ones keep all cores busy.
GROUP = 256 * 1024


class Maker:
    """Takes blocks from the generation before, from the cache, or makes them. ``encoded`` counts the windows made."""

    def __init__(
        self,
        folder: Path,
        recipe: Recipe,
        mixed: Mixed,
        encoder: Encoder,
        cache: BlockCache,
        before: Generation | None,
    ) -> None:
        """Take what is needed; ``before`` is a generation of the same recipe."""
        self._folder, self._recipe, self._mixed, self._encoder, self._cache = folder, recipe, mixed, encoder, cache
        self._codec = mixed.open_codec()
        self._before = before
        self._entries = {(one.id, one.sha256): one for one in before.passages.documents} if before else {}
        self.encoded = 0

    def write(
        self,
        found: Sequence[Found],
        writer: GenerationWriter,
        skipped: dict[str, str],
        progress: Callable[[Progress], None],
    ) -> None:
        """Write all documents that were found; add those that turn out to be no documents to ``skipped``.

        Raises:
            CorpusError: there is no document that can be read.
        """
        new = [one.size for one in found if not self._entry(one)]
        done, written = 0, 0
        progress(Progress(0, sum(new)))
        for group in _groups(found):
            cuts = {one.document_id: self._cut(one, skipped) for one in group if not self._entry(one)}
            made = self._made([cut for cut in cuts.values() if cut])
            for run in self._runs(group):
                if entries := [entry for one in run if (entry := self._entry(one))]:
                    writer.take(entries)
                elif cut := cuts[run[0].document_id]:
                    self._add(cut, made, writer)
                else:
                    continue
                written += len(run)
            done += sum(one.size for one in group if one.document_id in cuts)
            progress(Progress(done, sum(new)))
        if not written:
            reasons = "; ".join(f"{document}: {reason}" for document, reason in skipped.items())
            raise CorpusError(f"no document in {self._folder} can be read" + (f": {reasons}" if reasons else ""))

    def _entry(self, found: Found) -> DocumentEntry | None:
        """Return what the generation before has of a document whose bytes are the same."""
        return self._entries.get((found.document_id, found.sha256))

    def _runs(self, group: Sequence[Found]) -> Iterator[list[Found]]:
        """Yield the documents: unchanged ones together that stood in a row before, each other one by itself."""
        run: list[Found] = []
        last: DocumentEntry | None = None
        for one in group:
            entry = self._entry(one)
            if run and not (entry and last and entry.number == last.number + 1):
                yield run
                run = []
            run.append(one)
            last = entry
        yield run

    def _cut(self, found: Found, skipped: dict[str, str]) -> CutDocument | None:
        try:
            document = read_document(self._folder, found.document_id)
        except DocumentError as error:
            skipped[found.document_id] = str(error)
            return None
        cut = cut_document(document, self._encoder, self._recipe.titles, self._recipe.window)
        if not cut.passages:
            skipped[found.document_id] = "there is no sentence in it"
            return None
        return cut

    def _made(self, cuts: Sequence[CutDocument]) -> dict[bytes, Block]:
        """Return the blocks of all parts and titles of these documents, by their keys."""
        parts = [part for cut in cuts for part in (*cut.parts(), cut.title_part()) if part]
        wanted = {part.key(self._mixed.digest): part for part in parts}
        known = {key: block for key in wanted if (block := self._known(key))}
        missing = {key: part for key, part in wanted.items() if key not in known}
        # All at once, so that the cores go on encoding while the blocks of a batch are made and put into the cache.
        encodings = self._encoder.encode([window.text for part in missing.values() for window in part.windows])
        for batch in _batches(missing):
            blocks = {key: self._block(part, encodings) for key, part in batch.items()}
            self._cache.put(blocks.items())
            known |= blocks
        titles = {part.key(self._mixed.digest) for cut in cuts if (part := cut.title_part())}
        self.encoded += len(missing.keys() - titles)
        return known

    def _known(self, key: bytes) -> Block | None:
        rows = self._before.passages.part(key) if self._before else None
        return self._before.block(rows) if self._before and rows else self._cache.get(key)

    def _block(self, part: Part, encodings: Iterator[Encoding]) -> Block:
        """Return the block of a part, whose windows' encodings come next."""
        return make_block(part, [next(encodings) for _ in part.windows], self._mixed.head, self._codec)

    def _add(self, cut: CutDocument, made: dict[bytes, Block], writer: GenerationWriter) -> None:
        keys = [part.key(self._mixed.digest) for part in cut.parts()]
        title = cut.title_part()
        nothing = no_block(self._encoder.dimension, self._mixed.head, self._codec)
        writer.add(
            *(cut, keys, [made[key] for key in keys]),
            made[title.key(self._mixed.digest)] if title else nothing,
        )


def _groups(found: Sequence[Found]) -> Iterator[list[Found]]:
    group: list[Found] = []
    size = 0
    for one in found:
        group.append(one)
        size += one.size
        if size >= GROUP:
            yield group
            group, size = [], 0
    if group:
        yield group


def _batches(parts: dict[bytes, Part]) -> Iterator[dict[bytes, Part]]:
    items = list(parts.items())
    for start in range(0, len(items), BATCH):
        yield dict(items[start : start + BATCH])

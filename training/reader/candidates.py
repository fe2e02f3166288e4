"""Stage 1: what retrieval finds for every question of labelled sets, as the reader will get it.

    python -m training.reader.candidates CACHE SET...

Writes NAME.jsonl and NAME.chunks.jsonl for each SET into CACHE; one that is there already is skipped.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from sourceline.encoders.hub import find_model
from sourceline.encoders.load import ENCODERS, prepare_encoder
from sourceline.errors import QuestionError
from sourceline.evaluation.dataset import Question, read_dataset
from sourceline.evaluation.evaluate import open_searcher
from sourceline.index.row_filter import RowFilter
from sourceline.indexing.builder import build
from sourceline.search.query import encode_query, validate_question
from sourceline.search.reranking import ReaderChunk, chunk_around, select_chunks
from sourceline.search.searcher import Searcher
from sourceline.types import DEFAULT_MODEL, Backend, Filters

CHUNKS = 6  # of each setting


def main() -> None:
    """Write the candidates of each set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cache", type=Path)
    parser.add_argument("sets", type=Path, nargs="+")
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    for folder in arguments.sets:
        name = folder.resolve().name
        if (arguments.cache / f"{name}.jsonl").exists():
            continue
        print(name, flush=True)
        with tempfile.TemporaryDirectory() as scratch:
            write_candidates(folder, arguments.cache, name, Path(scratch))


def write_candidates(folder: Path, cache: Path, name: str, scratch: Path) -> None:
    """Index a set, search for each of its questions, and write what was found."""
    dataset = read_dataset(folder)
    forms = {value["id"]: value.get("form", "") for value in map(json.loads, _lines(folder / "questions.jsonl"))}
    prepare_encoder(Backend.ONNX, find_model(DEFAULT_MODEL), scratch / ENCODERS)
    build(dataset.documents, scratch, DEFAULT_MODEL, Backend.ONNX)
    searcher = open_searcher(scratch)
    store = searcher.snapshot.passages
    answers = {entry.id: store.answers_of(entry) for entry in store.documents}
    chunks: dict[ReaderChunk, int] = {}

    def number(chunk: ReaderChunk) -> int:
        return chunks.setdefault(chunk, len(chunks))

    partial = cache / f"{name}.partial"
    with partial.open("w", encoding="utf-8") as out:
        for question in dataset.questions:
            gold = [
                row
                for label in question.relevant
                for row, passage in answers[label.document].items()
                if passage.start < label.end and label.start < passage.end
            ]
            found: dict[str, Any] = {"late": {}, "scope": [], "open": []}
            for setting, row_filter in settings(question, searcher):
                try:
                    query = encode_query(searcher.encoder, validate_question(question.text))
                except QuestionError:
                    continue
                ranking = searcher.rank(query, 10, row_filter)
                found["late"][setting] = {passage.row: round(passage.late, 5) for passage in ranking.passages}
                found[setting] = [number(chunk) for chunk in select_chunks(store, ranking.rows, CHUNKS)]
            example = {
                "set": name,
                "id": question.id,
                "form": forms[question.id],
                "document": document(question),
                "question": question.text,
                "answerable": question.answerable,
                "gold": gold,
                "around_gold": number(chunk_around(store.surroundings(gold[0], 12))) if gold else None,
            }
            out.write(json.dumps(example | found, ensure_ascii=False) + "\n")
    with (cache / f"{name}.chunks.jsonl").open("w", encoding="utf-8") as out:
        for chunk in chunks:
            value = {"text": chunk.input.text, "rows": chunk.rows, "spans": chunk.input.spans}
            out.write(json.dumps(value, ensure_ascii=False) + "\n")
    partial.rename(cache / f"{name}.jsonl")


def settings(question: Question, searcher: Searcher) -> list[tuple[str, RowFilter | None]]:
    """Return the settings in which a question is asked."""
    scoped = [("scope", searcher.filter_rows(Filters(documents=(question.scope,))))] if question.scope else []
    return [*scoped, ("open", None)]


def document(question: Question) -> str:
    """Return the document that a question is about."""
    if question.scope:
        return question.scope
    label = question.paragraph or next(iter(question.relevant), None)
    return label.document if label else question.id


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text("utf-8").split("\n") if line.strip()]


if __name__ == "__main__":
    main()

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings

from sourceline.encoders.base import Encoder
from sourceline.ingest.chunking import TITLE_TOKENS, ChunkedDocument, chunk_document
from sourceline.ingest.loader import read_document
from tests.texts import texts

LONG = "The council spoke of bridges at length on that day. " * 12  # a window of its own


def cut(folder: Path, encoder: Encoder, text: str, name: str = "a.md", titles: bool = True) -> ChunkedDocument:
    (folder / name).write_text(text, "utf-8", newline="")
    return chunk_document(read_document(folder, name), encoder, titles)


def encoded(cut: ChunkedDocument) -> list[str]:
    """Return the texts of the windows, then the title."""
    title = cut.title_chunk()
    return [window.text for part in (*cut.parts(), *([title] if title else [])) for window in part.windows]


def test_each_window_is_encoded_below_the_title_and_then_the_title_itself(documents: Path, encoder: Encoder) -> None:
    found = cut(documents, encoder, f"{LONG}\n\n{LONG}Then it rained.\n", "minutes_of_may.txt")
    below = [found.document.text[window.start : window.end] for window in found.windows]
    assert len(below) == 2
    assert found.title == "minutes of may"
    assert encoded(found) == [f"minutes of may\n{below[0]}", f"minutes of may\n{below[1]}", "minutes of may"]
    assert [found.prefix(window) for window in found.windows] == ["minutes of may\n"] * 2


def test_a_window_that_begins_with_the_title_gets_no_second_one(documents: Path, encoder: Encoder) -> None:
    found = cut(documents, encoder, f"# The bridge\n\n{LONG}\n\n{LONG}\n")
    first, second, title = encoded(found)
    assert title == "The bridge"
    assert first.count("The bridge") == second.count("The bridge") == 1
    assert first.startswith("The bridge\n\nThe council")
    assert second.startswith("The bridge\nThe council")
    assert [found.prefix(window) for window in found.windows] == ["", "The bridge\n"]


def test_a_title_that_only_begins_the_first_word_stands_in_front_of_it(documents: Path, encoder: Encoder) -> None:
    found = cut(documents, encoder, "another bridge was opened.", "a.txt")
    assert encoded(found) == ["a\nanother bridge was opened.", "a"]


def test_a_long_title_is_not_put_in_front_of_windows(documents: Path, encoder: Encoder) -> None:
    for count, title in [(TITLE_TOKENS, " ".join(["bridge"] * 40)), (TITLE_TOKENS + 1, "")]:
        text = " ".join(["bridge"] * count)
        found = cut(documents, encoder, f"# {text}\n\nIt opens. {LONG}\n\n{LONG}\n")
        assert found.document.title == text
        assert found.title == title
        windows = [found.document.text[window.start : window.end] for window in found.windows]
        # The first holds the heading alone: there is no answer in it, and it is not encoded.
        below = [f"{title}\n{window}" for window in windows[1:]]
        assert encoded(found) == ([*below, title] if title else windows[1:])


def test_without_titles_the_windows_are_encoded_as_they_stand(documents: Path, encoder: Encoder) -> None:
    found = cut(documents, encoder, f"{LONG}\n\n{LONG}\n", titles=False)
    assert found.title == ""
    assert encoded(found) == [found.document.text[window.start : window.end] for window in found.windows]


@pytest.mark.parametrize("limit", [8, 20, 254])
def test_a_title_leaves_room_for_the_text_however_little_the_model_reads(
    documents: Path, encoder: Encoder, limit: int
) -> None:
    class Small:
        """The same encoder, of a model that reads less at once."""

        model, fingerprint, dim = encoder.model, encoder.fingerprint, encoder.dim
        tokenize, encode, vocabulary = encoder.tokenize, encoder.encode, encoder.vocabulary

        def __init__(self) -> None:
            self.limit = limit

    found = cut(documents, Small(), f"# {'bridge ' * 20}\n\n{LONG}\n\n{'東' * 700}\n")
    assert (found.title != "") is (limit == 254)
    assert all(len(encoder.tokenize(text).ids) <= limit for text in encoded(found))


@settings(deadline=None, max_examples=50)
@given(text=texts.map(lambda text: f"# A bridge of wood and stone\n\n{text * 8}"))
def test_what_is_encoded_fits_the_model_and_holds_each_window_whole(encoder: Encoder, text: str) -> None:
    with TemporaryDirectory() as folder:
        found = cut(Path(folder), encoder, text)
    pieces = [window for part in found.parts() for window in part.windows]
    for window in pieces:
        tokens = encoder.tokenize(window.text)
        assert len(tokens.ids) <= encoder.limit
        # In front of the window, the title alone has tokens.
        below = window.text.removeprefix(f"{found.title}\n")
        alone = encoder.tokenize(below)
        shift = len(window.text) - len(below)
        np.testing.assert_array_equal(tokens.spans[len(tokens.ids) - len(alone.ids) :], alone.spans + shift)
    held = [text for window in found.windows if (text := found.document.text[window.start : window.end])]
    assert all(any(piece.text.endswith(text) for text in held) for piece in pieces)


@settings(deadline=None, max_examples=50)
@given(text=texts.map(lambda text: f"# A bridge\n\n{text * 8}"))
def test_the_parts_hold_every_answer_once_and_whole(encoder: Encoder, text: str) -> None:
    with TemporaryDirectory() as folder:
        found = cut(Path(folder), encoder, text)
    answers = [passage.text for passage in found.passages if not passage.heading]
    held = []
    for part in found.parts():
        first = part.windows[0]
        start = -first.shift  # of the part, in the first window's text
        whole = first.text[start:]
        for window in part.windows[1:]:  # they overlap
            whole = whole[: window.shift + len(window.text) - len(window.text.removeprefix(f"{found.title}\n"))]
            whole += window.text.removeprefix(f"{found.title}\n")
        held += [whole[start:end] for start, end in part.spans]
    assert held == answers

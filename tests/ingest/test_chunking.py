import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourceline.encoders.base import Encoder
from sourceline.ingest import chunking
from sourceline.ingest.chunking import (
    CHUNK_CHARACTERS,
    TITLE_TOKENS,
    Chunk,
    ChunkedDocument,
    chunk_document,
    pack,
)
from sourceline.ingest.sentences import blanked, split_passages
from tests.support.texts import document, texts

LONG = "The council spoke of bridges at length on that day. " * 12  # a chunk of its own


def word_starts(text: str) -> npt.NDArray[np.int64]:
    """Return where the words of a text start: the tokens of a model that takes each word as one."""
    return np.array([match.start() for match in re.finditer(r"\S+", text)], np.int64)


def packed(text: str, max_tokens: int, max_characters: int = CHUNK_CHARACTERS) -> list[str]:
    """Return the texts of the chunks of a plain text; its words are its tokens."""
    passages = split_passages(document(text))
    return [text[start:end] for start, end in pack(passages, word_starts(text), max_tokens, max_characters)]


def chunked(
    text: str, id_: str = "a.md", title: str = "The bridge", max_tokens: int = 254, titles: bool = True
) -> ChunkedDocument:
    """Return a document's chunks; its words are its tokens."""
    return chunk_document(replace(document(text, id_), title=title), word_starts, max_tokens, titles=titles)


def answers(chunk: Chunk) -> list[str]:
    return [chunk.text[start:end] for start, end in chunk.spans]


def chunk_of(id_: str, text: str) -> Chunk:
    """Return the last chunk of a document."""
    source = replace(document(text, id_), title="The bridge")
    return chunk_document(source, word_starts, 254, max_characters=len(LONG)).chunks[-1]


def test_short_paragraphs_share_a_chunk_and_a_paragraph_is_not_torn_apart() -> None:
    text = "One two. Three four.\n\nFive six.\n\nSeven eight. Nine ten."

    assert packed(text, 10) == [text]
    assert packed(text, 9) == ["One two. Three four.\n\nFive six.", "Seven eight. Nine ten."]
    assert packed(text, 5) == ["One two. Three four.", "Five six.", "Seven eight. Nine ten."]


def test_a_paragraph_over_the_limit_is_packed_sentence_by_sentence() -> None:
    assert packed("One two three. Four five. Six. Seven eight nine.", 5) == [
        "One two three. Four five.",
        "Six. Seven eight nine.",
    ]


def test_a_chunk_holds_no_more_characters_than_allowed_unless_it_is_one_sentence() -> None:
    sentence = "Word " * 50 + "end. "  # 255 characters

    assert list(map(len, packed((sentence * 5).strip(), 10_000))) == [3 * 255 - 1, 2 * 255 - 1]
    assert list(map(len, packed((sentence * 5).strip(), 10_000, 255))) == [254] * 5
    assert packed("word" * CHUNK_CHARACTERS, 10_000) == ["word" * CHUNK_CHARACTERS]


def test_with_no_characters_allowed_each_passage_is_a_chunk() -> None:
    assert packed("One two. Three four.\n\nFive six.", 10, 0) == ["One two.", "Three four.", "Five six."]


def test_a_sentence_over_the_limit_is_a_chunk_by_itself_and_is_not_cut() -> None:
    sentence = " ".join(f"w{number}" for number in range(20)) + "."

    assert packed(f"One.\n\n{sentence}\n\nTwo.", 8) == ["One.", sentence, "Two."]


def test_no_passages_make_no_chunks() -> None:
    assert pack((), np.array([], np.int64), 10, 100) == []


@settings(deadline=None)
@given(
    text=texts,
    times=st.sampled_from([1, 1, 5, 40]),
    id_=st.sampled_from(["x.txt", "x.md"]),
    max_tokens=st.integers(1, 60),
    max_characters=st.sampled_from([0, 30, 800]),
)
def test_chunks_cover_every_passage_in_order_and_only_a_single_passage_is_over_the_limits(
    text: str, times: int, id_: str, max_tokens: int, max_characters: int
) -> None:
    text *= times
    passages = split_passages(document(text, id_))
    starts = word_starts(text)

    chunks = pack(passages, starts, max_tokens, max_characters)

    for (_, end), (start, _) in pairwise(chunks):
        assert end <= start
    remaining = list(passages)
    for start, end in chunks:
        held = [passage for passage in remaining if start <= passage.start and passage.end <= end]
        assert held == remaining[: len(held)] != []
        assert (held[0].start, held[-1].end) == (start, end)
        del remaining[: len(held)]
        tokens = np.count_nonzero((starts >= start) & (starts < end))
        assert len(held) == 1 or (tokens <= max_tokens and end - start <= max_characters)
    assert remaining == []


def test_each_chunk_has_the_title_in_front_and_the_title_is_a_chunk_of_its_own() -> None:
    text = f"{LONG}\n\n{LONG}Then it rained.\n"

    document = chunked(text, "minutes.txt", "minutes of may")

    assert [(chunk.prefix, chunk.text) for chunk in document.chunks] == [
        ("minutes of may\n", LONG.strip()),
        ("minutes of may\n", f"{LONG}Then it rained."),
    ]
    assert document.title == Chunk("minutes of may", "", ((0, 14),))
    assert answers(document.chunks[1])[-1] == "Then it rained."


def test_a_chunk_that_begins_with_the_title_gets_no_second_one() -> None:
    first, second = chunked(f"# The bridge\n\n{LONG}\n\n{LONG}\n").chunks

    assert first.prefix == ""
    assert first.text.startswith("The bridge\n\nThe council")
    assert second.prefix == "The bridge\n"
    assert second.text.startswith("The council")


def test_a_title_that_only_begins_the_first_word_stands_in_front_of_the_chunk() -> None:
    (chunk,) = chunked("another bridge was opened.", "a.txt", "a").chunks

    assert (chunk.prefix, chunk.text) == ("a\n", "another bridge was opened.")


@pytest.mark.parametrize(("words", "prefix"), [(TITLE_TOKENS, True), (TITLE_TOKENS + 1, False)])
def test_a_long_title_is_not_put_in_front_of_chunks(words: int, prefix: bool) -> None:
    title = " ".join(["bridge"] * words)

    document = chunked(f"# {title}\n\n{LONG}\n\n{LONG}\n", title=title)

    assert document.document.title == title
    assert (document.title is not None) is prefix
    assert document.chunks[-1].prefix == (f"{title}\n" if prefix else "")


def test_without_titles_nothing_stands_in_front_of_the_chunks() -> None:
    document = chunked(f"{LONG}\n\n{LONG}\n", titles=False)

    assert document.title is None
    assert [(chunk.prefix, chunk.text) for chunk in document.chunks] == [("", LONG.strip())] * 2


def test_a_title_without_tokens_is_no_title() -> None:
    document = chunked("It opens.", title=" ")

    assert (document.title, document.chunks[0].prefix) == (None, "")


@pytest.mark.parametrize("max_tokens", [8, 20, 80, 254])
def test_a_title_takes_at_most_a_quarter_of_what_the_model_reads_at_once(max_tokens: int) -> None:
    title = " ".join(["bridge"] * 20)

    document = chunked(f"It opens. {LONG}\n\n{'word ' * 700}\n", title=title, max_tokens=max_tokens)

    assert (document.title is not None) is (max_tokens >= 80)
    for chunk in document.chunks:
        assert len(word_starts(chunk.prefix + chunk.text)) <= max_tokens or len(chunk.spans) == 1


def test_headings_are_encoded_with_what_stands_below_them_but_are_no_answers() -> None:
    document = chunked("# The bridge\n\nIt opens. It is new.\n\n## Cost\n\nIt was dear.\n")

    (chunk,) = document.chunks
    assert chunk.text == "The bridge\n\nIt opens. It is new.\n\n## Cost\n\nIt was dear."
    assert answers(chunk) == ["It opens.", "It is new.", "It was dear."]
    assert [passage.text for passage in document.passages if passage.heading] == ["The bridge", "Cost"]


def test_a_stretch_of_nothing_but_headings_is_in_no_chunk() -> None:
    heading = " ".join(["bridge"] * 20)

    document = chunked(f"# {heading}\n\n{LONG}\n\n## Annex\n", title="minutes", max_tokens=122)

    assert len(document.passages) == 14
    assert [chunk.text for chunk in document.chunks] == [LONG.strip()]
    assert chunked("# Only\n\n## Headings\n").chunks == ()


def test_a_document_without_a_sentence_has_neither_passages_nor_chunks() -> None:
    document = chunked("---\n\n***\n")

    assert (document.passages, document.chunks) == ((), ())


@settings(deadline=None, max_examples=50)
@given(text=texts.map(lambda text: f"# A bridge of wood and stone\n\n{text * 8}"))
def test_chunks_hold_every_answer_once_whole_and_in_order(encoder: Encoder, text: str) -> None:
    source = replace(document(text, "a.md"), title="A bridge of wood and stone")

    chunked = chunk_document(source, lambda text: encoder.tokenize(text).spans[:, 0].astype(np.int64), 254)

    assert [answer for chunk in chunked.chunks for answer in answers(chunk)] == [
        blanked(passage.text, passage.gaps) for passage in chunked.passages if not passage.heading
    ]
    assert all(chunk.spans for chunk in chunked.chunks)
    for chunk in chunked.chunks:
        assert len(encoder.tokenize(chunk.prefix + chunk.text).ids) <= 254 or len(chunk.spans) == 1


def test_a_long_document_is_tokenized_in_pieces_that_begin_behind_white_space(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def token_starts(text: str) -> npt.NDArray[np.int64]:
        asked.append(text)
        return encoder.tokenize(text).spans[:, 0].astype(np.int64)

    # Between the Chinese sentences there is no white space.
    source = document(
        "The crane\u2019s rope is new. It holds.\n\nBo asked why. 会议三点开始。桥很长。 Nobody knew.\n", "a.md"
    )
    at_once = chunk_document(source, token_starts, 254, 30)
    assert asked == [source.title, source.text]

    asked.clear()
    monkeypatch.setattr(chunking, "_PIECE", 5)
    assert chunk_document(source, token_starts, 254, 30) == at_once
    pieces = [
        "The crane\u2019s rope is new. ",
        "It holds.\n\n",
        "Bo asked why. ",
        "会议三点开始。桥很长。 ",
        "Nobody knew.\n",
    ]
    assert asked == [source.title, *pieces]


def test_the_key_of_a_chunk_is_the_same_wherever_the_chunk_stands() -> None:
    first = chunk_of("notes/a.txt", f"{LONG}\n\nIt opens. It is new.")
    second = chunk_of("b.md", f"# Another\n\n{LONG}\n\n- It opens. It is new.")

    assert first == second == Chunk("It opens. It is new.", "The bridge\n", ((0, 9), (10, 20)))
    assert first.key("config") == second.key("config")
    assert len(first.key("config")) == 16


def test_the_key_of_a_chunk_depends_on_all_that_its_vectors_depend_on() -> None:
    chunk = Chunk("It opens. It is new.", "The bridge\n", ((0, 9), (10, 20)))
    others = [
        replace(chunk, text="It opens. It is now."),
        replace(chunk, prefix="The bridges\n"),
        replace(chunk, prefix=""),
        replace(chunk, text="The bridge\nIt opens. It is new.", prefix=""),
        replace(chunk, spans=((0, 9),)),
        replace(chunk, spans=((0, 20),)),
        replace(chunk, spans=((0, 9), (1, 9), (10, 20))),
    ]

    keys = [chunk.key("config"), chunk.key("other"), *(other.key("config") for other in others)]

    assert len(set(keys)) == len(keys)

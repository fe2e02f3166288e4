import doctest
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourceline.ingest import unpunctuated
from sourceline.ingest.sentences import split_passages
from sourceline.ingest.unpunctuated import MAX_CHARACTERS, readable_stretches
from sourceline.types import Block, BlockKind, Cue, Document, Time
from tests.support.texts import document, texts

ENGLISH = (
    "okay so the harbour office called on monday and they said that the lamp on the north pier is out again and we "
    "need a ladder to reach it but nobody knows where the ladder went because sam lent it to the rowing club last "
    "summer and then the rowing club moved so we have to ask them and the next walk along the pier is on the "
    "ninth of june at six in the evening and everybody should bring a torch"
)
GERMAN = (
    "also am montag hat das hafenamt angerufen und die lampe auf der nordmole ist schon wieder aus und wir brauchen "
    "eine leiter aber niemand weiß wo die leiter ist weil sam sie im sommer dem ruderverein geliehen hat und dann ist "
    "der verein umgezogen also müssen wir dort fragen und der nächste rundgang ist am neunten juni um sechs uhr abends"
)
CHINESE = (
    "周一港务局打来电话说北码头的灯又坏了我们需要一架梯子" * 5
    + "但是没有人知道梯子在哪里因为山姆夏天把它借给了划船俱乐部" * 4
)
THAI = "เมื่อวันจันทร์สำนักงานท่าเรือโทรมาบอกว่าไฟที่ท่าเรือเหนือดับอีกแล้วและเราต้องใช้บันได" * 6


def stretches(text: str, language: str = "en", cues: tuple[Cue, ...] = ()) -> list[str]:
    return [text[start:end] for start, end in readable_stretches(text, 0, len(text), language, cues)]


@pytest.mark.parametrize(
    ("text", "language"), [(ENGLISH, "en"), (GERMAN, "de"), (CHINESE, "zh"), (THAI, "th"), ("12 345 " * 90 + "6", "en")]
)
def test_speech_without_punctuation_is_cut_into_short_stretches(text: str, language: str) -> None:
    parts = stretches(text, language)
    assert len(parts) > 1
    assert all(0 < len(part) <= MAX_CHARACTERS for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())


def test_it_is_cut_in_front_of_what_opens_a_clause() -> None:
    assert [part.split()[0] for part in stretches(ENGLISH)] == ["okay", "but", "so"]
    assert [part.split()[0] for part in stretches(GERMAN, "de")] == ["also", "aber", "und"]
    assert stretches(ENGLISH)[-1].endswith("at six in the evening and everybody should bring a torch")
    assert [part[:2] for part in stretches(CHINESE, "zh")][-1] == "但是"


@pytest.mark.parametrize(
    "text",
    [
        ENGLISH[:200],
        "The Tenant shall not without the prior written consent of the Landlord assign or underlet or part with "
        "the possession of the whole or any part of the premises nor permit any other person to occupy the same or any "
        "part of it during the term hereby granted.",
        "the board resolved to close the slip from May; to sell the winch; to thank Mr. Bray for his long and patient "
        "work; to order two pumps, one hose and a reel; to ask the county for the missing plans of the north pier; and "
        "to meet again in June, when the harbour office will have answered, to hear what became of it",
        "iVBORw0KGgo" * 500,
        "https://example.org/" + "a" * 5_000,
    ],
)
def test_other_long_text_stays_whole(text: str) -> None:
    assert stretches(text) == [text]


def test_no_word_is_cut_however_long() -> None:
    word = "x" * 5_000
    assert stretches(f"see {word} {ENGLISH}")[0] == f"see {word}"


@pytest.mark.parametrize("language", ["en", "de", "zh"])
def test_what_is_said_later_does_not_move_the_cuts(language: str) -> None:
    text = {"en": ENGLISH, "de": GERMAN, "zh": CHINESE}[language]
    longer = stretches(text * 3, language)
    for end in range(len(text), 3 * len(text), 37):
        parts = stretches((text * 3)[:end].rstrip(), language)
        assert parts[:-1] == longer[: len(parts) - 1]


def cued(words: list[str], size: int, pauses: set[int]) -> tuple[str, tuple[Cue, ...]]:
    """Return words as text with a cue for each ``size`` of them; there is silence in front of some cues."""
    text, cues, seconds = "", [], 0.0
    for number, at in enumerate(range(0, len(words), size)):
        said = " ".join(words[at : at + size])
        text += " " * bool(text)
        seconds += 0.9 if number in pauses else 0.1
        cues.append(Cue(len(text), len(text) + len(said), Time(seconds, seconds + 2)))
        text, seconds = text + said, seconds + 2
    return text, tuple(cues)


def test_speech_is_cut_at_pauses_first() -> None:
    text, cues = cued(ENGLISH.split(), 8, {1, 4})
    parts = stretches(text, "en", cues)
    assert parts[0] == "okay so the harbour office called on monday"
    assert text.index(parts[2]) >= cues[4].start
    assert cues[4].start in {text.index(part) for part in parts}


def test_then_at_the_ends_of_cues() -> None:
    text, cues = cued(ENGLISH.split(), 8, set())
    assert {text.index(part) for part in stretches(text, "en", cues)} <= {cue.start for cue in cues}


def test_a_pause_inside_a_sentence_with_punctuation_does_not_cut_it() -> None:
    text, cues = cued("We will paint the hull, if nobody minds, in March, after the thaw.".split(), 3, {1, 2, 3})
    assert stretches(text, "en", cues) == [text]


def test_passages_say_when_their_stretch_was_said() -> None:
    text, cues = cued(ENGLISH.split(), 8, {1})
    block = Block(BlockKind.PARAGRAPH, 0, len(text), cues=cues, speaker="Sam")
    passages = split_passages(Document("call.vtt", "call", text, "", (block,)))
    assert {passage.location.speaker for passage in passages} == {"Sam"}
    assert passages[0].location.time == Time(0.1, 2.1)
    assert passages[1].location.time is not None
    assert passages[1].location.time.start == 3.0
    assert passages[-1].location.time is not None
    assert passages[-1].location.time.end == cues[-1].time.end


def test_headings_and_rows_of_tables_are_not_cut() -> None:
    for block in (Block(BlockKind.HEADING, 0, 300), Block(BlockKind.PARAGRAPH, 0, 300, columns=("a",))):
        assert len(split_passages(Document("a.md", "a", ENGLISH[:300].rstrip(), "", (block,)))) == 1


@settings(deadline=None, max_examples=100)
@given(st.lists(texts | st.sampled_from([ENGLISH, CHINESE, THAI, "- " * 150, "́" * 150, "a " * 120]), max_size=6))
def test_stretches_are_in_order_apart_and_lose_nothing(pieces: list[str]) -> None:
    text = "".join(pieces).strip()
    if any(map(str.isalnum, text)):
        spans = list(readable_stretches(text, 0, len(text)))
        edges = [edge for span in spans for edge in span]
        assert edges == sorted(edges)
        assert (edges[0], edges[-1]) == (0, len(text))
        assert all(not text[end:start].strip() for (_, end), (start, _) in itertools.pairwise(spans))
        assert all(text[start:end].strip() and any(map(str.isalnum, text[start:end])) for start, end in spans)


def test_nothing_is_cut_inside_a_gap() -> None:
    text = f"{ENGLISH[:90]} Page 2 of 3 {ENGLISH[90:]}"
    gap = (90, 103)
    assert not any(
        gap[0] <= edge <= gap[1] for span in readable_stretches(text, 0, len(text), gaps=[gap]) for edge in span
    )


def test_a_plain_file_of_captions_gives_stretches() -> None:
    passages = split_passages(document(f"{ENGLISH}\n"))
    assert [passage.text for passage in passages] == stretches(ENGLISH)


def test_the_examples_of_the_module_hold() -> None:
    assert doctest.testmod(unpunctuated).failed == 0

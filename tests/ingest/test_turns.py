import doctest

from hypothesis import given, settings
from hypothesis import strategies as st

from sourceline.ingest import turns
from sourceline.ingest.turns import Utterance, set_turns
from sourceline.types import Block, BlockKind, Cue, Time
from tests.support.texts import texts
from tests.support.turns import check_turns


def test_the_examples_hold() -> None:
    assert doctest.testmod(turns).failed == 0


def test_a_turn_is_a_paragraph_below_a_line_with_speaker_and_time() -> None:
    parsed = set_turns(
        [
            Utterance(" We will paint\nthe hull ", Time(1, 4), "Ilse Kern"),
            Utterance("in March.", Time(4, 7.5), "Ilse Kern"),
            Utterance("I would wait.", Time(3661, None), "Bo Lind"),
            Utterance("Or not.", None, "Bo Lind"),
        ]
    )
    assert parsed.text == (
        "Ilse Kern  0:01\nWe will paint the hull in March.\n\nBo Lind  1:01:01\nI would wait. Or not.\n"
    )
    assert parsed.blocks == (
        Block(
            BlockKind.PARAGRAPH, 16, 48, speaker="Ilse Kern", cues=(Cue(16, 38, Time(1, 4)), Cue(39, 48, Time(4, 7.5)))
        ),
        Block(BlockKind.PARAGRAPH, 67, 88, speaker="Bo Lind", cues=(Cue(67, 80, Time(3661)),)),
    )


def test_where_nobody_is_named_a_pause_behind_a_sentence_begins_a_paragraph() -> None:
    said = [("We paint", 0, 2), ("the hull.", 6, 7), ("In March.", 7.5, 9), ("Or May.", 11, 12)]
    parsed = set_turns([Utterance(text, Time(start, end)) for text, start, end in said])
    assert parsed.text == "0:00\nWe paint the hull. In March.\n\n0:11\nOr May.\n"


def test_without_punctuation_each_pause_begins_a_paragraph() -> None:
    said = [("we paint", 0, 2), ("the hull", 2, 3), ("in march", 5, 6)]
    parsed = set_turns([Utterance(text, Time(start, end)) for text, start, end in said])
    assert parsed.text == "0:00\nwe paint the hull\n\n0:05\nin march\n"


def test_a_second_recording_in_a_file_begins_a_turn() -> None:
    parsed = set_turns([Utterance("One.", Time(9, 10), "Bo"), Utterance("Two.", Time(0, 1), "Bo")])
    assert parsed.text == "Bo  0:09\nOne.\n\nBo  0:00\nTwo.\n"
    untimed = [Utterance("One.", Time(9, 10), "Bo"), Utterance("And.", None, "Bo"), Utterance("Two.", Time(0, 1), "Bo")]
    assert set_turns(untimed).text == "Bo  0:09\nOne. And.\n\nBo  0:00\nTwo.\n"


def test_a_long_turn_is_set_in_paragraphs_that_end_with_a_sentence() -> None:
    parsed = set_turns(
        [Utterance(f"Sentence {number} is here.", Time(number, number + 1), "Bo") for number in range(100)]
    )
    assert len(parsed.blocks) > 1
    assert {block.speaker for block in parsed.blocks} == {"Bo"}
    assert all(len(parsed.text[block.start : block.end]) < 1_100 for block in parsed.blocks)
    assert parsed.text.count("Bo  0:00") == 1


def test_chinese_is_joined_without_blanks() -> None:
    assert set_turns([Utterance("会议于三点"), Utterance("开始。"), Utterance("OK")]).text == "会议于三点开始。 OK\n"


TIMES = st.none() | st.tuples(st.floats(0, 1e6), st.none() | st.floats(0, 100)).map(
    lambda pair: Time(pair[0], None if pair[1] is None else pair[0] + pair[1])
)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.builds(Utterance, texts, TIMES, st.none() | st.sampled_from(["Anna", "Bo"]), st.booleans()), max_size=9)
)
def test_every_word_is_set_once_in_order_with_the_time_of_its_utterance(utterances: list[Utterance]) -> None:
    parsed = set_turns(utterances)
    check_turns(parsed)
    said = [utterance for utterance in utterances if utterance.text.strip()]
    words = "".join(parsed.text[block.start : block.end] for block in parsed.blocks)
    assert "".join(words.split()) == "".join("".join(utterance.text.split()) for utterance in said)
    cues = [cue for block in parsed.blocks for cue in block.cues]
    timed = [utterance for utterance in said if utterance.time]
    assert [(parsed.text[cue.start : cue.end], cue.time) for cue in cues] == [
        (" ".join(utterance.text.split()), utterance.time) for utterance in timed
    ]

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourceline.errors import DocumentError
from sourceline.ingest.formats import transcript_json
from tests.support.texts import texts
from tests.support.turns import check_turns, read, said


def words(text: str, start: float, step: float, key: str = "word") -> list[dict[str, Any]]:
    return [
        {key: word, "start": start + at * step, "end": start + (at + 1) * step} for at, word in enumerate(text.split())
    ]


WHISPER = {
    "text": " We will paint the hull. In March.",
    "segments": [
        {"id": 0, "seek": 0, "start": 1.0, "end": 4.0, "text": " We will paint", "tokens": [1], "avg_logprob": -0.2},
        {"id": 1, "seek": 0, "start": 4.0, "end": 7.5, "text": " the hull.", "tokens": [2], "avg_logprob": -0.3},
        {"id": 2, "seek": 0, "start": 7.5, "end": 9.0, "text": " In March.", "tokens": [3], "avg_logprob": -0.3},
    ],
    "language": "en",
}
WHISPERX = {
    "segments": [
        {
            "start": 1.0,
            "end": 9.0,
            "text": " We paint it. In 2026.",
            "speaker": "SPEAKER_00",
            "words": [*words("We paint it. In", 1, 1), {"word": "2026."}],
        },
        {"start": 9.5, "end": 11.0, "text": " Or not.", "speaker": "SPEAKER_01"},
    ],
    "word_segments": [],
}
ASSEMBLYAI = {
    "id": "4242",
    "status": "completed",
    "text": "We paint it. In March. No.",
    "words": [],
    "utterances": [
        {"speaker": "A", "text": "We paint it. In March.", "start": 1000, "end": 6000, "confidence": 0.9,
         "words": words("We paint it. In March.", 1000, 1000, "text")},
        {"speaker": "B", "text": "No.", "start": 61500, "end": 62000, "confidence": 0.9, "words": []},
    ],
}  # fmt: skip
ASSEMBLYAI_WORDS = {
    "text": "We paint it. In March.",
    "utterances": None,
    "words": [*words("We paint it.", 1000, 1000, "text"), *words("In March.", 9000, 1000, "text")],
}
DEEPGRAM = {
    "metadata": {"duration": 9.0},
    "results": {
        "channels": [{"alternatives": [{"transcript": "we paint it", "words": words("we paint it", 1, 1)}]}],
        "utterances": [
            {"speaker": 0, "start": 1.0, "end": 4.0, "transcript": "We paint it.",
             "words": [word | {"punctuated_word": said, "speaker": 0}
                       for word, said in zip(words("we paint it", 1, 1), ["We", "paint", "it."], strict=True)]},
            {"speaker": 1, "start": 4.5, "end": 5.0, "transcript": "No."},
        ],
    },
}  # fmt: skip
PARAGRAPHS = [
    {"speaker": 0, "num_words": 5, "start": 1.0, "end": 6.0,
     "sentences": [{"text": "We paint it.", "start": 1.0, "end": 4.0}, {"text": "In March.", "start": 4, "end": 6}]},
    {"speaker": 1, "sentences": [{"text": "No.", "start": 6.5, "end": 7.0}]},
]  # fmt: skip
DEEPGRAM_PARAGRAPHS = {
    "results": {"channels": [{"alternatives": [{"transcript": "", "paragraphs": {"paragraphs": PARAGRAPHS}}]}]}
}
DEEPGRAM_WORDS = {
    "results": {
        "channels": [{"alternatives": [{"transcript": "we paint no", "words": [
            {"word": "we", "punctuated_word": "We", "start": 1.0, "end": 2.0, "speaker": 0},
            {"word": "paint", "punctuated_word": "paint.", "start": 2.0, "end": 3.0, "speaker": 0},
            {"word": "no", "punctuated_word": "No.", "start": 3.0, "end": 4.0, "speaker": 1},
        ]}]}]
    }
}  # fmt: skip
TWO_CHANNELS = {
    "results": {
        "channels": [
            {"alternatives": [{"transcript": "We paint.", "words": []}]},
            {"alternatives": [{"transcript": "No.", "words": []}]},
        ]
    }
}
WHISPER_SAID: list[object] = [(None, (1, 7.5), "We will paint the hull."), (None, (7.5, 9), "In March.")]
CASES: dict[str, tuple[object, list[object]]] = {
    "Whisper": (WHISPER, WHISPER_SAID),
    "Whisper's segments alone": (WHISPER["segments"], WHISPER_SAID),
    "Whisper without times": ({"text": "Good morning.", "usage": {}}, [(None, None, "Good morning.")]),
    "WhisperX": (
        WHISPERX,
        [
            ("SPEAKER_00", (1, 4), "We paint it."),
            ("SPEAKER_00", (4, 5), "In 2026."),
            ("SPEAKER_01", (9.5, 11), "Or not."),
        ],
    ),
    "AssemblyAI": (
        ASSEMBLYAI,
        [("Speaker A", (1, 4), "We paint it."), ("Speaker A", (4, 6), "In March."), ("Speaker B", (61.5, 62), "No.")],
    ),
    "AssemblyAI without speakers": (ASSEMBLYAI_WORDS, [(None, (1, 4), "We paint it."), (None, (9, 11), "In March.")]),
    "Deepgram": (DEEPGRAM, [("Speaker 0", (1, 4), "We paint it."), ("Speaker 1", (4.5, 5), "No.")]),
    "Deepgram's paragraphs": (
        DEEPGRAM_PARAGRAPHS,
        [("Speaker 0", (1, 4), "We paint it."), ("Speaker 0", (4, 6), "In March."), ("Speaker 1", (6.5, 7), "No.")],
    ),
    "Deepgram's words": (DEEPGRAM_WORDS, [("Speaker 0", (1, 3), "We paint."), ("Speaker 1", (3, 4), "No.")]),
    "Deepgram's channels": (TWO_CHANNELS, [("Channel 1", None, "We paint."), ("Channel 2", None, "No.")]),
}  # fmt: skip


@pytest.mark.parametrize(("content", "expected"), CASES.values(), ids=CASES)
def test_each_sentence_has_its_speaker_and_time(content: object, expected: list[object]) -> None:
    assert said(json.dumps(content), "call.json") == expected


def test_the_text_is_set_to_be_read() -> None:
    assert read(json.dumps(ASSEMBLYAI), "call.json").text == (
        "Speaker A  0:01\nWe paint it. In March.\n\nSpeaker B  1:01\nNo.\n"
    )


def test_a_segment_whose_words_are_written_in_another_way_has_one_time() -> None:
    segment = {"start": 1, "end": 9, "text": "It costs $5. Or 6.", "words": words("it costs five or six", 1, 1)}
    assert said(json.dumps({"segments": [segment]}), "call.json") == [
        (None, (1, 9), "It costs $5."),
        (None, (1, 9), "Or 6."),
    ]


@pytest.mark.parametrize("start", ["NaN", "1e400", "-1", "1" + "0" * 400, '"1"', "true", "null", "[]"])
def test_a_time_that_is_none_is_left_out(start: str) -> None:
    text = f'{{"segments": [{{"text": "We paint it.", "start": {start}, "end": 4, "avg_logprob": NaN}}]}}'
    assert said(text, "call.json") == [(None, None, "We paint it.")]


def test_half_a_character_is_replaced() -> None:
    assert said('{"segments": [{"text": "A \\ud800 B\\u0000C.", "start": 1}]}', "call.json") == [
        (None, (1, None), "A \ufffd B C.")
    ]


NO_TRANSCRIPT = "^it is no transcript; of JSON files, only those of Whisper, AssemblyAI and Deepgram are read$"


@pytest.mark.parametrize(
    "content",
    [
        *(None, 1, "text", True, [], {}, [1, "two"], [{"start": 1}], {"name": "package", "version": "1.0"}),
        *({"text": "Just a text."}, {"segments": []}, {"segments": {}}, {"segments": [[], None, 1, {"text": 1}]}),
        *({"utterances": "x"}, {"words": [1]}, {"results": []}, {"results": {"channels": [{"alternatives": {}}]}}),
        *({"results": {"utterances": [{"transcript": None}]}}, {"segments": [{"text": " \n", "start": 1}]}),
    ],
)
def test_other_json_is_an_error_that_names_what_is_read(content: object) -> None:
    with pytest.raises(DocumentError, match=NO_TRANSCRIPT):
        read(json.dumps(content), "data.json")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is not JSON: Expecting value: line 1 column 1"),
        ("{", "it is not JSON: Expecting property name"),
        ("[" * 200_000, "it is not JSON that can be read: too deeply nested"),
        ('{"a":' * 200_000, "it is not JSON that can be read: too deeply nested"),
        ("1" * 5_000, "it is not JSON: Exceeds the limit"),
        ('{"segments": 1, "segments": 2}', "it is not JSON: a name stands twice in one object"),
        ("\xff", "it is not JSON: Expecting value"),
    ],
)
def test_what_is_no_json_is_an_error_of_one_line(text: str, reason: str) -> None:
    with pytest.raises(DocumentError) as error:
        read(text, "data.json")
    assert str(error.value).startswith(reason)
    assert "\n" not in str(error.value)


def test_what_is_no_text_is_an_error() -> None:
    with pytest.raises(DocumentError, match="it is not UTF-8"):
        read(b'{"text": "\xff"}', "data.json")


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | texts
KEYS = st.sampled_from(
    "text segments utterances words results channels alternatives paragraphs sentences start end speaker transcript "
    "word punctuated_word usage".split()
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5))


@settings(max_examples=200, deadline=None)
@given(VALUES | st.builds(lambda items: {"segments": items}, st.lists(st.dictionaries(KEYS, VALUES, max_size=6))))
def test_any_json_is_a_transcript_or_an_error(content: object) -> None:
    try:
        parsed = transcript_json.parse(json.dumps(content).encode())
    except DocumentError:
        return
    check_turns(parsed)
    parsed.text.encode()

import doctest
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourceline.errors import DocumentError
from sourceline.ingest.formats import subtitles
from tests.support.texts import texts
from tests.support.turns import check_turns, read, said, spoken

TEAMS = """WEBVTT

1
00:00:01.000 --> 00:00:04.000
<v Ilse Kern>We will paint the hull

2
00:00:04.000 --> 00:00:07.500
<v Ilse Kern>in March, after the thaw.

3
00:00:08.000 --> 00:00:10.000
<v Bo Lind>I would wait until April.
"""
SAID = [
    ("Ilse Kern", (1, 7.5), "We will paint the hull in March, after the thaw."),
    ("Bo Lind", (8, 10), "I would wait until April."),
]
ZOOM = TEAMS.replace("<v ", "").replace(">We", ": We").replace(">in", ": in").replace(">I ", ": I ")
WEBEX = TEAMS
for number, name in (("1", "Ilse Kern"), ("2", "Ilse Kern"), ("3", "Bo Lind")):
    WEBEX = WEBEX.replace(f"\n{number}\n", f'\n{number} "{name}" (4242)\n').replace(f"<v {name}>", "")


def test_the_examples_hold() -> None:
    assert doctest.testmod(subtitles).failed == 0


@pytest.mark.parametrize("text", [TEAMS, ZOOM, WEBEX], ids=["Teams", "Zoom", "Webex"])
@pytest.mark.parametrize("name", ["call.vtt", "call.txt"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_cues_are_joined_to_sentences_with_speaker_and_time(text: str, name: str, end: str, mark: str) -> None:
    assert said(mark + text.replace("\n", end), name) == SAID


def test_the_text_is_set_to_be_read() -> None:
    assert read(TEAMS, "call.vtt").text == (
        "Ilse Kern  0:01\nWe will paint the hull in March, after the thaw.\n\n"
        "Bo Lind  0:08\nI would wait until April.\n"
    )


SRT = """1
00:00:01,000 --> 00:00:04,000
We will paint
the hull

2
00:00:04,000 --> 00:00:07,500
in March.

3
00:01:08,000 --> 01:00:10,000
Or in May.
"""
SRT_SAID = [(None, (1, 7.5), "We will paint the hull in March."), (None, (68, 3610), "Or in May.")]


@pytest.mark.parametrize("name", ["film.srt", "film.txt"])
def test_subrip_is_read(name: str) -> None:
    assert said(SRT, name) == SRT_SAID


SLOPPY = {
    "dots": SRT.replace(",000 ", ".000 ").replace(",500", ".500"),
    "no hours": SRT.replace("00:00:", "00:"),
    "no milliseconds": SRT.replace(",000", ""),
    "no numbers": SRT.replace("1\n00:0", "00:0").replace("\n2\n", "\n").replace("\n3\n", "\n"),
    "no blank lines": SRT.replace("\n\n", "\n"),
    "blank lines in a cue": SRT.replace("paint\n", "paint\n\n"),
    "more blank lines": SRT.replace("\n\n", "\n\n\n\n"),
    "short arrows": SRT.replace("-->", "->"),
    "no blanks around arrows": SRT.replace(" --> ", "-->"),
    "coordinates": SRT.replace("07,500", "07,500 X1:100 X2:200"),
    "tags": SRT.replace("We will", "<i>We</i> <font color='red'>will</font>").replace("Or", "{\\an8}Or"),
    "something in front": f"Made by a program.\n\n{SRT}",
    "a byte-order mark": f"\ufeff{SRT}",
    "a head of WebVTT": f"WEBVTT\n\n{SRT.replace(',', '.')}",
}


@pytest.mark.parametrize("text", SLOPPY.values(), ids=SLOPPY)
def test_what_players_forgive_is_read(text: str) -> None:
    assert said(text, "film.srt") == SRT_SAID


def test_webvtt_without_its_head_and_broken_cues_are_read_as_far_as_possible() -> None:
    text = "00:01.000 --> 00:02.000\nOne.\n\nxx --> yy\nTwo.\n\n00:09.000 --> 00:03.000\nThree.\n"
    assert said(text, "call.vtt") == [(None, (1, 2), "One."), (None, (2, 2), "Two."), (None, (9, None), "Three.")]


@pytest.mark.parametrize("text", ["WEBVTT\n", "", "Good morning.\n", "WEBVTT\n\n00:01.000 --> 00:02.000\n\n"])
@pytest.mark.parametrize("name", ["call.vtt", "call.srt"])
def test_a_file_without_a_cue_is_an_error(text: str, name: str) -> None:
    with pytest.raises(DocumentError, match=r"^no words stand in it below times like 00:01:02\.500 --> 00:01:05\.000$"):
        read(text, name)


def test_comments_styles_settings_names_and_tags_are_not_read() -> None:
    text = (
        "WEBVTT - Call\nKind: captions\nLanguage: en\n\nSTYLE\n::cue(v) { color: red }\n\nREGION\nid:fred\n\n"
        "NOTE\nnot agreed\nat all\n\nintro\n00:01.000 --> 00:04.000 align:start position:0%\n"
        "<v.loud.first Ilse &amp; Bo>We <b>will</b> <00:00:02.000><c.red> paint</c> <lang en>it</lang>,\n"
        "if x &lt; 5 &amp; y > 3.</v>\n\nNOTE nor this\n\n"
        "00:05.000 --> 00:06.000\n<v Bo>It&rsquo;s &quot;dry&quot; & <3, I'd say.\n"
    )
    assert said(text, "call.vtt") == [
        ("Ilse & Bo", (1, 4), "We will paint it, if x < 5 & y > 3."),
        ("Bo", (5, 6), 'It’s "dry" & <3, I\'d say.'),
    ]


def test_two_voices_in_a_cue_are_two_turns() -> None:
    text = "WEBVTT\n\n00:01.000 --> 00:04.000\n<v Ilse>Is it dry?</v> <v Bo>No.\nNot yet.</v> (coughs)\n"
    assert said(text, "call.vtt") == [
        ("Ilse", (1, 4), "Is it dry?"),
        ("Bo", (1, 4), "No."),
        ("Bo", (1, 4), "Not yet."),
        (None, (1, 4), "(coughs)"),
    ]


def test_dashes_and_angles_begin_the_words_of_another() -> None:
    text = (
        "00:01.000 --> 00:04.000\n- Is it dry?\n- No.\n\n00:04.000 --> 00:05.000\n-5 degrees. &gt;&gt; Good. >>> Why?\n"
    )
    assert read(text, "call.vtt").text == ("0:01\nIs it dry?\n\n0:01\nNo. -5 degrees.\n\n0:04\nGood.\n\n0:04\nWhy?\n")


YOUTUBE = """WEBVTT
Kind: captions

00:00:00.000 --> 00:00:02.550 align:start position:0%
\x20
so<00:00:00.480><c> we</c><00:00:01.000><c> paint</c>

00:00:02.550 --> 00:00:02.560 align:start position:0%
so we paint
\x20

00:00:02.560 --> 00:00:05.000 align:start position:0%
so we paint
the<00:00:03.000><c> hull</c>

00:00:05.000 --> 00:00:05.010 align:start position:0%
the hull
\x20

00:00:05.010 --> 00:00:07.000 align:start position:0%
the hull
in march
"""
GROWING = "WEBVTT\n\n00:00.000 --> 00:02.550\nso we paint\n\n00:02.560 --> 00:05.000\nso we paint the hull\n\n" + (
    "00:05.010 --> 00:07.000\nso we paint the hull in march\n"
)
OVERLAPPING = "WEBVTT\n\n00:00.000 --> 00:03.000\nso we paint\n\n00:02.560 --> 00:05.500\nso we paint\nthe hull\n\n" + (
    "00:05.010 --> 00:07.000\nthe hull\nin march\n"
)


@pytest.mark.parametrize("text", [YOUTUBE, GROWING, OVERLAPPING], ids=["YouTube", "growing", "overlapping"])
def test_captions_that_roll_up_say_each_word_once(text: str) -> None:
    document = read(text, "talk.vtt")
    assert document.text == "0:00\nso we paint the hull in march\n"
    (block,) = document.blocks
    assert [(document.text[cue.start : cue.end], cue.time.start) for cue in block.cues] == [
        ("so we paint", 0),
        ("the hull", 2.56),
        ("in march", 5.01),
    ]


def test_what_is_said_twice_stands_twice() -> None:
    text = "00:01.000 --> 00:02.000\nNo.\n\n00:02.000 --> 00:03.000\nNo.\n\n00:03.000 --> 00:04.000\nI mean it.\n\n" + (
        "00:04.000 --> 00:05.000\nDo you?\n\n00:05.000 --> 00:06.000\nI do.\n"
    )
    assert [words for _, words in spoken(text, "film.vtt")] == ["No.", "No.", "I mean it.", "Do you?", "I do."]


def test_names_in_front_of_cues_are_speakers_until_the_next_one() -> None:
    text = (
        "1\n00:00:01,000 --> 00:00:02,000\n[SPEAKER_00]: We will paint\n\n"
        "2\n00:00:02,000 --> 00:00:03,000\nthe hull.\n\n3\n00:00:03,000 --> 00:00:04,000\n[SPEAKER_01]: When?\n"
    )
    assert spoken(text, "call.srt") == [("SPEAKER_00", "We will paint the hull."), ("SPEAKER_01", "When?")]


def test_where_few_cues_are_named_a_name_holds_for_its_sentence() -> None:
    lines = ["Is it open?", "Yes.", "SHERIFF: Nobody", "moves!", "I don't.", "MAN: Me neither.", "Good."]
    text = "\n\n".join(f"00:0{at}.000 --> 00:0{at + 1}.000\n{line}" for at, line in enumerate(lines))
    assert spoken(text, "film.vtt") == [
        (None, "Is it open?"),
        (None, "Yes."),
        ("SHERIFF", "Nobody moves!"),
        (None, "I don't."),
        ("MAN", "Me neither."),
        (None, "Good."),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "WEBVTT is a format.\nIt is read.\n",
        "The train leaves at 00:01:00.\n1\n2\n",
        "1\n2\n3\n",
        "Map a --> b.\n",
    ],
)
def test_a_text_that_only_looks_like_subtitles_at_first_is_read_as_text(text: str) -> None:
    assert read(text).text == text


CUES = st.lists(st.tuples(st.sampled_from(["", "<v Anna>", "Bo: ", "- ", "1\n"]), texts), max_size=5).map(
    lambda cues: "WEBVTT\n\n" + "\n\n".join(f"00:0{at}.000 --> 00:0{at}.900\n{a}{b}" for at, (a, b) in enumerate(cues))
)


@settings(max_examples=100, deadline=None)
@given(CUES | texts)
def test_cues_lie_in_the_text_in_order(text: str) -> None:
    try:
        parsed = subtitles.parse(text)
    except DocumentError:
        return
    check_turns(parsed)
    assert parsed == subtitles.parse(text)


def _cues(lines: Sequence[str]) -> str:
    return "\n\n".join(f"{at + 1}\n00:00:{at:02d},000 --> 00:00:{at + 1:02d},000\n{a}" for at, a in enumerate(lines))


@pytest.mark.parametrize(
    "name",
    [
        *("jsmith", "Karl's iPhone", "iPhone von Karl", "陈伟", "user123", "Amy O. | Acme", "Conference Room 3"),
        *("van der Berg, Piet", "Priya (she/her)", "+49 170 1 (Otto's phone)", "Dr. Tove Aas", "o'brien_k", "JK"),
    ],
)
@pytest.mark.parametrize("often", [1, 2])
def test_whatever_people_call_themselves_in_a_call_is_the_speaker(name: str, often: int) -> None:
    lines = ["Ilse Kern: The pump is broken.", f"{name}: Since when? I heard nothing.", "Ilse Kern: Since May."]
    expected = [
        ("Ilse Kern", "The pump is broken."),
        (name, "Since when?"),
        (name, "I heard nothing."),
        ("Ilse Kern", "Since May."),
    ]
    assert spoken(_cues(lines * often), "call.srt") == expected * often


def test_a_name_that_tells_nothing_holds_for_the_cues_below_it() -> None:
    lines = ["jsmith: The pump", "is broken.", "user123: Since when?", "jsmith: Since May.", "It squeaks."]
    assert spoken(_cues(lines), "call.srt") == [
        ("jsmith", "The pump is broken."),
        ("user123", "Since when?"),
        ("jsmith", "Since May."),
        ("jsmith", "It squeaks."),
    ]


@pytest.mark.parametrize(
    "lines",
    [
        ["So this is the thing: it leaks.", "We looked at it.", "And then he said: no.", "So we left."],
        ["Note: it leaks.", "We looked at it.", "It is old.", "Warning: stand back."],
        ["It opens at: nine.", "https://example.org is the page.", "It is 9:30 now."],
        ["[Music] We are back.", "[Laughter] It leaks.", "[Music] Good night."],
        ["[Harbour] It was dark.", "We sat there.", "Nobody came.", "[Church] It was cold.", "We went in."],
    ],
)
def test_a_colon_in_what_is_said_names_nobody(lines: list[str]) -> None:
    assert {speaker for speaker, _ in spoken(_cues(lines), "film.srt")} == {None}


@pytest.mark.parametrize("names", [("Ann Lee", "Bo Lind"), ("Ann", "Wanyu"), ("Tjark", "Speaker 2")])
def test_names_in_brackets_in_front_of_cues_are_speakers(names: tuple[str, str]) -> None:
    first, second = names
    lines = [f"[{first}] The kiln is hot.", f"[{second}] Since when?", f"[{first}] Since May."]
    assert spoken(_cues(lines), "film.srt") == [
        (first, "The kiln is hot."),
        (second, "Since when?"),
        (first, "Since May."),
    ]

import doctest
import unicodedata
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourceline.ingest import people, speakers
from sourceline.ingest.formats import markdown, plain
from sourceline.types import Time
from tests.support.texts import texts
from tests.support.turns import check_turns, read, said, spoken

FRIDAY = "I looked at the school on Friday."


def test_the_examples_hold() -> None:
    assert doctest.testmod(speakers).failed == 0


def test_the_speaker_is_known_for_every_sentence_of_a_turn_and_stands_in_none() -> None:
    text = (
        "Anna: I looked at the school on Friday. The roof leaks in three places.\n"
        "Bo: I looked at the church. The tower leans a little. We can wait with that one.\n"
    )
    assert spoken(text) == [
        ("Anna", FRIDAY),
        ("Anna", "The roof leaks in three places."),
        ("Bo", "I looked at the church."),
        ("Bo", "The tower leans a little."),
        ("Bo", "We can wait with that one."),
    ]


def test_a_question_and_its_answer_are_of_two_speakers() -> None:
    text = "Anna: What is the budget for the new ferry?\nBo: Forty thousand, at most.\nAnna: When does it leave?\n"
    assert spoken(text) == [
        ("Anna", "What is the budget for the new ferry?"),
        ("Bo", "Forty thousand, at most."),
        ("Anna", "When does it leave?"),
    ]


def test_a_line_with_name_and_time_stands_above_a_wrapped_turn() -> None:
    text = (
        "Ilse Kern  0:00  \nSo I went down to the harbour on Friday to look at the old crane, and what I\n"
        "found is that the cable is so frayed that nobody ought to lift more than half a\ntonne with it.\n\n"
        "Bo Lind  0:49  \nI would rather sell the crane than pay for it, because we used it only twice in\n"
        "the whole of last year.\n"
    )
    kern, lind = said(text)
    assert kern[:2] == ("Ilse Kern", (0, 49))
    assert kern[2].startswith("So I went down")
    assert kern[2].endswith("than half a\ntonne with it.")
    assert lind == (
        "Bo Lind",
        (49, None),
        "I would rather sell the crane than pay for it, because we used it only twice in\nthe whole of last year.",
    )


TIMED = {
    "brackets in front": ("[00:12:03] {}: ", "[00:12:40] {}: "),
    "round brackets in front": ("(12:03) {}: ", "(12:40) {}: "),
    "a time in front": ("00:12:03 {}: ", "00:12:40 {}: "),
    "a span of time": ("[00:12:03 --> 00:12:40] {}: ", "[00:12:40 --> 00:13:00] {}: "),
    "a time behind": ("{} (00:12:03): ", "{} (00:12:40): "),
    "brackets behind": ("{} [00:12:03] ", "{} [00:12:40] "),
    "a line of its own": ("{}  12:03\n", "{}  12:40\n"),
    "one blank": ("{} 12:03\n", "{} 12:40\n"),
    "a bar": ("{} | 12:03\n", "{} | 12:40\n"),
    "a line with brackets": ("{} [00:12:03]\n", "{} [00:12:40]\n"),
    "the time above": ("12:03 {}\n", "12:40 {}\n"),
    "the name in brackets": ("[{}] 00:12:03\n", "[{}] 00:12:40\n"),
    "bold": ("**{}** [00:12:03]: ", "**{}** [00:12:40]: "),
    "bold in brackets": ("**[00:12:03] {}:** ", "**[00:12:40] {}:** "),
}


@pytest.mark.parametrize(("first", "second"), TIMED.values(), ids=TIMED)
@pytest.mark.parametrize("names", [("Anna", "Bo"), ("Ilse Kern", "Dr. Bo Lind-Aas"), ("Speaker 1", "Speaker 2")])
@pytest.mark.parametrize("name", ["talk.txt", "talk.md"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_turn_has_the_time_in_its_label_and_ends_where_the_next_begins(
    first: str, second: str, names: tuple[str, str], name: str, end: str
) -> None:
    text = f"{first.format(names[0])}{FRIDAY} It leaks.\n\nBadly.\n\n{second.format(names[1])}Then mend it.\n"
    assert said(text.replace("\n", end), name) == [
        (names[0], (723, 760), FRIDAY),
        (names[0], (723, 760), "It leaks."),
        (names[0], (723, 760), "Badly."),
        (names[1], (760, 780 if "13:00" in second else None), "Then mend it."),
    ]


@pytest.mark.parametrize(
    "labels",
    [
        ["[04.05.26, 10:12:33] Anna: ", "[04.05.26, 10:13:01] Bo: "],
        ["04/05/2026, 10:12 - Anna: ", "04/05/2026, 10:13 - Bo: "],
        ["\u200e[5/4/26, 3:05:10\u202fPM] Anna: ", "[5/4/26, 3:06:11\u202fPM] ~Bo: "],
        ["Anna  10:12 AM\n", "Bo  10:15 AM\n"],
        ["[10:12:33] Anna: ", "[10:13:01] Bo: "],
        ["[Anna] 10:12:33\n", "[Bo] 10:13:01\n"],
        ["10:12:33 From Anna to Everyone:\n\t", "10:13:01 From Bo to Anna (Direct Message):\n\t"],
        ["10:12:33\t From  Anna : ", "10:13:01\t From  Bo : "],
    ],
)
def test_the_time_of_day_is_no_time_in_a_recording(labels: Sequence[str]) -> None:
    assert said(f"{labels[0]}Who brings cake?\n{labels[1]}I do. With cream.\n") == [
        ("Anna", None, "Who brings cake?"),
        ("Bo", None, "I do."),
        ("Bo", None, "With cream."),
    ]


def test_accents_of_their_own_are_part_of_a_name() -> None:
    text = unicodedata.normalize("NFD", "Jürgen Weiß: Ich war in der Schule.\nRenée Möll: Wann? Ich war nicht da.\n")
    names = [unicodedata.normalize("NFC", speaker or "") for speaker, _ in spoken(text)]
    assert names == ["Jürgen Weiß", "Renée Möll", "Renée Möll"]


def test_a_notice_in_a_chat_is_nobodys() -> None:
    text = (
        "04/05/2026, 10:11 - Messages are encrypted.\n04/05/2026, 10:12 - Anna: Who brings cake?\nAnd tea?\n"
        "04/05/2026, 10:13 - Bo joined.\n04/05/2026, 10:14 - +49 170 1: I do.\n"
    )
    assert [speaker for speaker, _ in spoken(text)] == [None, "Anna", "Anna", None, "+49 170 1"]


PLAIN = {
    "numbered speakers": "Speaker 1: So the pump is broken.\nSpeaker 2: Since when?\n",
    "diarized": "SPEAKER_00: so the pump is broken\nSPEAKER_01: since when\n",
    "question and answer": "Q: Where were you?\nA: At home. I slept.\n",
    "parliament": "The Chair: I call the next speaker.\n\nMr Smith (Leeds): I thank the Chair.\n",
    "titles": "Dr. Ilse Kern-Lind: I disagree.\nCllr. Bo Lind: So do I.\n",
    "nested brackets": "The Chair (Hon. A. Rota (Nip, Lib.)): Order, please.\nMr. Bo Lind (East, Lib.): Thank you.\n",
    "capitals": "KERN: I have the key.\n\nLIND: Who has the other one?\n\nKERN: Nobody. I lost it.\n\nLIND: Oh no.\n",
    "small letters": "anna: yeah so i went down there\nbo: and what did you see\nanna: nothing really\n",
    "no common names": "Wanyu: I tested the pump.\nTjark: Did you look at the valve?\n",
    "German": "Frau Weber: Ich habe die Schule angesehen.\nVorsitzender: Das können wir vertagen.\n",
    "no full stops": "anna: can you tell me who has the key\nbo: old tom does\nanna: and the boat\nbo: it is sold\n",
    "Russian": "Иван: Я видел школу.\nСвета: А я нет.\n",
    "Arabic": "أحمد: أنا رأيت المدرسة.\nسارة: شكرا لك.\n",
    "Hindi": "अमित: मैंने स्कूल देखा।\nसीमा: धन्यवाद।\n",
    "Chinese": "李明：我看了学校。\n王芳：我们等一下吧。你觉得呢？\n",
    "lines of their own": "Anna:\nI have the key.\n\nBo:\nGood. Who has the other one?\n",
    "Interview": "Interviewer: Where did you work?\nMrs Kern: At the exchange.\n",
    "letters": "A: Did you see it?\nB: No, I was out.\nA: I thought so.\nB: Why?\n",
    "changes marked": ">> ANNA: Did you see it?\n>> BO: No, I was out.\n",
}  # fmt: skip


@pytest.mark.parametrize("text", PLAIN.values(), ids=PLAIN)
def test_names_roles_and_numbers_label_what_is_said(text: str) -> None:
    lines = [line.lstrip("> ") for line in text.replace("：", ": ").replace(":\n", ": ").split("\n") if line]
    expected = [tuple(line.split(": ", 1)) for line in lines]
    document = read(text)
    assert [(block.speaker, document.text[block.start : block.end]) for block in document.blocks] == expected


MARKDOWN = {
    "bold": "**Anna:** Did you see *it*?\n\n**Bo**: No, I was out.\n",
    "lines": "**Anna:** Did you see *it*?\n**Bo:** No, I was out.\n",
    "bullets": "- **Anna:** Did you see *it*?\n- **Bo:** No, I was out.\n",
    "quoted": "> **Anna:** Did you see *it*?\n> **Bo:** No, I was out.\n",
    "underlined": "__Anna:__ Did you see *it*?\n\n__Bo:__ No, I was out.\n",
    "escaped": "\\[Anna\\]: Did you see *it*?\n\n\\[Bo\\]: No, I was out.\n",
}


@pytest.mark.parametrize("text", MARKDOWN.values(), ids=MARKDOWN)
def test_the_markup_around_a_label_is_no_part_of_what_is_said(text: str) -> None:
    assert spoken(text, "talk.md") == [("Anna", "Did you see *it*?"), ("Bo", "No, I was out.")]


@pytest.mark.parametrize(
    "attendees",
    [
        "Present: Ilse Kern (IK), Bo Lind (BLD)",
        "Ilse Kern [IK]\nBo Lind [BLD]",
        "IK = Ilse Kern\nBLD – Bo Lind",
        "Ilse Kern – IK\nBo Lind – BLD",
        "IK: Ilse Kern\nBLD: Bo Lind",
        "Anwesend Ilse Kern (IK) und Bo Lind (BLD)",
    ],
)
def test_initials_are_read_as_the_name_that_the_attendees_explain(attendees: str) -> None:
    passages = spoken(f"Minutes\n\n{attendees}\n\nIK: The crane is broken. It squeaks.\nBLD: I will order a cable.\n")
    assert passages[-3:] == [
        ("Ilse Kern", "The crane is broken."),
        ("Ilse Kern", "It squeaks."),
        ("Bo Lind", "I will order a cable."),
    ]
    assert {speaker for speaker, _ in passages[:-3]} == {None}


def test_a_party_or_paper_behind_a_name_is_left_out_where_the_name_stands_alone_as_well() -> None:
    text = (
        "The CHAIR (Ms Bo Kern): I open the sitting.\n\nMr LIND (Coast): I thank you.\n\nThe CHAIR: Please.\n\n"
        "Mr LIND: I shall be brief.\n\nMs AAS (Valley): Will you?\n"
    )
    assert [speaker for speaker, _ in spoken(text)] == [
        *("The CHAIR", "Mr LIND", "The CHAIR", "Mr LIND", "Ms AAS (Valley)"),
    ]


def test_labels_inside_a_paragraph_begin_turns() -> None:
    text = (
        "HOST: It is ten past eight, and with me is Dr. Aas. Is it pure? AAS: Some of it. I saw none. HOST: And now?\n"
        "HOST: How do you find out? AAS: By looking at it.\n"
    )
    assert spoken(text) == [
        ("HOST", "It is ten past eight, and with me is Dr. Aas."),
        ("HOST", "Is it pure?"),
        ("AAS", "Some of it."),
        ("AAS", "I saw none."),
        ("HOST", "And now?"),
        ("HOST", "How do you find out?"),
        ("AAS", "By looking at it."),
    ]


def test_headings_fields_and_events_are_nobodys_and_a_turn_ends_with_the_first_two() -> None:
    text = (
        "Harbour board\n\nDate: 4 May\nChair: Ilse Kern\n\n1. Crane\nIlse Kern: I want it replaced. It squeaks.\n\n"
        "[Applause]\n\nIt is old.\nBo Lind: I agree with you.\nDecision: repair approved\n\n"
        "2. Rope\nNothing was decided.\n"
    )
    assert spoken(text) == [
        (None, "Harbour board"),
        (None, "Date: 4 May"),
        (None, "Chair: Ilse Kern"),
        (None, "1. Crane"),
        ("Ilse Kern", "I want it replaced."),
        ("Ilse Kern", "It squeaks."),
        (None, "[Applause]"),
        ("Ilse Kern", "It is old."),
        ("Bo Lind", "I agree with you."),
        (None, "Decision: repair approved"),
        (None, "2. Rope"),
        (None, "Nothing was decided."),
    ]


NO_TRANSCRIPTS = {
    "minutes": "Date: 4 May 2026\nPresent: Ilse Kern, Bo Lind\nChair: Ilse Kern\nTopic: Crane\nCrane: repair approved\n"
    "Note: We meet again in May.\nDecision: The crane is repaired.\n",
    "topics": "Crane: The repair was approved. It costs 9,000 euros.\nRope: Nothing was decided.\n",
    "topics of a board": "Crane: We approved the repair.\nRope: We wait for an offer.\n",
    "glossary": "Berth: A place where a ship lies.\nQuay: A wall that ships lie at.\nCrane: What lifts loads.\n",
    "tasks": "Actions\nAnna: order rope by 4 May\nBo: paint the hull\nIlse: ask Lund for an offer\n",
    "agenda": "Agenda\n9:30 Anna Kern: Opening\n9:45 Bo Lind: Budget\n10:30 Ilse Kern: Crane\n",
    "agenda in lines": "Opening 9:00\nThe chair welcomes all.\n\nBudget 9:15\nThe treasurer reports.\n",
    "songs": "Intro 0:45\nLong Road 3:12\nHarbour Lights 4:01\nThe album was recorded in May.\n",
    "results": "Anna Kern 2:03:11\nBo Lind 2:05:20\nIlse Aas 2:07:42\n",
    "German minutes": "Datum: 4. Mai\nAnwesend: Ilse Kern\nBeschluss: Der Kran wird repariert.\nKran: genehmigt\n",
    "standup": "Yesterday: I looked at the crane.\nToday: I order a cable.\nBlockers: none\n",
    "mail": "From: Ilse Kern\nTo: Bo Lind\nSubject: Crane\n\nDear Bo,\nhow are you? I am fine.\n",
    "prose": "The council met on Monday. Kern had one wish: a new crane.\n\nLind said: I would wait.\n",
    "steps": "Step 1: You open the valve.\nStep 2: You wait for ten minutes.\nStep 3: You close it.\n",
    "code": "operator: 'strictEqual',\nmember: 'x',\noperator: 'equal',\n",
}  # fmt: skip


@pytest.mark.parametrize("text", NO_TRANSCRIPTS.values(), ids=NO_TRANSCRIPTS)
@pytest.mark.parametrize("name", ["minutes.txt", "minutes.md"])
def test_what_is_no_transcript_has_no_speakers(text: str, name: str) -> None:
    document = read(text, name)
    assert {(block.speaker, block.cues) for block in document.blocks} == {(None, ())}
    covered = "".join(document.text[block.start : block.end] for block in document.blocks)
    assert "".join(covered.split()) == "".join(text.split())


def test_what_labels_call_somebody_and_what_they_call_something_are_apart() -> None:
    assert not people.FIELDS & people.ROLES
    assert not people.FIELDS & people.GIVEN_NAMES
    words = [*people.FIELDS, *people.ROLES, *people.GIVEN_NAMES, *people.HONORIFICS, *people.PARTICLES]
    assert words == [word.lower() for word in words]


def test_times_without_names_are_cut_off_as_well() -> None:
    text = (
        "[00:00.000 --> 00:04.000]  So we paint the hull.\n[00:04.000 --> 00:07.000]  In March.\n[00:08.500] Or May.\n"
    )
    assert said(text) == [
        (None, (0, 4), "So we paint the hull."),
        (None, (4, 7), "In March."),
        (None, (8.5, None), "Or May."),
    ]


def test_headings_with_name_and_time_are_labels() -> None:
    text = "# Call\n\n### Anna (00:00:03)\n\nWho has the key?\n\n### Bo (00:00:09)\n\nI do.\n"
    assert said(text, "call.md") == [
        (None, None, "Call"),
        ("Anna", (3, 9), "Who has the key?"),
        ("Bo", (9, None), "I do."),
    ]


NAMES = st.sampled_from(["Anna", "Bo Lind", "SPEAKER_01", "The Chair", "Note", "KERN", "李明", "Mr Smith (Leeds)"])
LABELS = st.sampled_from(
    ["{}: ", "{}  0:4{}\n", "[00:00:0{1}] {0}: ", "**{}:** ", "{} [0:5{}] ", "4.5.26, 10:1{1} - {0}: ", "{}"]
)
TURNS = st.lists(st.tuples(LABELS, NAMES, st.integers(0, 9), texts), max_size=5).map(
    lambda turns: "\n".join(label.format(name, number) + text for label, name, number, text in turns)
)


@settings(max_examples=150, deadline=None)
@given(TURNS)
def test_turns_lie_in_the_text_in_order_and_no_label_is_lost_from_it(text: str) -> None:
    for parse in (plain.parse, markdown.parse):
        parsed = parse(text)
        assert parsed.text == text
        check_turns(parsed)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["Anna", "Bo"]), st.integers(0, 59)), min_size=2, max_size=9))
def test_a_turn_ends_when_the_next_begins_and_not_before_it_began(turns: list[tuple[str, int]]) -> None:
    turns = sorted(turns, key=lambda turn: turn[1])
    document = read("\n".join(f"[00:00:{second:02d}] {name}: Is it open?" for name, second in turns))
    times = [block.cues[0].time for block in document.blocks]
    starts = [float(second) for _, second in turns]
    assert times == [Time(start, end) for start, end in zip(starts, [*starts[1:], None], strict=True)]


@pytest.mark.parametrize("names", [("ADA KING", "JON FRY"), ("Wanyu", "Tjark"), ("MORK", "ODD")])
def test_a_turn_of_two_paragraphs_is_one_persons(names: tuple[str, str]) -> None:
    king, fry = names
    text = f"{king}: The depot moves to Hull.\n\nIt opens in May.\n\n{fry}: Who drives the vans?\n\n{king}: I do.\n"
    assert spoken(text) == [
        (king, "The depot moves to Hull."),
        (king, "It opens in May."),
        (fry, "Who drives the vans?"),
        (king, "I do."),
    ]


@pytest.mark.parametrize(
    ("attendees", "labels"),
    [
        ("Present: Hugo Ranft (HRa), Mia Sund (MSu)", ("HRa: ", "MSu: ")),
        ("Attendees\n  HR  Hugo Ranft (chair)\n  MS  Mia Sund", ("HR: ", "MS: ")),
        ("Hugo Ranft\tHR\nMia Sund\tMS", ("HR: ", "MS: ")),
        ("Hugo Ranft (Chair, HR), Mia Sund (MS, clerk)", ("HR: ", "MS: ")),
        ("Present: Hugo Ranft (HR), Mia Sund (MS)", ("HR – ", "MS – ")),
        ("HR = Hugo Ranft\nMS = Mia Sund", ("HR - ", "MS - ")),
        ("Present: Theo Orr (TO), Mia Sund (MS)", ("TO: ", "MS: ")),
    ],
)
def test_initials_stand_in_many_kinds_of_lists(attendees: str, labels: tuple[str, str]) -> None:
    passages = spoken(f"Pond\n\n{attendees}\n\n{labels[0]}The pond is empty.\n{labels[1]}It leaks. We mend it.\n")
    assert passages[-3:] == [
        ("Theo Orr" if "Theo" in attendees else "Hugo Ranft", "The pond is empty."),
        ("Mia Sund", "It leaks."),
        ("Mia Sund", "We mend it."),
    ]


@pytest.mark.parametrize(
    "form",
    ["0:{second} {name}\n", "00:00:{second} {name}\n", "[0:{second}] {name}\n", "{name}\n0:{second}\n"],
)
@pytest.mark.parametrize("names", [("Ada King", "Jon Fry"), ("Tjark Odd", "Wanyu Mork")])
@pytest.mark.parametrize("blank", ["", "\n"])
def test_time_and_name_stand_above_what_is_said(form: str, names: tuple[str, str], blank: str) -> None:
    king, fry = names
    words = ["The depot moves to Hull.", "Who drives the vans?", "Then we hire a driver."]
    heads = [
        form.format(second=second, name=name) for second, name in zip((11, 21, 41), (king, fry, king), strict=True)
    ]
    text = "".join(f"{head}{line}\n{blank}" for head, line in zip(heads, words, strict=True))
    assert said(text) == [(king, (11, 21), words[0]), (fry, (21, 41), words[1]), (king, (41, None), words[2])]


def test_two_times_are_enough_where_each_line_has_one() -> None:
    text = "[00:00:01] so the barn is empty now\n[00:00:41] and the circus comes in june\n"
    assert said(text) == [
        (None, (1, 41), "so the barn is empty now"),
        (None, (41, None), "and the circus comes in june"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "0:00 Glazing Basics\nA glaze is glass.\n\n5:10 Firing Kilns\nA kiln is hot.\n",
        "Long Road\n3:12\nHarbour Lights\n4:01\nOld Mill\n5:20\n",
        "Tjark Odd\n2:03:11\nWanyu Mork\n2:05:20\n",
        "9:30 Opening\nThe chair welcomes all.\n9:45 Crane Repair\nThe board decides.\n",
    ],
)
def test_chapters_songs_and_results_have_no_speakers(text: str) -> None:
    assert {speaker for speaker, _ in spoken(text)} == {None}


@pytest.mark.parametrize("end", ["\n", "\n\n", "\r\n"])
def test_a_sentence_runs_over_the_stamps_between_its_words(end: str) -> None:
    lines = [
        "[00:04.000 --> 00:09.500]  The water drops by a foot",
        "[00:09.500 --> 00:12.000]  every hour.",
        "[00:12.000 --> 00:15.000]  It rains.",
    ]
    first, second = said(end.join(lines))
    assert first[:2] == (None, (4, 12))
    assert first[2] == f"The water drops by a foot{end}[00:09.500 --> 00:12.000]  every hour."
    assert second == (None, (12, 15), "It rains.")


def test_a_line_of_nothing_but_marks_of_quotation_is_read_at_once() -> None:
    for line in (">" * 500, "> " * 500, ">" * 40 + " Anna", "- " * 500):
        assert spoken(f"{line}\nAnna: {FRIDAY}\nBo: I looked at it.\n")[-1] == ("Bo", "I looked at it.")

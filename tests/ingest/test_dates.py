import datetime

import pytest

from sourceline.ingest.dates import date_of_chat, date_of_head, date_of_path, find_date

FOURTH_OF_MARCH = datetime.date(2026, 3, 4)
FOURTH_OF_MAY = datetime.date(2026, 5, 4)


@pytest.mark.parametrize(
    "text",
    [
        *("2026-03-04-board.md", "20260304", "2026_03_04 board", "2026.03.04", "2026 03 04", "minutes-2026-3-4"),
        *("04.03.2026", "4. 3. 2026", "4 March 2026", "March 4, 2026", "4th of March, 2026", "MARCH 4TH 2026"),
        *("Minutes_4_March_2026.md", "4-Mar-2026", "Mar. 4, 2026", "Protokoll vom 4. März 2026", "4. Maerz 2026"),
        *("le 4 mars 2026", "4 de marzo de 2026", "GMT20260304-100012_Recording.transcript.vtt"),
        *("4. Ma\u0308rz 2026", "2026-03-04T10:00Z", "from 2026-03-04 to 2026-03-06", "room 12, 4 March 2026"),
    ],
)
def test_a_date_is_found_however_it_is_written(text: str) -> None:
    assert find_date(text) == FOURTH_OF_MARCH


@pytest.mark.parametrize(
    ("text", "month"),
    [
        ("1 Jan 2026", 1), ("1. Februar 2026", 2), ("1er février 2026", 2), ("1 avril 2026", 4), ("1 Mai 2026", 5),
        ("1 juin 2026", 6), ("1 de julio de 2026", 7), ("1 août 2026", 8), ("Sept 1, 2026", 9), ("1. Okt. 2026", 10),
        ("1 noviembre 2026", 11), ("1er décembre 2026", 12), ("1. Dezember 2026", 12), ("1 de enero de 2026", 1),
    ],
)  # fmt: skip
def test_months_have_english_german_french_and_spanish_names(text: str, month: int) -> None:
    assert find_date(text) == datetime.date(2026, month, 1)


@pytest.mark.parametrize(
    "text",
    [
        *("2026-02-30", "31.04.2026", "20261304", "32 March 2026", "0 May 2026"),  # there is no such day
        *("March 2026", "2026-03", "4 March", "4 Maybe 2026", "4 March 26"),  # a part is missing
        *("minutes-120260304", "12026-03-04", "20260304123456", "room 4", "", "+49 30 2026"),  # numbers
        *("04/03/2026", "3-4-2026"),  # in April or in March
    ],
)
def test_what_names_no_day_for_certain_is_no_date(text: str) -> None:
    assert find_date(text) is None


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("13/03/2026", datetime.date(2026, 3, 13)),
        ("03/13/2026", datetime.date(2026, 3, 13)),
        ("5/5/2026", datetime.date(2026, 5, 5)),
        ("04/03/2026, that is 4 March 2026", FOURTH_OF_MARCH),
        ("2026-02-30 or 2026-03-04", FOURTH_OF_MARCH),
    ],
)
def test_doubt_about_day_and_month_ends_where_one_of_them_is_no_month(text: str, date: datetime.date) -> None:
    assert find_date(text) == date


def test_a_file_is_of_the_date_in_its_name_else_in_that_of_the_nearest_folder() -> None:
    assert date_of_path("2025-01-01/2026-03-04.md") == FOURTH_OF_MARCH
    assert date_of_path("2025/2026-03-04 10.00.12 Board/transcript.vtt") == FOURTH_OF_MARCH
    assert date_of_path("2026/03/04.md") is None


@pytest.mark.parametrize(
    "line",
    [
        *("Date: 4 May 2026", "**Date:** 4 May 2026", "- Date: 2026-05-04 10:00 UTC", "| Date | 4 May 2026 |"),
        *("Date and time: Monday, May 4th, 2026, 5pm", "Date of meeting: 4 May 2026", "Datum: 04.05.2026"),
        *("Fecha: 4 de mayo de 2026", "Recorded on 4 May 2026", "Held on 4 May 2026 in the hall"),
        *("Minutes of 4 May 2026", "Harbour board, minutes of 4 May 2026", "Protokoll vom 4. Mai 2026"),
        "Minutes of the meeting held on Monday 4 May 2026 at the customs house",
        "Niederschrift über die 3. Sitzung des Rates am 4. Mai 2026",
        *("Compte rendu de la séance du 4 mai 2026", "Acta de la reunión del 4 de mayo de 2026"),
        *("# TSC Meeting 2026-05-04", "Transcript recorded 4 May 2026 at 10:02 AM", "Report, 4 May 2026"),
        *("4 May 2026", "Monday, 4 May 2026, 10:00", "(4 May 2026)"),
    ],
)
def test_a_document_is_of_the_date_that_one_of_its_first_lines_gives_it(line: str) -> None:
    assert date_of_head(["Harbour board", line, "The crane will be repaired."]) == FOURTH_OF_MAY


@pytest.mark.parametrize(
    "title", ["Harbour board, 4 May 2026", "Harbour board (4 May 2026)", "4 May 2026 Meeting notes"]
)
def test_the_first_line_may_end_or_begin_with_the_date(title: str) -> None:
    assert date_of_head([title, "The crane will be repaired."]) == FOURTH_OF_MAY


@pytest.mark.parametrize(
    "line",
    [
        *(
            "The minutes of 4 May 2026 were approved.",
            "Approval of the minutes of 4 May 2026",
            "Last updated: 4 May 2026",
        ),
        *("Next meeting: 4 May 2026", "On 4 May 2026 the board met.", "The board met on 4 May 2026."),
        *("The fence will be built by 4 May 2026", "Report on the flood of 4 May 2026", "Date: 04/05/2026"),
        *("Genehmigung des Protokolls vom 4. Mai 2026", "Prochaine séance: 4 mai 2026", "Date: to be fixed"),
        "Minutes of 4 May 2026" + " and more" * 20,
    ],
)
def test_a_date_in_running_text_or_of_another_meeting_is_not_the_document_s(line: str) -> None:
    assert date_of_head(["Harbour board", line]) is None
    assert date_of_head([line]) is None


@pytest.mark.parametrize(
    "line",
    [
        *("Mon, May 04, 2026 9:04AM • 12:31", "Monday, May 4, 2026 11:30pm • 1:02:03", "May 4, 2026 • 31 min"),
        *("4 May 2026 · 45 minutes", "May 4, 2026 at 9:04 AM • 58:10"),
    ],
)
def test_a_recorder_s_header_has_the_time_glued_to_its_half_of_the_day_and_the_length(line: str) -> None:
    assert date_of_head(["Harbour call", line, "Anna"]) == FOURTH_OF_MAY


@pytest.mark.parametrize(
    ("message", "date"),
    [
        ("[04.05.26, 10:12:33] Anneli: The crane is up.", FOURTH_OF_MAY),
        ("\u200e[04.05.2026, 10:12:33] Anneli: The crane is up.", FOURTH_OF_MAY),
        ("04.05.26, 10:12 - Nachrichten sind verschlüsselt.", FOURTH_OF_MAY),
        ("12/31/25, 9:13\u202fPM - Mo Salt: Happy new year", datetime.date(2025, 12, 31)),
        ("31/12/2025, 21:13 - Mo Salt: Happy new year", datetime.date(2025, 12, 31)),
        ("[9:13 PM, 12/31/2025] Mo Salt: Happy new year", datetime.date(2025, 12, 31)),
        ("2026-05-04 10:12 - Mo Salt: It is up.", FOURTH_OF_MAY),
        ("[2026-05-04, 10:12:33] Mo Salt: It is up.", FOURTH_OF_MAY),
        ("04/05/26, 10:12 - Mo Salt: It is up.", None),
        ("[5/4/26, 10:12:33 AM] Mo Salt: It is up.", None),
        ("31.02.26, 10:12 - Mo Salt: It is up.", None),
        ("12/31/25 was the last day of the lease.", None),
        ("04.05.26", None),
        ("04.05.26, 10:12", None),
        ("", None),
    ],
)
def test_a_chat_is_of_the_day_of_its_first_message(message: str, date: datetime.date | None) -> None:
    assert date_of_chat(message) == date


def test_a_later_message_does_not_decide_when_a_chat_began() -> None:
    later = "[24.12.26, 10:12:33] Bo: Yes."
    assert date_of_chat(f"Chat with Bo\n\n[04.05.26, 10:12:33] Anna: Is it open?\n{later}") == FOURTH_OF_MAY
    assert date_of_chat(f"04/05/26, 10:12 - Anna: Is it open?\n{later}") is None

"""Finds the day that a document is of: in its file's name, or in what its first lines say about themselves."""

import datetime
import itertools
import re
import unicodedata
from collections.abc import Iterable

HEAD_LINES = 15
HEAD_CHARACTERS = 120  # a longer line is running text

# English, German, French, Spanish; without accents, as they are compared.
_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan januar janner janvier janv enero ene",
            "february feb februar febr fevrier fevr fev febrero",
            "march mar marz maerz mrz mars marzo",
            "april apr avril avr abril abr",
            "may mai mayo",
            "june jun juni juin junio",
            "july jul juli juillet juil julio",
            "august aug aout agosto ago",
            "september sep sept septembre septiembre setiembre",
            "october oct oktober okt octobre octubre",
            "november nov novembre noviembre",
            "december dec dezember dez decembre diciembre dic",
        ),
        start=1,
    )
    for name in names.split()
}
_MONTH = rf"(?P<word>{'|'.join(sorted(_MONTHS, key=len, reverse=True))})(?![a-z])\.?"
_YEAR = r"(?P<year>(?:19|20)\d\d)(?!\d)"
_DAY = r"(?<!\d)(?P<day>\d{1,2})"
_DATES = [
    # 2026-03-04, 2026_03_04, 2026.3.4
    re.compile(r"(?<!\d)(?P<year>(?:19|20)\d\d)(?P<sep>[-_./ ])(?P<month>\d{1,2})(?P=sep)(?P<day>\d{1,2})(?!\d)"),
    re.compile(r"(?<!\d)(?P<year>(?:19|20)\d\d)(?P<month>\d\d)(?P<day>\d\d)(?!\d)"),
    # 04.03.2026, 4. 3. 2026: with full stops the day comes first
    re.compile(rf"{_DAY}\.\s?(?P<month>\d{{1,2}})\.\s?{_YEAR}"),
    # 4 March 2026, 4th of March, 2026, 4. März 2026, 4 de marzo de 2026, 1er mars 2026
    re.compile(
        rf"{_DAY}(?:st|nd|rd|th|er|\.|º|o)?[\s_-]*(?:of\s|de\s|day of\s)?\s*{_MONTH}(?:,|\sde[l]?)?[\s_-]*{_YEAR}"
    ),
    # March 4, 2026
    re.compile(rf"(?<![a-z]){_MONTH}[\s_-]*(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?:,[\s_]*|[\s_-]+){_YEAR}"),
]
# 13/03/2026: which is the day shows only where one of them is no month.
_EITHER_WAY = re.compile(rf"{_DAY}(?P<sep>[-/])(?P<month>\d{{1,2}})(?P=sep){_YEAR}")

# "[04.05.26, 10:12:33] Anna: …", "12/31/25, 9:13 PM - Mo: …", a message of a chat: there a year may have two digits.
_MESSAGE = re.compile(
    r"[\u200e\u200f\s]*\[?(?:\d{1,2}[:.]\d\d(?:[:.]\d\d)?(?:\s?[ap]\.?\s?m\.?)?,\s+(?=[\d./-]+\]))?"
    r"(?P<date>(?:\d{4}[./-]\d{1,2}[./-]\d{1,2}|\d{1,2}(?P<sep>[./-])\d{1,2}(?P=sep)(?P<year>\d{4}|\d\d)))"
    r"(?:\]|,?\s+(?:(?:at|um)\s)?\d{1,2}[:.]\d\d(?:[:.]\d\d)?(?:\s?[ap]\.?\s?m\.?)?(?:\]|\s+[-–—]))\s+\S"
)

_MARKERS = r"[\W_]*"  # of a heading, a list, a table, bold type
_WEEKDAY = (
    r"(?:(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day|(?:mon|diens|donners|frei|sams|sonn)tag|mittwoch|sonnabend"
    r"|lundi|mardi|mercredi|jeudi|vendredi|samedi|dimanche|lunes|martes|miercoles|jueves|viernes|sabado|domingo"
    r"|mon|tue|wed|thu|fri|sat|sun|mo|di|mi|do|fr|sa|so)\b[.,]*\s*)"
)
_ON = r"(?:(?:on|of|from|the|vom|am|den|du|le|del|de|dia|el|fecha|date[sd]?)\s+)*"
_BEFORE_DATE = rf"{_ON}{_WEEKDAY}?{_ON}$"
# "Date: …", "Datum der Sitzung: …", "Recorded on …"
_LABEL = re.compile(
    r"(?:(?:meeting\s+|session\s+)?date(?:\s+and\s+time|\s*/\s*time)?(?:\s+(?:of|du|de|der)\b[\w\s]{0,30})?|when"
    r"|datum(?:\s+der\s+\w+)?|sitzungs(?:datum|tag)|wann|fecha(?:\s+de\s+[\w\s]{1,30})?|day|tag|jour"
    r"|(?:recorded|recording started|held|aufgenommen|aufgezeichnet|enregistree?|grabad[oa])"
    r"(?=\s*[:|]|\s+(?:on|am|le|el)\b))"
    rf"[\W_]*{_BEFORE_DATE}"
)
# "Minutes of …", "Harbour board, minutes of the meeting held on …", "TSC meeting 2026-03-04"
_RECORD = re.compile(
    r"\b(?:(?:minutes|notes|transcript|transcription|recording|record|agenda|meeting|session|hearing|call|standup"
    r"|\w*protokoll|niederschrift|mitschrift|sitzung\w*|tagesordnung"
    r"|proces-verbal|compte[\s-]rendu|seance|reunion|acta|actas|sesion|transcripcion)\b[^.!?;]{0,70}?"
    # A report says what it is on: "Report on the flood of 4 May 2026".
    rf"|(?:report|bericht|rapport|informe)\b)[\W_]*{_BEFORE_DATE}"
)
# What another record is named for: "Approval of the minutes of …", "Next meeting: …"
_ANOTHER = re.compile(
    r"\b(?:approv\w*|adopt\w*|accept\w*|confirm\w*|correct\w*|previous|prior|last|next|following|future|upcoming|amend\w*"
    r"|genehmig\w*|annahme|letzte\w*|vorige\w*|nachste\w*|kommende\w*|approbation|adoption|prochaine?|precedente?|derniere?"
    r"|aprobacion|proxim[ao]|anterior|ultim[ao]|since|seit|depuis|desde|until|bis|by|due|published|updated|printed|was|were"
    r"|wurde|wurden|is|are|will|has|had|ist|sind|wird)\b"
)
# Behind the date: nothing, or when and where.
_AFTER_DATE = re.compile(
    r"[\W_]*(?:$|(?:at|in|from|um|ab|von|a|de|im|uhr|utc|gmt|t?\d{1,2}(?:[:.h]\d\d(?:z|[ap]m)?|\s*(?:[ap]m|uhr|h)\b))\b.*$)|\s*[,;|(•·–—-].*$"
)
_FILLED_LINE = re.compile(r"[^\r\n]*\S[^\r\n]*")
_TITLE_SEPARATOR = re.compile(r"[^\W_].*[,(|:–—-][\s_]*" + _BEFORE_DATE)


def find_date(text: str) -> datetime.date | None:
    """Return the first date in ``text`` that names a day without doubt.

    Months may be named in English, German, French or Spanish.

    >>> find_date("2026-03-04 Harbour board.txt"), find_date("vom 4. März 2026")
    (datetime.date(2026, 3, 4), datetime.date(2026, 3, 4))
    >>> find_date("04/03/2026"), find_date("13/03/2026"), find_date("2026-02-30")
    (None, datetime.date(2026, 3, 13), None)
    """
    found = min(_dates(_plain(text)), default=None)
    return found[2] if found else None


def date_of_path(path: str) -> datetime.date | None:
    """Return the date in a file's name, else in the name of the nearest folder that has one.

    >>> date_of_path("board/2026-03-04 10.00.12 Harbour board/transcript.vtt")
    datetime.date(2026, 3, 4)
    """
    return next((date for name in reversed(path.split("/")) if (date := find_date(name))), None)


def date_of_head(lines: Iterable[str]) -> datetime.date | None:
    """Return the date that one of a document's first lines gives as its own.

    That is a line such as "Date: 4 May 2026", "Minutes of 4 May 2026" or the date alone. A date in running text, or of
    another meeting ("Approval of the minutes of 3 May 2026"), is none.

    Args:
        lines: the first lines that are not blank.
    """
    title = True
    for line in lines:
        if len(line) <= HEAD_CHARACTERS and (date := _own_date(_plain(line), title)):
            return date
        title = False
    return None


def date_of_chat(text: str) -> datetime.date | None:
    """Return the day of the first message of a chat, None if that is in doubt or the text is no chat.

    >>> date_of_chat("[04.05.26, 10:12:33] Anna: Is it open?"), date_of_chat("04/05/26, 10:12 - Anna: Is it open?")
    (datetime.date(2026, 5, 4), None)
    """
    lines = (match.group() for match in itertools.islice(_FILLED_LINE.finditer(text), HEAD_LINES))
    first = next((match for line in lines if (match := _MESSAGE.match(_plain(line[:HEAD_CHARACTERS])))), None)
    if not first:
        return None
    year = first["year"]
    return find_date(f"{first['date'][:-2]}20{year}" if year and len(year) == 2 else first["date"])


def _own_date(line: str, title: bool) -> datetime.date | None:
    for start, end, date in sorted(_dates(line)):
        before, after = line[:start], line[end:]
        if _ANOTHER.search(before):
            continue
        if title and re.fullmatch(_MARKERS, before) and _RECORD.search(after) and not _ANOTHER.search(after):
            return date  # "2026-03-04 TSC meeting"
        if not _AFTER_DATE.match(after):
            continue
        if re.fullmatch(_MARKERS + _BEFORE_DATE, before) or re.match(_MARKERS + _LABEL.pattern, before):
            return date
        if _RECORD.search(before) or (title and _TITLE_SEPARATOR.match(before)):
            return date
    return None


def _dates(text: str) -> Iterable[tuple[int, int, datetime.date]]:
    """Yield where dates stand in ``text``, and which they are."""
    for pattern in (*_DATES, _EITHER_WAY):
        for match in pattern.finditer(text):
            parts = match.groupdict()
            day, year = int(parts["day"]), int(parts["year"])
            month = _MONTHS[parts["word"]] if parts.get("word") else int(parts["month"])
            if pattern is _EITHER_WAY and day != month:
                if day <= 12 and month <= 12:
                    continue
                if month > 12:
                    day, month = month, day
            try:
                yield *match.span(), datetime.date(year, month, day)
            except ValueError:
                continue  # there is no such day


def _plain(text: str) -> str:
    """Return the text in small letters without accents, so that "MÄRZ" and "marz" are alike."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(character for character in decomposed if not unicodedata.combining(character)).lower()

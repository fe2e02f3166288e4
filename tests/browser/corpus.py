"""The documents that the page is tested with: the seed report, Markdown, Arabic, and hostile names and texts."""

import shutil
from pathlib import Path

from tests.conftest import SEEDS

MINUTES = """# Minutes of the town council

## Trams

The council voted for seven new trams 😀. They will cost 4,100 francs a month.
The trams run from Zürich to Oerlikon.

## School

- The school gets a new roof.
- Pupils eat in the hall until May.
"""
ARABIC = "ناقش المجلس ميزانية المدينة يوم الاثنين. وافق الأعضاء على بناء جسر جديد فوق النهر.\n"
SCRIPT = "<script>alert('text')</script><img src=x onerror=alert(1)>"
HOSTILE_NAME = "<img src=x onerror=alert(2)>.txt"
HOSTILE = (
    f"The hostile mayor said {SCRIPT} at the fountain. He left by boat \u202egnorw\u202c at noon.\n{'endless' * 120}\n"
)
HOSTILE_TITLE = f'# {SCRIPT} javascript:alert(3) "onclick=alert(4)\n\nThe harbour office opens at nine.\n'


def write_corpus(folder: Path) -> None:
    """Write the documents, one that cannot be read, and one in a format that is not read."""
    shutil.copyfile(SEEDS / "meeting.txt", folder / "meeting.txt")
    for name, text in (
        ("minutes.md", MINUTES),
        ("arabic.txt", ARABIC),
        (HOSTILE_NAME, HOSTILE),
        ("title.md", HOSTILE_TITLE),
        ("duplicate.txt", "The school gets a new roof.\nElsewhere it rains.\n"),
    ):
        (folder / name).write_text(text, "utf-8")
    (folder / "scanned.txt").write_bytes(b"\xff\xfd\x00 no UTF-8")
    (folder / "photo.jpg").write_bytes(b"\xff\xd8\xff")

from pathlib import Path

from sourceline.ids import citation_id
from tests.conftest import Rebuild
from tests.support.api import serve
from tests.support.commands import Command

OLD, NEW = "Fares rise by 7 percent in July.", "Fares rise by 9 percent in July."
GONE, MOVED = "The mayor sang an old sea shanty.", "The harbour was dredged in the spring."


def test_a_citation_is_shown_with_what_became_of_it(
    sourceline: Command, documents: Path, index: Path, rebuild: Rebuild
) -> None:
    (documents / "a.md").write_text(f"# Minutes\n\n{OLD} Nobody objected.\n\n{GONE}\n\n{MOVED}\n")
    rebuild(documents, index)
    old, gone, moved = (citation_id("a.md", text, 0) for text in (OLD, GONE, MOVED))

    def shown(citation: str) -> list[str]:
        outcome = sourceline("cite", citation, "--index", index)
        assert (outcome.code, outcome.err) == (0, "")
        return outcome.out.splitlines()

    assert shown(old) == ["current: stands as cited", OLD, "  cited from Minutes · a.md, line 3"]
    (documents / "a.md").write_text(f"# Minutes\n\n{NEW} Nobody objected.\n")
    (documents / "b.txt").write_text(f"In other news.\n{MOVED}\n")
    rebuild(documents, index)
    assert shown(old) == [
        "changed: the sentence was edited",
        OLD,
        "  cited from Minutes · a.md, line 3",
        "now (similarity 0.86):",
        NEW,
        f"  Minutes · a.md, line 3 · {citation_id('a.md', NEW, 0)}",
    ]
    assert shown(gone) == ["removed: the sentence is gone", GONE, "  cited from Minutes · a.md, line 5"]
    assert shown(moved) == [
        "moved: the same sentence now stands elsewhere",
        MOVED,
        "  cited from Minutes · a.md, line 7",
        "now:",
        MOVED,
        f"  b · b.txt, line 2 · {citation_id('b.txt', MOVED, 0)}",
    ]
    with serve(documents, index) as client:
        for citation in (old, gone, moved, citation_id("a.md", NEW, 0)):
            printed = sourceline("cite", citation, "--index", index, "--json").json()
            assert printed == client.get(f"/v1/citations/{citation}").json()


def test_a_file_that_changed_or_is_gone_since_the_index_was_built_is_told(
    sourceline: Command, documents: Path, index: Path, rebuild: Rebuild
) -> None:
    (documents / "a.txt").write_text("The pool opens in May.\n")
    (documents / "b.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    citation = citation_id("a.txt", "The pool opens in May.", 0)

    def shown(*more: str | Path) -> tuple[str, str, str | None]:
        lines = sourceline("cite", citation, "--index", index, *more).out.splitlines()
        source = sourceline("cite", citation, "--index", index, *more, "--json").json().get("source")
        return lines[0], lines[-1], source

    cited = "  cited from a · a.txt, line 1"
    older = "current: stood as cited when the index was built"
    assert shown() == ("current: stands as cited", cited, "unchanged")
    (documents / "a.txt").write_text("The pool opens in June.\n")
    changed = "  the file has changed since: run `sourceline rebuild-index`"
    assert shown() == shown("--documents", documents) == (older, changed, "changed")
    (documents / "a.txt").unlink()
    gone = "  the file is gone since: run `sourceline rebuild-index`"
    assert shown() == shown("--documents", documents) == (older, gone, "missing")
    assert shown("--documents", documents / "none") == ("current: stands as cited", cited, None)
    (documents / "a.txt").write_text("The pool opens in June.\n")
    rebuild(documents, index)
    assert sourceline("cite", citation, "--index", index, "--json").json()["source"] == "unchanged"
    (documents / "a.txt").unlink()
    rebuild(documents, index)
    removed = sourceline("cite", citation, "--index", index, "--json").json()
    assert (removed["status"], removed.get("source")) == ("removed", None)

from pathlib import Path

from tests.conftest import Rebuild
from tests.support.commands import Command


def test_documents_are_listed_with_the_files_that_were_left_out(
    sourceline: Command, documents: Path, index: Path, rebuild: Rebuild
) -> None:
    (documents / "a.md").write_text("# Minutes\n\nThe bridge opens on Monday.\n")
    (documents / "b.txt").touch()
    (documents / "c.png").touch()
    snapshot = rebuild(documents, index).snapshot
    listed = sourceline("documents", "--index", index)  # the folder is the one that it was built from
    assert (listed.code, listed.err) == (0, "")
    assert listed.out.splitlines() == [
        f"snapshot {snapshot}: 1 document, 2 passages",
        "a.md: Minutes, 2 passages",
        "skipped b.txt: there is no text in it",
        "not read c.png: its format is not read",
    ]
    as_json = sourceline("documents", "--index", index, "--json").json()
    assert [(document["id"], document["passages"]) for document in as_json["documents"]] == [("a.md", 2)]
    assert as_json["snapshot"] == snapshot
    assert as_json["skipped"].keys() == {"b.txt"}
    assert as_json["ignored"].keys() == {"c.png"}
    assert as_json["changes"] == {"added": [], "changed": [], "removed": []}


def test_files_that_have_changed_since_are_named(
    sourceline: Command, documents: Path, index: Path, rebuild: Rebuild
) -> None:
    for name in ("a", "b"):
        (documents / f"{name}.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    (documents / "a.txt").write_text("The bridge opens on Sunday.\n")
    (documents / "b.txt").rename(documents / "\x1b[31mc.txt")
    for chosen in ((), ("--documents", documents)):
        listed = sourceline("documents", "--index", index, *chosen)
        assert listed.code == 0
        assert listed.out.splitlines()[3:] == [
            r"added since: \x1b[31mc.txt",
            "changed since: a.txt",
            "removed since: b.txt",
            "run `sourceline rebuild-index` to take that into the index",
        ]
        as_json = sourceline("documents", "--index", index, *chosen, "--json").json()
        assert as_json["changes"] == {"added": [r"\x1b[31mc.txt"], "changed": ["a.txt"], "removed": ["b.txt"]}


def test_without_the_folder_documents_are_listed_all_the_same(
    sourceline: Command, documents: Path, index: Path, rebuild: Rebuild
) -> None:
    (documents / "a.txt").write_text("The bridge opens on Monday.\n")
    rebuild(documents, index)
    documents.rename(documents.with_name("away"))
    listed = sourceline("documents", "--index", index)
    assert (listed.code, listed.out.splitlines()[1:]) == (0, ["a.txt: a, 1 passage"])
    assert "whether documents have changed cannot be told: no documents folder at" in " ".join(listed.err.split())

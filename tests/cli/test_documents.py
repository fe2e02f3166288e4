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
    listed = sourceline("documents", "--index", index)
    assert (listed.code, listed.err) == (0, "")
    assert listed.out.splitlines() == [
        f"snapshot {snapshot}: 1 document, 2 passages",
        "a.md: Minutes, 2 passages",
        "skipped b.txt: there is no text in it",
        "not read c.png: its format is not read; these are: .md, .txt",
    ]
    as_json = sourceline("documents", "--index", index, "--json").json()
    assert [(document["id"], document["passages"]) for document in as_json["documents"]] == [("a.md", 2)]
    assert as_json["snapshot"] == snapshot
    assert as_json["skipped"].keys() == {"b.txt"}
    assert as_json["ignored"].keys() == {"c.png"}

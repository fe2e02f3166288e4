"""A folder of documents that is edited and indexed again and again, and citations into it."""

import shutil
from pathlib import Path

from sourceline.citations.ledger import Ledger, recover_ledger
from sourceline.citations.lookup import look_up
from sourceline.ids import citation_id
from sourceline.index.snapshot import Snapshot, is_built, open_current
from sourceline.types import BuildReport, Citation, Passage
from tests.conftest import Rebuild
from tests.support.index_folder import ledger_of


class Archive:
    """One documents folder and its index."""

    def __init__(self, documents: Path, index: Path, rebuild: Rebuild) -> None:
        self.documents = documents
        self.index = index
        self._rebuild = rebuild

    def publish(self, files: dict[str, str]) -> BuildReport:
        """Make the folder hold just these files, and build."""
        shutil.rmtree(self.documents)
        for name, text in files.items():
            path = self.documents / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        return self._rebuild(self.documents, self.index)

    def forget_snapshots(self) -> None:
        """Delete what can be built anew; the ledger stays."""
        shutil.rmtree(self.index / "snapshots")
        (self.index / "CURRENT").unlink()

    @property
    def ledger(self) -> Ledger:
        """The ledger for the snapshot that would be served; before there is one, that in which nothing is recorded."""
        return ledger_of(self.index) if is_built(self.index) else recover_ledger(self.index, None)

    def snapshot(self) -> Snapshot:
        return open_current(self.index)

    def passages(self) -> list[Passage]:
        store = self.snapshot().passages
        return [passage for entry in store.documents for passage in store.of_document(entry)]

    def look_up(self, citation: str) -> Citation:
        return look_up(citation, self.snapshot().passages, self.ledger)

    def outcome(self, document_id: str, text: str, occurrence: int = 0) -> tuple[str, str, str] | str:
        """Return a citation's status and, when something stands for it now, in which document and with what text."""
        citation = self.look_up(citation_id(document_id, text, occurrence))
        if citation.now is None:
            return citation.status.value
        return citation.status.value, citation.now.passage.document_id, citation.now.passage.text

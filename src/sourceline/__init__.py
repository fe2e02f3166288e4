"""Sourceline: the exact sentences that answer a question, with citations that last.

Everything that is exported is imported when it is first used; importing the package alone loads and changes nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sourceline.api import Index
    from sourceline.errors import (
        BackupError,
        BuildError,
        BuildRunningError,
        ClosedError,
        CorpusError,
        DamagedError,
        DatasetError,
        DocumentError,
        EditError,
        LedgerError,
        MismatchError,
        ModelError,
        NoSnapshotError,
        QuestionError,
        ResultsError,
        ServerError,
        SettingsError,
        SnapshotError,
        SnapshotGoneError,
        SourcelineError,
        UnknownCitationError,
        UnknownDocumentError,
        WorkerError,
    )
    from sourceline.types import (
        Answer,
        Backend,
        Backup,
        BuildProgress,
        BuildReport,
        CheckedFile,
        CheckedQuote,
        Citation,
        CitationStatus,
        Context,
        Difference,
        DocumentInfo,
        DocumentList,
        DocumentText,
        Finding,
        FolderChanges,
        FolderContents,
        Hit,
        Location,
        Mode,
        Passage,
        PassageInContext,
        QuotedPlace,
        QuoteKind,
        QuoteStatus,
        Scores,
        SnapshotInfo,
        SourceStatus,
        Span,
        Stage,
        StageTime,
        Time,
        Verdict,
        Verification,
    )

__version__ = "0.1.0"

__all__ = [
    "Answer",
    "Backend",
    "Backup",
    "BackupError",
    "BuildError",
    "BuildProgress",
    "BuildReport",
    "BuildRunningError",
    "CheckedFile",
    "CheckedQuote",
    "Citation",
    "CitationStatus",
    "ClosedError",
    "Context",
    "CorpusError",
    "DamagedError",
    "DatasetError",
    "Difference",
    "DocumentError",
    "DocumentInfo",
    "DocumentList",
    "DocumentText",
    "EditError",
    "Finding",
    "FolderChanges",
    "FolderContents",
    "Hit",
    "Index",
    "LedgerError",
    "Location",
    "MismatchError",
    "Mode",
    "ModelError",
    "NoSnapshotError",
    "Passage",
    "PassageInContext",
    "QuestionError",
    "QuoteKind",
    "QuoteStatus",
    "QuotedPlace",
    "ResultsError",
    "Scores",
    "ServerError",
    "SettingsError",
    "SnapshotError",
    "SnapshotGoneError",
    "SnapshotInfo",
    "SourceStatus",
    "SourcelineError",
    "Span",
    "Stage",
    "StageTime",
    "Time",
    "UnknownCitationError",
    "UnknownDocumentError",
    "Verdict",
    "Verification",
    "WorkerError",
]


def __getattr__(name: str) -> object:
    """Import an exported name (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "api" if name == "Index" else "errors" if name.endswith("Error") else "types"
    return getattr(import_module(f"{__name__}.{module}"), name)


def __dir__() -> list[str]:
    """List what is exported."""
    return [*globals(), *__all__]

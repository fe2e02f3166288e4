"""Every error that Sourceline raises on purpose. The message is one line for a person and says what to do.

::

    SourcelineError
    ├── SettingsError             a setting that cannot be used
    ├── DocumentError             a file that cannot be read; a build skips and lists it
    ├── CorpusError               no documents to build from
    ├── ModelError                the model is missing, not the expected one, or cannot be exported
    ├── SnapshotError             an index that cannot be served
    │   ├── NoSnapshotError       none was built yet
    │   ├── DamagedError          a file is missing or differs from what was written
    │   ├── MismatchError         built with another model or in another format
    │   └── SnapshotGoneError     it was open, and builds have published and removed it since
    ├── BuildError                the build could not finish; what was served before is untouched
    │   └── BuildRunningError     another build holds the lock
    ├── WorkerError               the server's processes do not stay alive
    ├── ServerError               a server does not answer a client, or refuses what it asks
    ├── BackupError               a backup that cannot be written, read or restored
    ├── LedgerError               the record of citations cannot be read or written
    ├── QuestionError             a question that cannot be asked, or a text that cannot be checked
    ├── UnknownCitationError      an id that was never issued
    ├── UnknownDocumentError      a document that is not in the index
    ├── EditError                 a document that cannot be written or removed as asked
    ├── ClosedError               an index that was closed, or opened before the process was forked
    ├── DatasetError              a labelled set that cannot be scored
    └── ResultsError              a file of results that cannot be read, compared with or written
"""


class SourcelineError(Exception):
    """Base of all errors raised on purpose."""


class SettingsError(SourcelineError):
    """A setting that cannot be used."""


class DocumentError(SourcelineError):
    """A file that cannot be read; a build skips and lists it."""


class CorpusError(SourcelineError):
    """No documents to build from."""


class ModelError(SourcelineError):
    """The model is missing, not the expected one, or cannot be exported."""


class SnapshotError(SourcelineError):
    """An index that cannot be served."""


class NoSnapshotError(SnapshotError):
    """No snapshot was built yet."""


class DamagedError(SnapshotError):
    """A file of a snapshot is missing or differs from what was written."""


class MismatchError(SnapshotError):
    """A snapshot built with another model or in another format."""


class SnapshotGoneError(SnapshotError):
    """A snapshot of a database that was open, and that builds have removed since."""


class BuildError(SourcelineError):
    """The build could not finish; what was served before is untouched."""


class BuildRunningError(BuildError):
    """Another build holds the lock."""


class WorkerError(SourcelineError):
    """The server's processes do not stay alive."""


class ServerError(SourcelineError):
    """A server does not answer a client, or refuses what it asks.

    ``status`` is that of the HTTP answer, None if there was none. ``fields`` are the fields of the request at fault,
    each with what is wrong with it. ``retry_after`` is in how many seconds it may be asked again, if it says so.
    """

    def __init__(
        self,
        message: str,
        status: int | None = None,
        fields: tuple[tuple[str, str], ...] = (),
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.fields, self.retry_after = status, fields, retry_after


class BackupError(SourcelineError):
    """A backup that cannot be written, read or restored."""


class LedgerError(SourcelineError):
    """The record of citations cannot be read or written."""


class QuestionError(SourcelineError):
    """A question that cannot be asked, or a text that cannot be checked."""


class UnknownCitationError(SourcelineError):
    """A citation id that was never issued."""


class UnknownDocumentError(SourcelineError):
    """A document that is not in the index."""


class EditError(SourcelineError):
    """A document that cannot be written or removed as asked."""


class ClosedError(SourcelineError):
    """An index that was closed, or opened before the process was forked."""


class DatasetError(SourcelineError):
    """A labelled set that cannot be scored."""


class ResultsError(SourcelineError):
    """A file of results that cannot be read, compared with or written."""

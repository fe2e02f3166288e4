"""The threads that answer."""

from anyio import CapacityLimiter


class Threads:
    """The threads of an app for all but single questions, some for each kind, so that none keeps another waiting.

    Questions have anyio's own. What is done here holds the interpreter, so that more threads would do no more.
    """

    def __init__(self) -> None:
        self.batches, self.citations, self.texts, self.documents, self.index = (CapacityLimiter(1) for _ in range(5))
        self.edits = CapacityLimiter(4)  # which wait for the disk

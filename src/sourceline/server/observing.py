"""Who is told what the server does: metrics and traces."""

from datetime import datetime

from sourceline.types import Answer, CitationStatus, Mode, RebuildState, Verification


class Observer:
    """Is told what came of each call, in the thread that made it. Does nothing of what a subclass leaves out."""

    def answered(self, answer: Answer, mode: Mode) -> None:
        """Take in how a question was answered, just now."""

    def verified(self, verification: Verification) -> None:
        """Take in what became of the quotations of a text."""

    def cited(self, status: CitationStatus | None) -> None:
        """Take in what a citation was looked up as; None is one that was never issued."""

    def rebuilt(self, outcome: RebuildState, started: datetime, finished: datetime) -> None:
        """Take in how a rebuild ended."""


class Observers(Observer):
    """Tells several others."""

    def __init__(self, *observers: Observer) -> None:
        self._observers = observers

    def answered(self, answer: Answer, mode: Mode) -> None:
        """Tell each of an answer."""
        for observer in self._observers:
            observer.answered(answer, mode)

    def verified(self, verification: Verification) -> None:
        """Tell each of the quotations of a text."""
        for observer in self._observers:
            observer.verified(verification)

    def cited(self, status: CitationStatus | None) -> None:
        """Tell each of a citation."""
        for observer in self._observers:
            observer.cited(status)

    def rebuilt(self, outcome: RebuildState, started: datetime, finished: datetime) -> None:
        """Tell each of a rebuild."""
        for observer in self._observers:
            observer.rebuilt(outcome, started, finished)

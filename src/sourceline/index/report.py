"""What a build says: how far it is, and what it did. Those who only follow a build import nothing else of it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a build is: ``done`` of ``total`` bytes of new documents are encoded."""

    done: int
    total: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a build did. Documents by id; ``skipped`` says why; ``encoded`` counts the windows of new text."""

    generation: str
    added: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: tuple[str, ...]
    removed: tuple[str, ...]
    skipped: dict[str, str]
    passages: int
    windows: int
    encoded: int
    seconds: float

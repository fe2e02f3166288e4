"""Two evaluations of one set, question by question: what changed, and whether by more than chance."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sourceline.errors import ResultsError
from sourceline.evaluation.metrics import MEASURES, SOURCELINE, Asked, Figure, First, Outcome, intervals

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Flip:
    """A question that was right at the first place and no longer is, or the other way round."""

    id: str
    question: str
    then: First | None
    now: First | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """What changed in Sourceline: the mean of new - old with its interval, and the flips at R@1."""

    questions: int
    differences: dict[str, Figure]
    won: tuple[Flip, ...]
    lost: tuple[Flip, ...]


def require_common(old: Iterable[Asked], questions: Iterable[Key]) -> None:
    """Check, before the work, that there will be something to compare.

    Args:
        old: the questions of the old file.
        questions: id and text of the answerable questions of the new run.

    Raises:
        FiguresError: no answerable question is in both, with the same id and text.
    """
    if not {(one.id, one.question) for one in old if one.answerable} & set(questions):
        raise ResultsError("there is nothing to compare: no answerable question of this set is in the old figures")


def compare(old: Sequence[Asked], new: Sequence[Asked]) -> dict[str, Comparison]:
    """Return by where what changed, over the questions that are answerable in both, with the same id and text."""
    before = {(one.id, one.question): one for one in old}
    pairs: dict[str, list[tuple[Asked, Outcome, Outcome]]] = {}
    for one in new:
        if earlier := before.get((one.id, one.question)):
            for where in one.outcomes.keys() & earlier.outcomes.keys():
                then, now = earlier.outcomes[where][SOURCELINE], one.outcomes[where][SOURCELINE]
                if then.measures and now.measures:
                    pairs.setdefault(where, []).append((one, then, now))
    # In the order of the run, which the intersection above does not keep.
    places = dict.fromkeys(where for one in new for where in one.outcomes)
    return {where: _comparison(pairs[where]) for where in places if where in pairs}


def _comparison(pairs: Sequence[tuple[Asked, Outcome, Outcome]]) -> Comparison:
    changes = np.array([[now.measures[name] - then.measures[name] for name in MEASURES] for _, then, now in pairs])
    flips = [
        (now.measures["R@1"] - then.measures["R@1"], Flip(one.id, one.question, then.first, now.first))
        for one, then, now in pairs
    ]
    return Comparison(
        questions=len(pairs),
        differences=dict(zip(MEASURES, intervals(changes), strict=True)),
        won=tuple(flip for change, flip in flips if change > 0),
        lost=tuple(flip for change, flip in flips if change < 0),
    )

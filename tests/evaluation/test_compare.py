import pytest

from sourceline.errors import ResultsError
from sourceline.evaluation.compare import Flip, compare, require_common
from sourceline.evaluation.metrics import IN_SCOPE, MEASURES, OPEN, SOURCELINE, Asked, Figure, First
from tests.evaluation.outcomes import asked, outcome

OLD, NEW = First("a", "Old."), First("b", "New.")


def test_what_flipped_at_the_first_place_is_named_with_both_passages() -> None:
    old = [asked(right, id_=id_, first=OLD) for id_, right in (("won", 0), ("lost", 1), ("same", 1), ("miss", 0))]
    new = [asked(right, id_=id_, first=NEW) for id_, right in (("miss", 0), ("won", 1), ("lost", 0), ("same", 1))]
    found = compare(old, new)
    assert list(found) == [OPEN]
    assert found[OPEN].questions == 4
    assert found[OPEN].won == (Flip("won", "Who?", OLD, NEW),)
    assert found[OPEN].lost == (Flip("lost", "Who?", OLD, NEW),)
    assert list(found[OPEN].differences) == list(MEASURES)
    difference = found[OPEN].differences["R@1"]
    assert difference.mean == 0
    assert difference.low < 0 < difference.high


def test_the_difference_is_of_pairs() -> None:
    """Every question gains .25, so that the interval has no width, however much the questions differ."""
    rights = [0, 0.25, 0.5, 0.75]
    old = [asked(right, id_=str(right)) for right in rights]
    new = [asked(right + 0.25, id_=str(right)) for right in rights]
    assert compare(old, new)[OPEN].differences["MRR@10"] == Figure(0.25, 0.25, 0.25)


def test_only_questions_with_the_same_id_and_text_that_are_answerable_in_both_are_compared() -> None:
    old = [asked(0, id_="1"), asked(0, id_="2", question="What?"), asked(None, id_="3"), asked(0, id_="4")]
    new = [asked(1, id_="1"), asked(1, id_="2"), asked(1, id_="3"), asked(None, id_="4"), asked(1, id_="5")]
    found = compare(old, new)[OPEN]
    assert (found.questions, found.differences["R@1"].mean) == (1, 1)
    assert [flip.id for flip in found.won] == ["1"]


def test_each_place_is_compared_for_itself() -> None:
    def both(inside: float) -> Asked:
        places = {OPEN: {SOURCELINE: outcome(1)}, IN_SCOPE: {SOURCELINE: outcome(inside)}}
        return Asked("q", "Who?", True, 0.5, places)

    found = compare([both(0)], [both(1)])
    assert [(where, len(one.won)) for where, one in found.items()] == [(OPEN, 0), (IN_SCOPE, 1)]
    assert list(compare([both(0)], [asked(1)])) == [OPEN]
    assert list(compare([asked(1)], [both(0)])) == [OPEN]


def test_nothing_in_common_is_no_comparison() -> None:
    assert compare([], [asked(1)]) == {}
    require_common([asked(1)], [("other", "Who?"), ("q", "Who?")])
    for old, key in (([], ("q", "Who?")), ([asked(1)], ("q", "What?")), ([asked(None)], ("q", "Who?"))):
        with pytest.raises(ResultsError, match="there is nothing to compare: no answerable question of this set is in"):
            require_common(old, [key])

import doctest

import pytest

from sourceline.citations import tracking as succession
from sourceline.citations.ledger import Resolution
from sourceline.citations.tracking import NEAR, match_missing, match_reappeared, renamed_to, similarity
from sourceline.index.passage_store import stand
from sourceline.ingest.sentences import passages
from sourceline.types import CitationStatus, PassageInContext
from tests.texts import document

MOVED, CHANGED, REMOVED = CitationStatus.MOVED, CitationStatus.CHANGED, CitationStatus.REMOVED


def passages_in_context(text: str, id_: str = "a.txt") -> list[PassageInContext]:
    return [stand(passage, "A", text) for passage in passages(document(text, id_))]


def told(
    resolutions: list[Resolution], *known: list[PassageInContext]
) -> list[tuple[str, CitationStatus, tuple[str, int] | None]]:
    """Return fates with texts and places for ids."""
    by_id = {standing.passage.id: standing.passage for passages_in_context in known for standing in passages_in_context}
    return [
        (
            by_id[resolution.citation].text,
            resolution.status,
            (by_id[resolution.successor].document_id, by_id[resolution.successor].ordinal)
            if resolution.successor
            else None,
        )
        for resolution in resolutions
    ]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("Trade grew by 7 percent.", "Trade grew by 9 percent.", 0.8),
        ("Trade  GREW\nby 7 percent.", "trade grew by 7 percent.", 1.0),
        ("One two.", "Three four.", 0.0),
        ("a b c", "c b a", 1 / 3),
        ("a b", "a b c d", 2 / 3),
    ],
)
def test_similarity_counts_the_words_that_agree_in_order(one: str, other: str, expected: float) -> None:
    assert similarity(one, other) == pytest.approx(expected)


def test_a_text_is_as_similar_to_itself_however_often_its_words_recur() -> None:
    assert similarity("the " * 1_000, "the " * 1_000) == 1


def test_a_telling_sentence_that_comes_up_elsewhere_moved_there() -> None:
    old, new = (
        passages_in_context("The council met on Monday."),
        passages_in_context("Preface. The council met on Monday.", "b.txt"),
    )

    assert told(list(match_reappeared(old, new)), old, new) == [("The council met on Monday.", MOVED, ("b.txt", 1))]


@pytest.mark.parametrize(
    ("before", "after", "moved"),
    [
        ("The budget is small. Thank you.", "The harbour is large. Thank you.", False),  # both stand at the end
        ("Thank you. The budget is small.", "Thank you. The harbour is large.", False),  # both stand at the beginning
        ("Thank you.", "Thank you.", False),
        ("The budget is small. Thank you.", "The budget is small. Thank you. Goodbye.", True),
        ("Thank you. The budget is small.", "Well. Thank you. The budget is small.", True),
    ],
)
def test_a_phrase_moved_only_if_text_beside_it_went_along(before: str, after: str, moved: bool) -> None:
    old, new = passages_in_context(before), passages_in_context(after, "b.txt")
    resolutions = told(list(match_reappeared(old, new)), old, new)

    assert ("Thank you." in [text for text, _, _ in resolutions]) is moved


def test_the_same_document_is_preferred_and_then_the_place_with_the_same_surroundings() -> None:
    text = "The council met on Monday."
    old = passages_in_context(f"First. {text} Last.")[1:2]
    elsewhere = passages_in_context(f"First. {text} Last.", "b.txt")
    here = passages_in_context(f"{text} So. First. {text} Last.")[:1]
    both = passages_in_context(f"{text} So. First. {text} Last.", "c.txt")

    assert told(list(match_reappeared(old, [*elsewhere, *here])), old, here) == [(text, MOVED, ("a.txt", 0))]
    assert told(list(match_reappeared(old, both)), old, both) == [(text, MOVED, ("c.txt", 3))]


def vanish(before: str, after: str) -> list[tuple[str, CitationStatus, tuple[str, int] | None]]:
    """Return what became of the passages of a document that was edited."""
    old, new = passages_in_context(before), passages_in_context(after)
    return told(list(match_missing(old, new, {}, [])), old, new)


def test_an_edited_sentence_changed_into_its_successor() -> None:
    assert vanish("One is here. Trade grew by 7 percent. Two.", "One is here. Trade grew by 9 percent. Two.") == [
        ("Trade grew by 7 percent.", CHANGED, ("a.txt", 1))
    ]


def test_a_sentence_with_nothing_like_it_was_removed() -> None:
    assert vanish("One. Trade grew by 7 percent.", "One. The mayor will speak on Monday.") == [
        ("Trade grew by 7 percent.", REMOVED, None)
    ]


def test_a_sentence_alone_in_the_old_place_may_differ_more() -> None:
    old, edited = "Trade grew by 7 percent last year.", "Trade shrank by 7 points in May."

    assert 0.34 <= similarity(old, edited) < 0.5
    assert vanish(f"One. {old} Two.", f"One. {edited} Two.") == [(old, CHANGED, ("a.txt", 1))]
    assert vanish(f"One. {old} Two.", f"One. Nothing else. {edited} Two.") == [(old, REMOVED, None)]
    assert vanish(f"One. {old} Two.", f"One. Two. {edited}") == [(old, REMOVED, None)]


def test_the_place_counts_before_the_likeness() -> None:
    old, edited, better = "Trade grew by 7 percent.", "Trade grew by nearly 8 percent.", "Trade grew by 9 percent."

    assert vanish(f"One. {old} Two.", f"{better} One. {edited} Two.") == [(old, CHANGED, ("a.txt", 2))]


def test_a_split_sentence_changed_into_the_likest_part_and_merged_ones_into_one() -> None:
    whole, parts = "The council met and it voted for the bridge.", "The council met. It voted for the bridge."

    assert vanish(whole, parts) == [(whole, CHANGED, ("a.txt", 1))]
    assert vanish(parts, whole) == [
        ("The council met.", REMOVED, None),
        ("It voted for the bridge.", CHANGED, ("a.txt", 0)),
    ]


def test_a_successor_is_always_a_new_sentence() -> None:
    assert vanish("Trade grew by 7 percent. Trade grew by 9 percent.", "Trade grew by 9 percent.") == [
        ("Trade grew by 7 percent.", REMOVED, None)
    ]


def test_when_one_of_two_equal_sentences_goes_the_later_id_moved_to_the_nearest_that_is_left() -> None:
    assert vanish("Yes. One. Yes. Two. Yes. Three.", "One. Yes. Two. Yes. Three.") == [("Yes.", MOVED, ("a.txt", 3))]
    assert vanish("Yes. Yes.", "Yes.") == [("Yes.", MOVED, ("a.txt", 0))]


def test_a_copy_in_another_document_stands_for_a_lost_sentence_only_if_its_surroundings_agree() -> None:
    old = passages_in_context("One. Thank you. Two.")
    copy, other = (
        passages_in_context("One. Thank you. Two.", "b.txt"),
        passages_in_context("Three. Thank you. Four.", "c.txt"),
    )

    assert told(list(match_missing(old, [], {}, [*other, *copy])), old, copy) == [
        ("One.", MOVED, ("b.txt", 0)),
        ("Thank you.", MOVED, ("b.txt", 1)),
        ("Two.", MOVED, ("b.txt", 2)),
    ]
    assert {resolution.status for resolution in match_missing(old, [], {}, other)} == {REMOVED}


def test_a_rewritten_document_of_many_sentences_compares_only_what_is_near() -> None:
    filler = " ".join(f"Sentence number {number} says nothing new." for number in range(NEAR + 1))

    assert vanish("Trade grew by 7 percent.", f"{filler} Trade grew by 9 percent.") == [
        ("Trade grew by 7 percent.", REMOVED, None)
    ]


def test_a_document_was_renamed_to_where_most_of_it_went() -> None:
    b, c = passages_in_context("One. Two.", "b.txt"), passages_in_context("Three.", "c.txt")

    assert renamed_to([*c, *b]) == "b.txt"
    assert renamed_to([*c, *b[:1]]) == "b.txt"
    assert renamed_to([]) is None


def test_the_example_in_the_documentation_holds() -> None:
    assert doctest.testmod(succession).failed == 0

import doctest
from pathlib import Path

import pytest

from sourceline.citations import tracking
from sourceline.citations.ledger import Ledger, Resolution, recover_ledger
from sourceline.citations.tracking import (
    NEAR,
    latest_successor,
    match_missing,
    match_reappeared,
    renamed_to,
    similarity,
)
from sourceline.ids import citation_id
from sourceline.index.passage_store import PassageStore, PassageStoreWriter
from sourceline.ingest.sentences import split_passages
from sourceline.types import CitationStatus, Context, PassageInContext
from tests.support.texts import document

MOVED, CHANGED, REMOVED = CitationStatus.MOVED, CitationStatus.CHANGED, CitationStatus.REMOVED

# The text of a lost citation, its status, and the document and ordinal of its successor.
Outcome = tuple[str, CitationStatus, tuple[str, int] | None]


def in_context(text: str, id_: str = "a.txt") -> list[PassageInContext]:
    """Return the passages of a document with the text around them."""
    return [
        PassageInContext(p, "A", Context(), text[max(0, p.start - 64) : p.start], text[p.end : p.end + 64])
        for p in split_passages(document(text, id_))
    ]


def outcomes(resolutions: list[Resolution], *documents: list[PassageInContext]) -> list[Outcome]:
    """Return resolutions with texts and places in the place of ids."""
    by_id = {passage.passage.id: passage.passage for passages in documents for passage in passages}
    places = {id_: (passage.document_id, passage.ordinal) for id_, passage in by_id.items()}
    return [(by_id[r.citation].text, r.status, places[r.successor] if r.successor else None) for r in resolutions]


@pytest.mark.parametrize(
    ("text", "other", "expected"),
    [
        ("Trade grew by 7 percent.", "Trade grew by 9 percent.", 0.8),
        ("Trade  GREW\nby 7 percent.", "trade grew by 7 percent.", 1.0),
        ("One two.", "Three four.", 0.0),
        ("a b c", "c b a", 1 / 3),
        ("a b", "a b c d", 2 / 3),
    ],
)
def test_similarity_counts_the_words_that_agree_in_order(text: str, other: str, expected: float) -> None:
    assert similarity(text, other) == pytest.approx(expected)


def test_a_text_is_as_similar_to_itself_however_often_its_words_recur() -> None:
    assert similarity("the " * 1_000, "the " * 1_000) == 1


def test_a_distinctive_sentence_that_is_new_elsewhere_moved_there() -> None:
    old = in_context("The council met on Monday.")
    new = in_context("Preface. The council met on Monday.", "b.txt")

    assert outcomes(list(match_reappeared(old, new)), old, new) == [("The council met on Monday.", MOVED, ("b.txt", 1))]


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
def test_a_short_phrase_moved_only_if_text_beside_it_went_along(before: str, after: str, moved: bool) -> None:
    old, new = in_context(before), in_context(after, "b.txt")
    reappeared = outcomes(list(match_reappeared(old, new)), old, new)

    assert ("Thank you." in [text for text, _, _ in reappeared]) is moved


def test_the_same_document_is_preferred_and_then_the_place_with_the_same_text_around_it() -> None:
    text = "The council met on Monday."
    old = in_context(f"First. {text} Last.")[1:2]
    elsewhere = in_context(f"First. {text} Last.", "b.txt")
    here = in_context(f"{text} So. First. {text} Last.")[:1]
    both = in_context(f"{text} So. First. {text} Last.", "c.txt")

    assert outcomes(list(match_reappeared(old, [*elsewhere, *here])), old, here) == [(text, MOVED, ("a.txt", 0))]
    assert outcomes(list(match_reappeared(old, both)), old, both) == [(text, MOVED, ("c.txt", 3))]


def edit(before: str, after: str) -> list[Outcome]:
    """Return what became of the passages of a document that was edited."""
    old, new = in_context(before), in_context(after)
    return outcomes(list(match_missing(old, new, {}, [])), old, new)


def test_an_edited_sentence_changed_into_its_successor() -> None:
    assert edit("One is here. Trade grew by 7 percent. Two.", "One is here. Trade grew by 9 percent. Two.") == [
        ("Trade grew by 7 percent.", CHANGED, ("a.txt", 1))
    ]


def test_a_sentence_with_nothing_like_it_was_removed() -> None:
    assert edit("One. Trade grew by 7 percent.", "One. The mayor will speak on Monday.") == [
        ("Trade grew by 7 percent.", REMOVED, None)
    ]


def test_a_new_sentence_alone_in_the_old_place_may_differ_more() -> None:
    old, edited = "Trade grew by 7 percent last year.", "Trade shrank by 7 points in May."

    assert 0.34 <= similarity(old, edited) < 0.5
    assert edit(f"One. {old} Two.", f"One. {edited} Two.") == [(old, CHANGED, ("a.txt", 1))]
    assert edit(f"One. {old} Two.", f"One. Nothing else. {edited} Two.") == [(old, REMOVED, None)]
    assert edit(f"One. {old} Two.", f"One. Two. {edited}") == [(old, REMOVED, None)]


def test_the_old_place_counts_before_a_more_similar_sentence_elsewhere() -> None:
    old, edited, better = "Trade grew by 7 percent.", "Trade grew by nearly 8 percent.", "Trade grew by 9 percent."

    assert edit(f"One. {old} Two.", f"{better} One. {edited} Two.") == [(old, CHANGED, ("a.txt", 2))]


def test_a_split_sentence_changed_into_its_most_similar_part_and_merged_ones_into_one() -> None:
    whole, parts = "The council met and it voted for the bridge.", "The council met. It voted for the bridge."

    assert edit(whole, parts) == [(whole, CHANGED, ("a.txt", 1))]
    assert edit(parts, whole) == [
        ("The council met.", REMOVED, None),
        ("It voted for the bridge.", CHANGED, ("a.txt", 0)),
    ]


def test_a_successor_is_always_a_new_sentence() -> None:
    assert edit("Trade grew by 7 percent. Trade grew by 9 percent.", "Trade grew by 9 percent.") == [
        ("Trade grew by 7 percent.", REMOVED, None)
    ]


def test_when_one_of_two_equal_sentences_goes_the_later_id_moved_to_the_nearest_that_is_left() -> None:
    assert edit("Yes. One. Yes. Two. Yes. Three.", "One. Yes. Two. Yes. Three.") == [("Yes.", MOVED, ("a.txt", 3))]
    assert edit("Yes. Yes.", "Yes.") == [("Yes.", MOVED, ("a.txt", 0))]


def test_a_copy_in_another_document_stands_for_a_lost_sentence_only_if_the_text_around_it_agrees() -> None:
    old = in_context("One. Thank you. Two.")
    copy = in_context("One. Thank you. Two.", "b.txt")
    other = in_context("Three. Thank you. Four.", "c.txt")

    assert outcomes(list(match_missing(old, [], {}, [*other, *copy])), old, copy) == [
        ("One.", MOVED, ("b.txt", 0)),
        ("Thank you.", MOVED, ("b.txt", 1)),
        ("Two.", MOVED, ("b.txt", 2)),
    ]
    assert {resolution.status for resolution in match_missing(old, [], {}, other)} == {REMOVED}


def test_a_rewritten_document_of_many_sentences_compares_only_what_is_near() -> None:
    filler = " ".join(f"Sentence number {number} says nothing new." for number in range(NEAR + 1))

    assert edit("Trade grew by 7 percent.", f"{filler} Trade grew by 9 percent.") == [
        ("Trade grew by 7 percent.", REMOVED, None)
    ]


def test_a_document_was_renamed_to_where_most_of_it_went() -> None:
    b, c = in_context("One. Two.", "b.txt"), in_context("Three.", "c.txt")

    assert renamed_to([*c, *b]) == "b.txt"
    assert renamed_to([*c, *b[:1]]) == "b.txt"
    assert renamed_to([]) is None


THANKS = "Thank you."


@pytest.fixture
def store(tmp_path: Path) -> PassageStore:
    """The passages of b.txt and c.txt."""
    with PassageStoreWriter(tmp_path) as writer:
        for id_ in ("b.txt", "c.txt"):
            source = document(f"{THANKS} Good {id_[0]}.", id_)
            writer.add(source, split_passages(source))
        writer.write()
    return PassageStore(tmp_path, 1)


def moved(document_id: str, other: str) -> Resolution:
    return Resolution(citation_id(document_id, THANKS, 0), MOVED, citation_id(other, THANKS, 0))


def document_of_successor(document_id: str, store: PassageStore, ledger: Ledger) -> str | None:
    """Return in which document the successor of the thanks of a document stands."""
    successor = latest_successor(citation_id(document_id, THANKS, 0), store, ledger)
    assert successor is None or successor.passage.text == THANKS
    return successor.passage.document_id if successor else None


def test_the_latest_successor_is_the_first_of_the_chain_that_is_in_the_snapshot(
    store: PassageStore, tmp_path: Path
) -> None:
    ledger = recover_ledger(tmp_path, None).append("s2", [], [moved("a.txt", "x.txt")])
    assert document_of_successor("a.txt", store, ledger) is None

    ledger = ledger.append("s3", [], [moved("x.txt", "c.txt")])
    assert document_of_successor("a.txt", store, ledger) == "c.txt"


def test_an_id_of_the_chain_that_came_back_is_the_latest_successor_though_it_was_gone_once(
    store: PassageStore, tmp_path: Path
) -> None:
    ledger = recover_ledger(tmp_path, None).append("s2", [], [moved("a.txt", "b.txt")])
    ledger = ledger.append("s3", [], [moved("b.txt", "c.txt")])

    assert document_of_successor("a.txt", store, ledger) == "b.txt"


def test_a_chain_that_turns_in_a_circle_outside_the_snapshot_has_no_successor(
    store: PassageStore, tmp_path: Path
) -> None:
    ledger = recover_ledger(tmp_path, None).append(
        "s2", [], [moved("x.txt", "y.txt"), moved("y.txt", "x.txt"), moved("a.txt", "x.txt")]
    )
    assert document_of_successor("a.txt", store, ledger) is None

    ledger = ledger.append("s3", [], [moved("y.txt", "b.txt")])
    assert document_of_successor("a.txt", store, ledger) == "b.txt"


def test_the_example_of_the_module_holds() -> None:
    assert doctest.testmod(tracking).failed == 0

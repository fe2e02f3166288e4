"""The ledger: what is recorded is read, by the snapshot that it belongs to, and what is damaged is noticed."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sourceline.citations.base import successors
from sourceline.citations.ledger import FILE, FORMS, LINES, VERSION, Ledger, Resolution, open_ledger, recover_ledger
from sourceline.errors import LedgerError
from sourceline.ids import citation_id
from sourceline.index.snapshot import LedgerExtent
from sourceline.types import CitationStatus, Context, Location, Passage, PassageInContext, Time
from tests.support.texts import texts

MOVED, CHANGED, REMOVED = CitationStatus.MOVED, CitationStatus.CHANGED, CitationStatus.REMOVED
DAMAGED = "is damaged: a line is not as it was written: restore a backup with `sourceline restore FILE --replace`"


def cited(
    text: str, document: str = "a.txt", occurrence: int = 0, prefix: str = "", title: str = "A", heading: bool = False
) -> PassageInContext:
    passage = Passage(
        id=citation_id(document, text, occurrence),
        document_id=document,
        ordinal=3,
        start=10,
        end=10 + len(text),
        text=text,
        location=Location(2, 1, "S"),
        heading=heading,
    )
    return PassageInContext(passage, title, Context("Before it.", "After it."), prefix, "After.")


def reopened(ledger: Ledger, index: Path) -> Ledger:
    """Return the ledger as a reader opens it, who has the snapshot's files and its manifest."""
    ledger.save(index)
    assert ledger.extent
    return open_ledger(index, index, ledger.extent)


def bodies(index: Path) -> list[dict[str, object]]:
    """Return what stands in the file, line by line."""
    return [json.loads(line) for line in (index / FILE).read_bytes().splitlines()]


def test_an_index_without_a_ledger_reads_as_one_that_issued_nothing(tmp_path: Path) -> None:
    ledger = recover_ledger(tmp_path, None)

    assert ledger.extent is None
    assert ledger.issued("x") is None
    assert ledger.resolution("x") is None
    assert successors(ledger, "x") == []
    assert list(ledger.with_texts(["One."])) == []
    assert ledger.latest_successors(["x"]) == {}
    assert ledger.standing() == {}
    assert ledger.check() == 0
    assert list(tmp_path.iterdir()) == []


def test_a_citation_is_read_as_it_was_issued(tmp_path: Path) -> None:
    rich = cited("Café\r\n\u202e👍 \u2028x", "ü/é.md", 2, prefix="»\t")
    bare = PassageInContext(Passage("id", "b.txt", 0, 0, 2, "B.", Location(1, 1)), "B", Context(), "", "")
    recorded = recover_ledger(tmp_path, None).append("s1", [rich, bare], [])

    for ledger in (recorded, reopened(recorded, tmp_path), recover_ledger(tmp_path, None)):
        assert ledger.issued(rich.passage.id) == rich
        assert ledger.issued("id") == bare
        assert ledger.issued("ID") is None
        assert ledger.check() == 2
        assert ledger.extent == recorded.extent


def test_a_heading_is_read_as_a_heading(tmp_path: Path) -> None:
    heading = cited("The bridge", heading=True)

    assert recover_ledger(tmp_path, None).append("s1", [heading], []).issued(heading.passage.id) == heading


def test_an_id_that_was_issued_before_keeps_its_first_line(tmp_path: Path) -> None:
    first, again = cited("One.", prefix="Old."), cited("One.", prefix="New.", title="Other")

    ledger = recover_ledger(tmp_path, None).append("s1", [first, again], []).append("s2", [again], [])

    assert ledger.issued(first.passage.id) == first
    assert ledger.check() == 1


def test_the_file_is_json_line_by_line(tmp_path: Path) -> None:
    ledger = recover_ledger(tmp_path, None).append("s1", [cited("Café.")], [])
    ledger = ledger.append("s2", [], [Resolution("a", MOVED, "b"), Resolution("b", REMOVED, None)])

    assert ledger.extent
    header, issued, first, moved, removed, second = bodies(tmp_path)
    assert header.keys() == {"ledger", "version", "sum"}
    assert (header["ledger"], header["version"]) == (ledger.extent.ledger, VERSION)
    assert (issued["issued"], issued["text"], issued["line"]) == (cited("Café.").passage.id, "Café.", 2)
    assert (moved["gone"], moved["status"], moved["successor"]) == ("a", "moved", "b")
    assert (removed["gone"], removed["status"], removed["successor"]) == ("b", "removed", None)
    assert (first["build"], first["lines"], second["build"], second["lines"]) == ("s1", 1, "s2", 2)
    assert second["digest"] == ledger.extent.digest != first["digest"]
    assert ledger.extent.bytes == (tmp_path / FILE).stat().st_size


def test_the_newest_resolution_holds(tmp_path: Path) -> None:
    ledger = recover_ledger(tmp_path, None).append(
        "s2", [], [Resolution("a", MOVED, "b"), Resolution("b", REMOVED, None)]
    )
    ledger = ledger.append("s3", [], [Resolution("a", CHANGED, "c")])

    assert ledger.resolution("a") == Resolution("a", CHANGED, "c")
    assert ledger.resolution("b") == Resolution("b", REMOVED, None)
    assert ledger.resolution("c") is None


def test_successors_are_followed_to_the_end_of_the_chain(tmp_path: Path) -> None:
    ledger = recover_ledger(tmp_path, None).append("s2", [], [Resolution("a", MOVED, "b"), Resolution("x", MOVED, "y")])
    ledger = ledger.append("s3", [], [Resolution("b", CHANGED, "c")])
    ledger = ledger.append("s4", [], [Resolution("c", REMOVED, None)])

    assert successors(ledger, "a") == ["b", "c"]
    assert successors(ledger, "b") == ["c"]
    assert successors(ledger, "c") == []
    assert successors(ledger, "never issued") == []


def test_each_step_of_a_chain_is_the_one_that_the_newest_build_named(tmp_path: Path) -> None:
    ledger = recover_ledger(tmp_path, None).append("s2", [], [Resolution("a", MOVED, "b"), Resolution("b", MOVED, "c")])
    ledger = ledger.append("s3", [], [Resolution("b", CHANGED, "d"), Resolution("d", MOVED, "e")])
    assert successors(ledger, "a") == ["b", "d", "e"]

    ledger = ledger.append("s4", [], [Resolution("b", REMOVED, None)])
    assert successors(ledger, "a") == ["b"]

    ledger = ledger.append("s5", [], [Resolution("a", REMOVED, None)])
    assert successors(ledger, "a") == []


def test_a_chain_goes_on_behind_an_id_that_came_back(tmp_path: Path) -> None:
    # b was gone, stood in the snapshot again, and went once more: what stands in a snapshot is not for the ledger.
    ledger = recover_ledger(tmp_path, None).append("s2", [], [Resolution("a", MOVED, "b")])
    ledger = ledger.append("s3", [], [Resolution("b", MOVED, "c")])
    ledger = ledger.append("s4", [], [Resolution("c", MOVED, "b")])
    assert successors(ledger, "a") == ["b", "c"]

    ledger = ledger.append("s5", [], [Resolution("b", MOVED, "d")])
    assert successors(ledger, "a") == ["b", "d"]
    assert successors(ledger, "c") == ["b", "d"]


def test_a_chain_that_turns_in_a_circle_ends(tmp_path: Path) -> None:
    circle = [Resolution("a", MOVED, "b"), Resolution("b", MOVED, "c"), Resolution("c", MOVED, "a")]
    others = [Resolution("x", MOVED, "b"), Resolution("self", MOVED, "self")]
    ledger = recover_ledger(tmp_path, None).append("s2", [], [*circle, *others])

    assert successors(ledger, "a") == ["b", "c"]
    assert successors(ledger, "x") == ["b", "c", "a"]
    assert successors(ledger, "self") == []


def test_a_chain_of_thousands_is_followed_in_order(tmp_path: Path) -> None:
    ledger = recover_ledger(tmp_path, None).append(
        "s2", [], [Resolution(f"{at}", MOVED, f"{at + 1}") for at in range(5_000)]
    )

    assert successors(ledger, "0") == [f"{at}" for at in range(1, 5_001)]


def test_where_a_sentence_stood_is_kept_with_its_page_speaker_time_and_columns(tmp_path: Path) -> None:
    locations = [
        Location(3, 2, "Ferry", page=7, speaker="Bo “B.” Lind", time=Time(723.5, 730.25), columns=("Name", "Prix, €")),
        Location(3, 2, time=Time(0.0)),
        Location(1, 1, columns=("",)),
    ]
    issued = [
        PassageInContext(Passage(f"id{n}", "a", n, 0, 2, "A.", place), "A", Context(), "", "")
        for n, place in enumerate(locations)
    ]
    ledger = recover_ledger(tmp_path, None).append("s1", issued, [])

    assert [ledger.issued(f"id{n}") for n in range(3)] == issued


def test_a_citation_is_found_by_its_text_whatever_its_typography(tmp_path: Path) -> None:
    same = [cited(text, f"{n}.txt") for n, text in enumerate(["Don’t\r\ngo.", "Don't go.", "Don't\u00a0go."])]
    others = [cited("Do not go."), cited("don't go."), cited("Re-sign."), cited("Re-\nform.")]
    ledger = recover_ledger(tmp_path, None).append("s1", [*same, *others], [])

    assert {c.passage.text for c in ledger.with_texts(["Don‘t go."])} == {c.passage.text for c in same}
    assert [c.passage.text for c in ledger.with_texts(["Reform.", "Resign."])] == ["Re-\nform."]


def test_citations_that_no_build_found_gone_are_given_by_document_in_order(tmp_path: Path) -> None:
    one, two, cafe, gone = cited("One."), cited("Two."), cited("Un.", "cafe\u0301.txt"), cited("Gone.")
    two = replace(two, passage=replace(two.passage, ordinal=0))
    ledger = recover_ledger(tmp_path, None).append(
        "s1", [one, two, cafe, gone], [Resolution(gone.passage.id, REMOVED, None)]
    )

    assert ledger.standing() == {"a.txt": [two, one], "caf\u00e9.txt": [cafe]}
    assert ledger.latest_successors([one.passage.id, gone.passage.id, "never"]) == dict.fromkeys(
        [one.passage.id, gone.passage.id]
    )


def test_every_citation_of_exactly_these_texts_is_returned(tmp_path: Path) -> None:
    same = [cited(f"Sentence {number}.", document) for number in range(1_200) for document in ("a.txt", "b.txt")]
    others = [cited(text) for text in ("Sentence 1", "sentence 1.", "Sentence 1 .", "Sentence 1200.")]
    ledger = recover_ledger(tmp_path, None).append("s1", [*same, *others], [])

    citations = list(ledger.with_texts([f"Sentence {number}." for number in range(1_200)] + ["Nobody said this."]))

    assert sorted(citations, key=lambda c: c.passage.id) == sorted(same, key=lambda c: c.passage.id)


def test_a_text_that_is_named_twice_gives_each_citation_once(tmp_path: Path) -> None:
    ledger = recover_ledger(tmp_path, None).append("s1", [cited("One.")], [])

    assert list(ledger.with_texts(["One."] * 1_100)) == [cited("One.")]


def test_more_citations_than_are_kept_as_tuples_are_all_found(tmp_path: Path) -> None:
    issued = [cited(f"Sentence {number}.") for number in range(20_001)]
    ledger = recover_ledger(tmp_path, None).append("s1", issued, [Resolution(issued[-1].passage.id, REMOVED, None)])

    assert ledger.check() == 20_001
    assert all(ledger.issued(c.passage.id) == c for c in issued[::1_000])
    assert ledger.resolution(issued[-1].passage.id) == Resolution(issued[-1].passage.id, REMOVED, None)


def test_what_an_unpublished_build_appended_is_not_seen_and_the_next_build_overwrites_it(tmp_path: Path) -> None:
    one, two, three = cited("One."), cited("Two."), cited("Three.")
    published = recover_ledger(tmp_path, None).append("s1", [one], [])
    reader = reopened(published, tmp_path)
    published.append("s2", [two], [Resolution(one.passage.id, REMOVED, None)])

    for ledger in (reader, recover_ledger(tmp_path, "s1")):
        assert ledger.issued(two.passage.id) is None
        assert ledger.resolution(one.passage.id) is None
        assert ledger.check() == 1

    after = recover_ledger(tmp_path, "s1").append("s2b", [three], [])
    assert [body.get("text", body.get("build")) for body in bodies(tmp_path)[1:]] == ["One.", "s1", "Three.", "s2b"]
    assert after.check() == 2
    assert reader.check() == 1


def test_a_record_that_is_interrupted_is_not_seen(tmp_path: Path) -> None:
    ledger = recover_ledger(tmp_path, None).append("s1", [cited("One.")], [])

    def interrupted() -> Iterator[Resolution]:
        yield Resolution("a", REMOVED, None)
        raise ValueError("interrupted")

    with pytest.raises(ValueError, match="interrupted"):
        ledger.append("s2", [cited("Two.")], interrupted())

    for whole in (ledger, recover_ledger(tmp_path, None)):
        assert whole.issued(cited("Two.").passage.id) is None
        assert whole.resolution("a") is None
        assert whole.check() == 1


@pytest.mark.parametrize("length", [0, 1, 40, -1])
def test_a_file_that_was_begun_and_holds_no_build_is_begun_again(tmp_path: Path, length: int) -> None:
    recover_ledger(tmp_path, None).append("s1", [cited("One.")], [])
    begun = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(begun[:length])

    assert recover_ledger(tmp_path, None).append("s1", [cited("Two.")], []).check() == 1
    assert [body.get("text") for body in bodies(tmp_path)] == [None, "Two.", None]


def test_of_newer_snapshots_that_are_not_served_the_ids_are_known_but_nothing_else_is_believed(tmp_path: Path) -> None:
    one, two, three = cited("One."), cited("Two."), cited("Three.")
    served = recover_ledger(tmp_path, None).append("s1", [one], [])
    newer = served.append("s2", [two], [Resolution(one.passage.id, CHANGED, two.passage.id)])
    newer.append("s3", [three], [])
    served.save(tmp_path)
    assert served.extent

    ledger = open_ledger(tmp_path, tmp_path, served.extent, "s2")

    assert ledger.issued(two.passage.id) == two
    assert ledger.issued(three.passage.id) is None  # of a build that was not published
    assert ledger.resolution(one.passage.id) is None
    assert ledger.origin(two.passage.id) == one.passage.id
    assert ledger.origin(one.passage.id) is None
    assert ledger.check() == 1
    assert newer.issued_since(served.extent) == {"a.txt": [two]}


@pytest.mark.parametrize("order", [1, -1])
def test_of_what_a_newer_citation_came_of_that_with_the_same_text_is_its_origin(tmp_path: Path, order: int) -> None:
    one, two = cited("One."), cited("Two.", document="b.txt")
    newer = cited("Two.", document="c.txt")
    served = recover_ledger(tmp_path, None).append("s1", [one, two], [])
    gone = [Resolution(one.passage.id, CHANGED, newer.passage.id), Resolution(two.passage.id, MOVED, newer.passage.id)]
    served.append("s2", [newer], gone[::order])
    served.save(tmp_path)
    assert served.extent

    assert open_ledger(tmp_path, tmp_path, served.extent, "s2").origin(newer.passage.id) == two.passage.id


def reads(ledger: Ledger) -> list[Callable[[], object]]:
    return [
        ledger.check,
        lambda: ledger.issued("a"),
        lambda: ledger.resolution("a"),
        lambda: successors(ledger, "a"),
        lambda: ledger.origin("a"),
        lambda: list(ledger.with_texts(["One."])),
        lambda: ledger.latest_successors(["a"]),
        lambda: ledger.standing(),
        lambda: ledger.append("s2", [cited("Two.")], []),
    ]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "is missing: restore a backup with `sourceline restore FILE --replace`"),
        (lambda path: path.write_bytes(b""), "is damaged: it is shorter than it was"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "is damaged: it does not end as the snapshot has it"),
        (lambda path: path.write_bytes(path.read_bytes()[:50]), "is damaged: it does not end as the snapshot has it"),
        (lambda path: path.write_bytes(b"not json\n" * 200), "is damaged: it does not end as the snapshot has it"),
        (lambda path: (path.unlink(), path.mkdir()), "cannot be read: Is a directory"),
    ],
)
def test_a_file_that_is_not_the_ledger_of_the_snapshot_is_an_error_whatever_is_asked(
    tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    recorded = recover_ledger(tmp_path, None).append("s1", [cited("One.")], [])
    recorded.save(tmp_path)
    assert recorded.extent
    damage(tmp_path / FILE)
    ledger = open_ledger(tmp_path, tmp_path, recorded.extent)

    for read in reads(ledger):
        with pytest.raises(LedgerError, match=rf"ledger\.jsonl.*{message}|{message}"):
            read()


def test_the_ledger_of_another_index_is_an_error(tmp_path: Path) -> None:
    recorded = recover_ledger(tmp_path, None).append("s1", [cited("One.")], [])
    (tmp_path / FILE).unlink()
    recover_ledger(tmp_path, None).append("s1", [cited("One.")], [])

    for read in reads(reopened(recorded, tmp_path)):
        with pytest.raises(LedgerError, match=r"ledger\.jsonl is not the record of citations of this index: restore"):
            read()


def test_a_copy_of_an_earlier_time_is_an_error(tmp_path: Path) -> None:
    earlier = recover_ledger(tmp_path, None).append("s1", [cited("One.")], [])
    copy = (tmp_path / FILE).read_bytes()
    later = earlier.append("s2", [cited("Two.")], [])
    (tmp_path / FILE).write_bytes(copy)

    with pytest.raises(LedgerError, match="it does not end as the snapshot has it"):
        reopened(later, tmp_path).issued("a")


def test_any_flipped_bit_is_noticed_when_it_matters_and_by_the_check(tmp_path: Path) -> None:
    one, two = cited("One.", prefix="»"), cited("Two.")
    recorded = recover_ledger(tmp_path, None).append("s1", [one], [])
    recorded = recorded.append("s2", [two], [Resolution(one.passage.id, CHANGED, two.passage.id)])
    recorded.save(tmp_path)
    assert recorded.extent
    whole = (tmp_path / FILE).read_bytes()
    for position in range(len(whole)):
        flipped = bytearray(whole)
        flipped[position] ^= 1 << position % 8
        (tmp_path / FILE).write_bytes(flipped)
        ledger = open_ledger(tmp_path, tmp_path, recorded.extent)
        try:
            assert ledger.issued(one.passage.id) == one
            assert successors(ledger, one.passage.id) == [two.passage.id]
            assert ledger.issued(two.passage.id) == two
        except LedgerError:
            pass
        with pytest.raises(LedgerError):
            ledger.check()
        with pytest.raises(LedgerError, match=f"{DAMAGED}|what was recorded for snapshot s2 is missing"):
            recover_ledger(tmp_path, "s2")


def test_a_check_finds_that_a_line_was_replaced_by_another_whole_one(tmp_path: Path) -> None:
    recorded = recover_ledger(tmp_path, None).append("s1", [cited("One."), cited("Two.")], [])
    lines = (tmp_path / FILE).read_bytes().splitlines(keepends=True)
    (tmp_path / FILE).write_bytes(b"".join([lines[0], lines[2], lines[1], lines[3]]))

    with pytest.raises(LedgerError, match="is damaged"):
        reopened(recorded, tmp_path).check()


@pytest.mark.parametrize("name", [LINES, FORMS])
def test_a_check_finds_that_the_snapshot_has_other_places(tmp_path: Path, name: str) -> None:
    recorded = recover_ledger(tmp_path, None).append("s1", [cited("One."), cited("Two.")], [])
    recorded.save(tmp_path)
    np.save(tmp_path / name, np.load(tmp_path / name)[:1])
    assert recorded.extent

    with pytest.raises(LedgerError, match="it is not as the snapshot has it"):
        open_ledger(tmp_path, tmp_path, recorded.extent).check()


def test_a_folder_in_the_place_of_the_ledger_is_an_error(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()

    with pytest.raises(LedgerError, match=r"ledger\.jsonl, cannot be read: Is a directory"):
        recover_ledger(tmp_path, None)


def test_a_ledger_of_a_newer_version_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("sourceline.citations.ledger.VERSION", VERSION + 1)
        recover_ledger(tmp_path, None).append("s1", [], [])
    before = (tmp_path / FILE).read_bytes()

    with pytest.raises(LedgerError, match="is of a newer version of Sourceline"):
        recover_ledger(tmp_path, None)
    assert (tmp_path / FILE).read_bytes() == before


def test_an_extent_that_ends_in_the_middle_of_a_line_is_an_error(tmp_path: Path) -> None:
    recorded = recover_ledger(tmp_path, None).append("s1", [cited("One.")], [])
    recorded.save(tmp_path)
    assert recorded.extent
    extent = LedgerExtent(recorded.extent.ledger, "s1", recorded.extent.bytes - 5, recorded.extent.digest)

    with pytest.raises(LedgerError, match="it does not end as the snapshot has it"):
        open_ledger(tmp_path, tmp_path, extent).issued("a")


citations = st.builds(
    cited,
    texts.map(lambda text: text[:5]),
    st.sampled_from(["a.txt", "b.txt"]),
    st.integers(0, 1),
    texts,
)
resolutions = st.builds(
    Resolution, st.sampled_from(["a", "b", "c"]), st.sampled_from(CitationStatus), st.sampled_from([None, "a", "b"])
)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.lists(citations, max_size=4), st.lists(resolutions, max_size=3)), max_size=5))
def test_the_ledger_is_only_ever_added_to(builds: list[tuple[list[PassageInContext], list[Resolution]]]) -> None:
    with TemporaryDirectory() as folder:
        index = Path(folder)
        ledger = recover_ledger(index, None).append("s", [], [])
        first: dict[str, PassageInContext] = {}
        newest: dict[str, Resolution] = {}
        for number, (issued, resolved) in enumerate(builds):
            before = (index / FILE).read_bytes()

            ledger = ledger.append(f"s{number}", issued, resolved)

            assert (index / FILE).read_bytes().startswith(before)
            for citation in issued:
                first.setdefault(citation.passage.id, citation)
            newest |= {resolution.citation: resolution for resolution in resolved}
            for read in (ledger, reopened(ledger, index), recover_ledger(index, None)):
                assert {id_: read.issued(id_) for id_ in first} == first
                assert {id_: read.resolution(id_) for id_ in newest} == newest
                assert read.check() == len(first)

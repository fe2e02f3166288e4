import math
import os
import stat
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from sourceline.errors import SnapshotError
from sourceline.index.bm25 import COMMON_WORDS_ABOVE, FOLDER, MAX_DOCUMENTS, BM25Index, BM25Writer
from sourceline.index.passage_store import SearchableText
from sourceline.index.row_filter import RowFilter

# Six sentences of 3, 3, 4, 2, 3 and 9 words: 4 on average. (Up to 39 words tantivy stores a length exactly.)
SENTENCES = [
    "The council met.",
    "Budgets were cut.",
    "Council budgets, council plans!",
    "Café closed",
    "The council met.",
    "Trees, trees, trees: the road is lined with trees.",
]


def write_and_open(folder: Path, *parts: list[str]) -> BM25Index:
    with BM25Writer(folder) as writer:
        for part in parts:
            writer.add([SearchableText(text, 0) for text in part])
        writer.write()
    return BM25Index(folder)


@pytest.fixture
def index(tmp_path: Path) -> BM25Index:
    return write_and_open(tmp_path, SENTENCES[:2], SENTENCES[2:])


def idf(sentences_with: int, sentences: int = 6) -> float:
    return math.log(1 + (sentences - sentences_with + 0.5) / (sentences_with + 0.5))


def saturation(times: int, words: int, average: float = 4) -> float:
    """Return what BM25 multiplies a word's idf by, with k1 1.2 and b .75."""
    return times * 2.2 / (times + 1.2 * (0.25 + 0.75 * words / average))


def rows(index: BM25Index, text: str, n: int = 10, row_filter: RowFilter | None = None) -> list[int]:
    return [hit.row for hit in index.search(text, n, row_filter)]


def test_the_score_of_one_word_is_as_worked_by_hand(index: BM25Index) -> None:
    hits = index.search("council", 10, None)

    # In 3 of 6 sentences, so its idf is log 2. Row 2: 2·2.2 / (2 + 1.2·1) = 1.375; rows 0, 4: 2.2 / (1 + 1.2·.8125).
    assert [hit.row for hit in hits] == [2, 0, 4]
    assert [hit.score for hit in hits] == pytest.approx(
        [math.log(2) * 1.375, *[math.log(2) * 2.2 / 1.975] * 2], rel=1e-6
    )


def test_the_scores_of_several_words_are_added(index: BM25Index) -> None:
    scores = {hit.row: hit.score for hit in index.search("council budgets trees", 10, None)}

    assert scores == pytest.approx(
        {
            0: idf(3) * saturation(1, 3),
            1: idf(2) * saturation(1, 3),
            2: idf(3) * saturation(2, 4) + idf(2) * saturation(1, 4),
            4: idf(3) * saturation(1, 3),
            5: idf(1) * saturation(4, 9),
        },
        rel=1e-6,
    )


def test_a_word_that_a_question_repeats_counts_once(index: BM25Index) -> None:
    assert index.search("council Councils COUNCIL", 10, None) == index.search("council", 10, None)
    assert index.max_score("council Councils COUNCIL") == index.max_score("council")


@pytest.mark.parametrize(
    ("word", "matching"),
    [
        ("budget", [1, 2]),
        ("budgeting", [1, 2]),
        ("TREE", [5]),
        ("planned", [2]),
        ("cafe", [3]),
        ("CAFÉS", [3]),
        ("cafe\u0301", [3]),
        ("closing", [3]),
        ("coun", []),
        ("money", []),
    ],
)
def test_words_match_by_stem_whatever_their_case_and_accents(index: BM25Index, word: str, matching: list[int]) -> None:
    assert rows(index, word) == matching


@pytest.mark.parametrize(
    "question",
    [
        "-council",
        "+council",
        '"council"',
        '"council',
        "(council",
        "council)",
        "council~2",
        "council^9",
        "council*",
        "[council]",
        "{council}",
        r"\council\\",
        "council:",
        "council && !",
        "council AND money",
        "council NOT money",
        "money OR council",
        "row:3 council",
        "text:council",
    ],
)
def test_no_character_of_a_question_is_query_syntax(index: BM25Index, question: str) -> None:
    assert index.search(question, 10, None) == index.search("council", 10, None)


def test_words_of_query_languages_are_words_like_others(tmp_path: Path) -> None:
    index = write_and_open(tmp_path, ["Not now.", "And then?", "Plain words", "row 2"])

    assert [rows(index, word) for word in ("NOT", "AND", "OR", "row", "row:2", "*")] == [[0], [1], [], [3], [3], []]


@pytest.mark.parametrize("question", ["", " \n", "?!", "…", "👍", "x" * 65])
def test_a_question_without_a_word_matches_nothing(index: BM25Index, question: str) -> None:
    assert index.search(question, 10, None) == []
    assert index.search(question, 10, RowFilter.from_ranges([range(0, 6)])) == []
    assert index.scores(question, [0, 5]).tolist() == [0, 0]
    assert index.max_score(question) == 0


@pytest.mark.parametrize(
    ("ranges", "matching"),
    [
        ([range(0, 6)], [2, 0, 4]),
        ([range(0, 2), range(4, 6)], [0, 4]),
        ([range(1, 4)], [2]),
        ([range(1, 2), range(3, 4), range(5, 6)], []),
        ([], []),
    ],
)
def test_a_filter_leaves_rows_out_and_changes_no_score(
    index: BM25Index, ranges: list[range], matching: list[int]
) -> None:
    unfiltered = {hit.row: hit for hit in index.search("council", 10, None)}

    assert index.search("council", 10, RowFilter.from_ranges(ranges)) == [unfiltered[row] for row in matching]


def test_equal_scores_are_in_row_order_even_where_n_cuts_among_them(tmp_path: Path) -> None:
    index = write_and_open(tmp_path, ["Nothing here.", "The red door.", "A red red door."] * 200)
    expected = [*range(2, 600, 3), *range(1, 600, 3)]

    assert len(index) == 600
    for n in (1, 2, 199, 200, 201, 399, 400, 401, 600):
        assert rows(index, "red doors", n) == expected[:n]
        assert rows(index, "red doors", n, RowFilter.from_ranges([range(0, 600)])) == expected[:n]


def test_zero_results_and_scores_of_no_rows_are_empty(index: BM25Index) -> None:
    assert index.search("council", 0, None) == []
    assert index.scores("council", []).tolist() == []


def test_scores_of_given_rows_are_those_of_search_and_0_where_no_word_stands(index: BM25Index) -> None:
    by_search = {hit.row: hit.score for hit in index.search("council budgets", 10, None)}

    scores = index.scores("council budgets", [5, 4, 3, 2, 1, 0, 2])

    assert scores.tolist() == [0, by_search[4], 0, by_search[2], by_search[1], by_search[0], by_search[2]]


def test_the_maximum_score_is_above_that_of_any_passage(index: BM25Index) -> None:
    # "money" is in no sentence, and still counts.
    assert index.max_score("council budgets, money") == pytest.approx((idf(3) + idf(2) + idf(0)) * 2.2)
    assert index.search("trees", 1, None)[0].score < index.max_score("trees") == pytest.approx(idf(1) * 2.2)


def test_a_passage_that_repeats_a_word_comes_near_the_maximum_score(tmp_path: Path) -> None:
    index = write_and_open(tmp_path, [f"{word} " * 1024 for word in ("echo", "silence", "noise")])

    # 1024 / (1024 + 1.2): it is as long as the others.
    assert index.scores("echo", [0])[0] == pytest.approx(index.max_score("echo"), rel=0.002)
    assert index.scores("echo", [0])[0] < index.max_score("echo")


def test_no_lock_is_left_in_the_folder_that_was_written(tmp_path: Path) -> None:
    with BM25Writer(tmp_path) as writer:
        writer.add([SearchableText(text, 0) for text in SENTENCES])
        writer.write()

    assert not list((tmp_path / FOLDER).glob(".*.lock"))
    assert (tmp_path / FOLDER / "meta.json").is_file()


def test_a_folder_without_an_index_is_refused(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()

    with pytest.raises(SnapshotError, match="FileDoesNotExist"):
        BM25Index(tmp_path)


def test_a_word_with_an_accent_beside_its_letter_is_the_same_word(tmp_path: Path) -> None:
    index = write_and_open(tmp_path, ["The e\u0301cole opens.", "Nothing else."])

    assert rows(index, "\u00e9cole") == [0]


def test_of_many_sentences_a_word_in_more_than_a_fifth_counts_only_if_there_is_no_other(tmp_path: Path) -> None:
    common = [f"The road {number}." for number in range(COMMON_WORDS_ABOVE // 3)]
    rivers = [f"A river {number}." for number in range(COMMON_WORDS_ABOVE)]
    index = write_and_open(tmp_path, common, rivers, ["Council road."])

    assert rows(index, "the council", 3) == [len(index) - 1]
    assert index.search("the council", 1, None) == index.search("council", 1, None)
    assert rows(index, "the", 3) == [0, 1, 2]
    # The scores of given rows count every word.
    assert index.scores("the council", [0])[0] == index.scores("the", [0])[0] > 0


@pytest.mark.parametrize("most", [0, MAX_DOCUMENTS])
def test_filters_find_what_passes_whether_by_terms_or_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    # Documents of two rows each; every third row is said by Bo Lind.
    monkeypatch.setattr("sourceline.index.bm25.MAX_DOCUMENTS", most)
    speakers = ["Bo Lind" if row % 3 == 0 else None if row % 3 == 1 else "Ilse Kern" for row in range(240)]
    with BM25Writer(tmp_path) as writer:
        writer.add([SearchableText(f"council {row}", row // 2, speakers[row]) for row in range(240)])
        writer.write()
    index = BM25Index(tmp_path)
    unfiltered = rows(index, "council", 240)
    everything = RowFilter.from_documents([(number, range(2 * number, 2 * number + 2)) for number in range(120)])
    some = RowFilter.from_documents([(number, range(2 * number, 2 * number + 2)) for number in range(0, 120, 7)])
    bo = np.arange(0, 240, 3)

    for row_filter in (
        *(everything, some, RowFilter.from_documents([(7, range(14, 16))]), RowFilter.from_documents([])),
        *(everything.said_by(["Bo Lind"], bo), some.said_by(["Bo Lind"], bo)),
        some.said_by(["Bo Lind", "Ilse Kern"], np.array([row for row in range(240) if row % 3 != 1])),
        some.said_by(["Nobody"], np.array([], dtype=np.int64)),
    ):
        passing = [row for row in unfiltered if row in row_filter]
        for n in (1, 5, 300):
            assert rows(index, "council", n, row_filter) == passing[:n]


OPEN_READ_ONLY = """
import os, sys, tempfile
from pathlib import Path
from sourceline.index.bm25 import BM25Index
index = BM25Index(Path(sys.argv[1]))
print([hit.row for hit in index.search("council", 3, None)], os.listdir(tempfile.gettempdir()))
"""
MOUNT_READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && ! touch "$0/x" 2>&- && exec "$@"'


def test_an_index_is_opened_where_nothing_can_be_written_and_leaves_nothing_behind(tmp_path: Path) -> None:
    folder, scratch = tmp_path / "index", tmp_path / "scratch"
    folder.mkdir()
    scratch.mkdir()
    write_and_open(folder, SENTENCES)
    before = sorted(os.listdir(folder / FOLDER))
    run = [sys.executable, "-c", OPEN_READ_ONLY, str(folder)]
    command = ["unshare", "--mount", "sh", "-c", MOUNT_READ_ONLY, str(folder), *run]
    try:
        subprocess.run(["unshare", "--mount", "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this user may not mount")

    environment = os.environ | {"TMPDIR": str(scratch)}
    process = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    assert process.stdout == "[2, 0, 4] []\n", process.stderr
    assert sorted(os.listdir(folder / FOLDER)) == before


@pytest.mark.parametrize("in_the_way", [os.mkfifo, os.mkdir])
def test_what_stands_in_the_place_of_the_lock_file_is_no_obstacle(tmp_path: Path, in_the_way: object) -> None:
    write_and_open(tmp_path, SENTENCES)
    lock = tmp_path / FOLDER / ".tantivy-meta.lock"
    lock.unlink()
    assert callable(in_the_way)
    in_the_way(lock)

    assert [hit.row for hit in BM25Index(tmp_path).search("council", 3, None)] == [2, 0, 4]
    assert not stat.S_ISREG(lock.stat().st_mode)


def test_a_lock_that_is_taken_while_the_links_are_removed_does_not_keep_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_and_open(tmp_path, SENTENCES)
    lock = tmp_path / FOLDER / ".tantivy-meta.lock"
    lock.unlink()
    lock.mkdir()
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    remove = os.rmdir

    def lock_and_remove(path: str, *, dir_fd: int | None = None) -> None:
        monkeypatch.setattr(os, "rmdir", remove)
        (Path(path) / ".tantivy-meta.lock").touch()
        remove(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "rmdir", lock_and_remove)

    index = BM25Index(tmp_path)

    assert os.rmdir is remove, "the lock was not taken"
    assert os.listdir(tmp_path / "scratch") == []
    assert [hit.row for hit in index.search("council", 3, None)] == [2, 0, 4]


def test_the_files_have_the_modes_of_the_umask(tmp_path: Path) -> None:
    umask = os.umask(0o027)
    try:
        write_and_open(tmp_path, SENTENCES)
    finally:
        os.umask(umask)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / FOLDER).iterdir()}
    assert {"meta.json", ".managed.json"} < modes.keys()
    assert set(modes.values()) == {0o640}


def test_rows_with_every_word_are_found_and_no_others(index: BM25Index) -> None:
    assert index.search_all("the council", 10) == [0, 4]
    assert index.search_all("Council budget", 10) == [2]  # in any form
    assert index.search_all("council closed", 10) == []
    assert index.search_all("the council", 1) == [0]
    assert index.search_all("…", 10) == []


def overwrite(folder: Path, suffix: str, byte: bytes, start: int = 0) -> None:
    """Write over what the file with this suffix holds, in its place, so that it is seen by what has the file open."""
    (file,) = (folder / FOLDER).glob(f"*{suffix}")
    content = range(file.read_bytes().index(b'{"version"'))[start:]  # behind it stands tantivy's footer
    with file.open("r+b") as opened:
        opened.seek(content.start)
        opened.write(byte * len(content))


PANICS, ERROR = ("mid > len", "assertion failed: start <= orig_range.end"), "Unsupported dictionary type"


@pytest.mark.parametrize(("suffix", "byte", "told"), [(".idx", b"\xff", PANICS[0]), (".term", b"\0", ERROR)])
def test_a_file_that_is_overwritten_under_an_open_index_is_an_error(
    tmp_path: Path, suffix: str, byte: bytes, told: str
) -> None:
    index = write_and_open(tmp_path, SENTENCES * 50)
    overwrite(tmp_path, suffix, byte)
    for search in (lambda: rows(index, "council budget"), lambda: index.scores("council", [1])):
        with pytest.raises(SnapshotError, match=rf"cannot be read \(.*{told}.*\): run `sourceline rebuild-index`$"):
            search()


def test_a_file_that_is_overwritten_before_it_is_opened_is_an_error(tmp_path: Path) -> None:
    write_and_open(tmp_path, SENTENCES)
    overwrite(tmp_path, ".pos", b"\xff", -4)
    with pytest.raises(SnapshotError, match=rf"\({PANICS[1]}\): run `sourceline rebuild-index`$"):
        BM25Index(tmp_path)


def test_a_row_that_there_is_not_is_an_error(tmp_path: Path) -> None:
    index = write_and_open(tmp_path, SENTENCES)
    (file,) = (tmp_path / FOLDER).glob("*.fast")
    whole = file.read_bytes()
    for position in range(whole.index(b'{"version"')):  # somewhere in it are the numbers of the rows
        with file.open("r+b") as opened:
            opened.write(whole[:position] + bytes([whole[position] ^ 0xFF]) + whole[position + 1 :])
        with suppress(SnapshotError):
            assert max(rows(index, "council budget")) < len(SENTENCES)


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit, MemoryError])
def test_nothing_else_that_ends_a_search_is_taken_for_damage(
    index: BM25Index, monkeypatch: pytest.MonkeyPatch, ending: type[BaseException]
) -> None:
    class Interrupted:
        num_docs = len(SENTENCES)

        def search(self, *_: object, **__: object) -> None:
            raise ending

    monkeypatch.setattr(index, "_searcher", Interrupted())
    with pytest.raises(ending):
        rows(index, "council")

import math
from pathlib import Path

import pytest

from sourceline.index.bm25 import MANY, BM25Index, BM25Writer
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


def indexed(folder: Path, *parts: list[str]) -> BM25Index:
    writer = BM25Writer(folder)
    for part in parts:
        writer.add(part)
    writer.write()
    return BM25Index(folder)


@pytest.fixture
def lexical(tmp_path: Path) -> BM25Index:
    return indexed(tmp_path, SENTENCES[:2], SENTENCES[2:])


def idf(sentences_with: int, sentences: int = 6) -> float:
    return math.log(1 + (sentences - sentences_with + 0.5) / (sentences_with + 0.5))


def share(times: int, words: int, average: float = 4) -> float:
    """Return what BM25 multiplies a word's idf by, with k1 1.2 and b .75."""
    return times * 2.2 / (times + 1.2 * (0.25 + 0.75 * words / average))


def rows(index: BM25Index, text: str, n: int = 10, row_filter: RowFilter | None = None) -> list[int]:
    return [neighbor.row for neighbor in index.search(text, n, row_filter)]


def test_one_word_scores_as_worked_by_hand(lexical: BM25Index) -> None:
    found = lexical.search("council", 10, None)

    # In 3 of 6 sentences, so its idf is log 2. Row 2: 2·2.2 / (2 + 1.2·1) = 1.375; rows 0, 4: 2.2 / (1 + 1.2·.8125).
    assert [neighbor.row for neighbor in found] == [2, 0, 4]
    assert [neighbor.score for neighbor in found] == pytest.approx(
        [math.log(2) * 1.375, *[math.log(2) * 2.2 / 1.975] * 2], rel=1e-6
    )


def test_the_scores_of_several_words_are_added(lexical: BM25Index) -> None:
    found = {neighbor.row: neighbor.score for neighbor in lexical.search("council budgets trees", 10, None)}

    assert found == pytest.approx(
        {
            0: idf(3) * share(1, 3),
            1: idf(2) * share(1, 3),
            2: idf(3) * share(2, 4) + idf(2) * share(1, 4),
            4: idf(3) * share(1, 3),
            5: idf(1) * share(4, 9),
        },
        rel=1e-6,
    )


def test_a_word_asked_for_twice_counts_once(lexical: BM25Index) -> None:
    assert lexical.search("council Councils COUNCIL", 10, None) == lexical.search("council", 10, None)
    assert lexical.ceiling("council Councils COUNCIL") == lexical.ceiling("council")


@pytest.mark.parametrize(
    ("word", "found"),
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
def test_words_match_by_stem_whatever_their_case_and_accents(lexical: BM25Index, word: str, found: list[int]) -> None:
    assert rows(lexical, word) == found


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
def test_no_character_of_a_question_is_query_syntax(lexical: BM25Index, question: str) -> None:
    assert lexical.search(question, 10, None) == lexical.search("council", 10, None)


def test_a_word_that_a_query_language_gives_a_meaning_is_a_word_like_another(tmp_path: Path) -> None:
    index = indexed(tmp_path, ["Not now.", "And then?", "Plain words", "row 2"])

    assert [rows(index, word) for word in ("NOT", "AND", "OR", "row", "row:2", "*")] == [[0], [1], [], [3], [3], []]


@pytest.mark.parametrize("question", ["", " \n", "?!", "…", "👍", "x" * 65])
def test_a_question_without_a_word_finds_nothing(lexical: BM25Index, question: str) -> None:
    assert lexical.search(question, 10, None) == []
    assert lexical.search(question, 10, RowFilter.of([range(0, 6)])) == []
    assert lexical.scores(question, [0, 5]).tolist() == [0, 0]
    assert lexical.ceiling(question) == 0


@pytest.mark.parametrize(
    ("within", "found"),
    [
        ([range(0, 6)], [2, 0, 4]),
        ([range(0, 2), range(4, 6)], [0, 4]),
        ([range(1, 4)], [2]),
        ([range(1, 2), range(3, 4), range(5, 6)], []),
        ([], []),
    ],
)
def test_a_filter_leaves_rows_out_and_changes_no_score(
    lexical: BM25Index, row_filter: list[range], found: list[int]
) -> None:
    everywhere = {neighbor.row: neighbor for neighbor in lexical.search("council", 10, None)}

    assert lexical.search("council", 10, RowFilter.of(row_filter)) == [everywhere[row] for row in found]


def test_ties_are_in_the_order_of_their_rows_even_where_they_are_cut(tmp_path: Path) -> None:
    index = indexed(tmp_path, ["Nothing here.", "The red door.", "A red red door."] * 200)
    expected = [*range(2, 600, 3), *range(1, 600, 3)]

    assert len(index) == 600
    for n in (1, 2, 199, 200, 201, 399, 400, 401, 600):
        assert rows(index, "red doors", n) == expected[:n]
        assert rows(index, "red doors", n, RowFilter.of([range(0, 600)])) == expected[:n]


def test_nothing_asked_for_finds_nothing(lexical: BM25Index) -> None:
    assert lexical.search("council", 0, None) == []
    assert lexical.scores("council", []).tolist() == []


def test_scores_are_those_of_search_and_0_for_rows_without_a_word(lexical: BM25Index) -> None:
    found = {neighbor.row: neighbor.score for neighbor in lexical.search("council budgets", 10, None)}

    scores = lexical.scores("council budgets", [5, 4, 3, 2, 1, 0, 2])

    assert scores.tolist() == [0, found[4], 0, found[2], found[1], found[0], found[2]]


def test_the_ceiling_is_what_no_passage_can_pass(lexical: BM25Index) -> None:
    # "money" is in no sentence, and still counts.
    assert lexical.ceiling("council budgets, money") == pytest.approx((idf(3) + idf(2) + idf(0)) * 2.2)
    assert lexical.search("trees", 1, None)[0].score < lexical.ceiling("trees") == pytest.approx(idf(1) * 2.2)


def test_a_passage_that_repeats_a_word_comes_near_the_ceiling(tmp_path: Path) -> None:
    index = indexed(tmp_path, [f"{word} " * 1024 for word in ("echo", "silence", "noise")])

    # 1024 / (1024 + 1.2): it is as long as the others.
    assert index.scores("echo", [0])[0] == pytest.approx(index.ceiling("echo"), rel=0.002)
    assert index.scores("echo", [0])[0] < index.ceiling("echo")


def test_no_lock_is_left_in_the_folder_that_was_written(tmp_path: Path) -> None:
    writer = BM25Writer(tmp_path)
    writer.add(SENTENCES)
    writer.write()

    assert not list((tmp_path / "lexical").glob("*.lock"))
    assert (tmp_path / "lexical" / "meta.json").is_file()


def test_a_folder_without_an_index_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lexical").mkdir()

    with pytest.raises(ValueError, match="FileDoesNotExist"):
        BM25Index(tmp_path)


def test_an_accent_beside_its_letter_is_the_same_word(tmp_path: Path) -> None:
    writer = BM25Writer(tmp_path)
    writer.add(["The e\u0301cole opens.", "Nothing else."])
    writer.write()
    assert [neighbor.row for neighbor in BM25Index(tmp_path).search("\u00e9cole", 5, None)] == [0]


def test_among_many_sentences_a_word_of_more_than_a_fifth_of_them_finds_nothing_beside_others(tmp_path: Path) -> None:
    common = [f"The road {number}." for number in range(MANY // 3)]
    many = indexed(tmp_path, common, [f"A river {number}." for number in range(MANY)], ["Council road."])
    assert rows(many, "the council", 3) == [len(many) - 1]
    assert many.search("the council", 1, None) == many.search("council", 1, None)
    # Alone it is what is asked for.
    assert rows(many, "the", 3) == [0, 1, 2]
    # The scores of given rows count every word.
    assert many.scores("the council", [0])[0] == many.scores("the", [0])[0] > 0

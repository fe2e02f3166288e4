from sourceline.retrieval.answerability import load_calibration
from sourceline.retrieval.examples import MOST, examples
from sourceline.retrieval.search import Searcher
from sourceline.types import DEFAULT_MODEL
from tests.conftest import SEEDS
from tests.retrieval.publishing import Publish


def certain(searcher: Searcher) -> Searcher:
    """Return a searcher for which every question is answered."""
    return Searcher(searcher.generation, searcher.encoder, load_calibration(DEFAULT_MODEL), threshold=0)


def test_the_seed_meetings_examples_are_about_what_it_says_and_it_answers_them(publish: Publish) -> None:
    text = (SEEDS / "meeting.txt").read_text("utf-8")
    searcher = publish({"meeting.txt": text})
    found = examples(searcher)
    assert found[0] == "What is said about Iraqi Foreign Minister Fuad Hussein?"
    assert 2 <= len(found) <= MOST
    for question in found:
        assert question.removeprefix("What is said about ").removesuffix("?") in text
        assert searcher.ask(question, 1).answerable


def test_headings_names_and_things_take_turns(publish: Publish) -> None:
    text = (
        "# Bus routes\n\nThe new bus routes will serve the northern villages from May.\n\n"
        "The council thanked the engineer Ada Lovelace. Then Ada Lovelace spoke on clean drinking water.\n"
    )
    found = examples(certain(publish({"a.md": text})))
    subjects = ("Bus routes", "Ada Lovelace", "clean drinking water")
    assert found == [f"What is said about {subject}?" for subject in subjects]


def test_documents_that_name_nothing_have_no_examples(publish: Publish) -> None:
    assert examples(certain(publish({"a.txt": "It rained.\nنوقشت الميزانية اليوم.\n"}))) == []


def test_what_is_not_answered_is_no_example(publish: Publish) -> None:
    searcher = publish({"a.txt": "They spoke about fish. He likes London Bridge.\n"})
    left_out = set(examples(certain(searcher))) - set(examples(searcher))
    assert left_out
    assert not any(searcher.ask(question, 1).answerable for question in left_out)


def test_no_more_than_a_few_are_proposed(publish: Publish) -> None:
    names = "Ada Lovelace", "Alan Turing", "Grace Hopper", "Mary Shelley", "Emmy Noether", "Marie Curie"
    searcher = certain(publish({"a.txt": "".join(f"The hall was opened by {name} herself.\n" for name in names)}))
    assert examples(searcher) == [f"What is said about {name}?" for name in names[:MOST]]

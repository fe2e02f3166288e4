import io

from rich.console import Console, RenderableType

from sourceline.cli import render
from sourceline.evaluation.metrics import (
    IN_SCOPE,
    MEASURES,
    OPEN,
    ConfidenceMetrics,
    Estimate,
    Evaluation,
    TopPassage,
)
from sourceline.evaluation.results import compare
from tests.support.evaluation import result

HOSTILE = "\x1b[2J\x1b]0;pwned\x07 \x9b31m\r\x08 [red]x[/red] \u202e\u2066 :smile:"
HARMLESS = " [2J ]0;pwned   31m   [red]x[/red]    :smile:"


def text(renderable: RenderableType) -> str:
    file = io.StringIO()
    Console(file=file, highlight=False, width=500).print(renderable)
    return file.getvalue()


def evaluation(*systems: str, dataset: str = "set") -> Evaluation:
    metrics = {name: dict.fromkeys(MEASURES, Estimate(0.75, 0.5, 1)) for name in systems}
    confidence = ConfidenceMetrics(0.5, None, 0.25, 0.5, 1, 1)
    return Evaluation(dataset, 1200, {OPEN: metrics}, confidence, (result(1),))


def test_metrics_stand_in_columns_as_wide_as_the_longest_name() -> None:
    shown = text(render.evaluation(evaluation("Sourceline", "a longer name than the rest")))
    assert shown.splitlines() == [
        "set: 1,200 passages, 1 questions, 1 answerable",
        "",
        "open, 1 questions            R@1         R@5         R@10        MRR@10      nDCG@10",
        "Sourceline                   .750 ±.250  .750 ±.250  .750 ±.250  .750 ±.250  .750 ±.250",
        "a longer name than the rest  .750 ±.250  .750 ±.250  .750 ±.250  .750 ±.250  .750 ±.250",
        "",
        "confidence: AUC –, ECE .250, area under risk–coverage .500;",
        "at threshold 0.5, 100 of 100 questions are answered, 100 of 100 of these correctly",
    ]


def test_every_setting_has_a_block_of_its_own() -> None:
    both = evaluation("Sourceline")
    metrics = {**both.metrics, IN_SCOPE: both.metrics[OPEN]}
    shown = text(render.evaluation(Evaluation("set", 1, metrics, both.confidence, both.questions)))
    headings = [line.split("  ")[0] for line in shown.splitlines() if "R@1 " in line]
    assert headings == ["open, 1 questions", "in scope, 0 questions"]


def test_without_an_answerable_question_only_confidence_is_shown() -> None:
    confidence = ConfidenceMetrics(0.5, None, 0.25, 1, 0, 0)
    shown = text(render.evaluation(Evaluation("set", 1, {}, confidence, (result(None),))))
    assert shown.splitlines() == [
        "set: 1 passages, 1 questions, 0 answerable",
        "",
        "confidence: AUC –, ECE .250, area under risk–coverage 1.000;",
        "at threshold 0.5, 0 of 100 questions are answered",
    ]


def test_a_comparison_shows_the_differences_and_the_first_twenty_flips() -> None:
    old = [result(at % 2, 0.5, f"q{at}", "Who?", TopPassage("a", "Old.")) for at in range(50)]
    new = [result(1, 0.5, f"q{at}", "Who?") for at in range(50)]
    lines = text(render.comparison(compare(old, new))).splitlines()
    assert lines[1] == "new - old, open, 50 questions"
    assert lines[2].startswith("R@1      +.500 [+.")
    assert lines[7:11] == ["won at R@1: 25", "  q0: Who?", "    old  Old. · a", "    new  –"]
    assert (lines[-2], lines[-1]) == ("    new  –", "lost at R@1: 0")
    assert sum(line.startswith("  q") for line in lines) == 20


def test_control_characters_and_markup_in_an_evaluation_do_nothing() -> None:
    shown = text(render.evaluation(evaluation("Sourceline", dataset=HOSTILE)))
    assert shown.splitlines()[0] == f"{HARMLESS}: 1,200 passages, 1 questions, 1 answerable"


def test_control_characters_and_markup_in_a_comparison_do_nothing() -> None:
    hostile = f"{HOSTILE}\nb"
    comparisons = compare(
        [result(0, 0.5, hostile, hostile, TopPassage(HOSTILE, hostile))], [result(1, 0.5, hostile, hostile)]
    )
    lines = text(render.comparison(comparisons)).splitlines()
    assert lines[8:10] == [f"  {HARMLESS} b: {HARMLESS} b", f"    old  {HARMLESS} b · {HARMLESS}"]

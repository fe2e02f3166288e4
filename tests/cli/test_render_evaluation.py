import io
import re
from dataclasses import replace

from rich.console import Console, RenderableType

from sourceline.cli import render
from sourceline.evaluation.metrics import (
    FAST,
    IN_SCOPE,
    MEASURES,
    OPEN,
    SOURCELINE,
    ConfidenceMetrics,
    Estimate,
    Evaluation,
    FormMetrics,
    TopPassage,
)
from sourceline.evaluation.results import compare
from tests.support.evaluation import result

HOSTILE = "\x1b[2J\x1b]0;pwned\x07 \x9b31m\r\x08 [red]x[/red] \u202e\u2066 :smile:"
HARMLESS = " [2J ]0;pwned   31m   [red]x[/red]    :smile:"


def text(renderable: RenderableType, width: int = 500) -> str:
    file = io.StringIO()
    Console(file=file, highlight=False, width=width).print(renderable)
    return file.getvalue()


COUNTS = {"answered": 1, "unsure": 0, "not_answered": 0}
NOTHING = {"answered": 0, "unsure": 0, "not_answered": 0}
CONFIDENCE = ConfidenceMetrics(0.5, None, 0.25, 0.5, 1, 1, COUNTS, NOTHING)


def evaluation(*systems: str, dataset: str = "set") -> Evaluation:
    metrics = {name: dict.fromkeys(MEASURES, Estimate(0.75, 0.5, 1)) for name in systems}
    return Evaluation(dataset, 1200, {OPEN: metrics}, {OPEN: {SOURCELINE: CONFIDENCE}}, {}, (result(1),))


def test_an_evaluation_fits_in_80_columns_with_long_names_in_lines_of_their_own() -> None:
    measured = evaluation(SOURCELINE, "exactly twenty chars", "dense + BM25, first 10 by cross-encoder/a-long-name")
    both = {
        OPEN: {
            SOURCELINE: {"keywords": FormMetrics(1234, 617, 1234, 4, 1)},
            FAST: {"keywords": FormMetrics(1234, 0, 0, 4, 4)},
        }
    }
    shown = text(render.evaluation(replace(measured, forms=both)), width=80)
    assert shown.splitlines() == [
        "set: 1,200 passages, 1 questions, 1 answerable",
        "",
        "open, 1 questions            R@1         R@5        R@10      MRR@10     nDCG@10",
        "Sourceline            .750 ±.250  .750 ±.250  .750 ±.250  .750 ±.250  .750 ±.250",
        "exactly twenty chars  .750 ±.250  .750 ±.250  .750 ±.250  .750 ±.250  .750 ±.250",
        "dense + BM25, first 10 by cross-encoder/a-long-name",
        "                      .750 ±.250  .750 ±.250  .750 ±.250  .750 ±.250  .750 ±.250",
        "",
        "confidence, open  AUC    ECE   AURC  shown  right",
        "Sourceline          –   .250   .500  1.000  1.000",
        "",
        "verdicts, open            answered  unsure  not answered",
        "Sourceline: 1 answerable     1.000    .000          .000",
        "",
        "by form, open           questions  R@1 read  R@1 fast  shown read  shown fast",
        "keywords                    1,234      .500      .000       1.000        .000",
        "keywords, unanswerable          4         –         –        .250       1.000",
    ]


def test_measures_of_1_leave_room_for_the_names() -> None:
    certain = {name: dict.fromkeys(MEASURES, Estimate(1, 1, 1)) for name in (SOURCELINE, "dense + BM25, RRF")}
    lines = text(render.evaluation(replace(evaluation(), metrics={OPEN: certain})), width=80).splitlines()
    assert lines[3:5] == [
        "Sourceline        1.000 ±.000 1.000 ±.000 1.000 ±.000 1.000 ±.000 1.000 ±.000",
        "dense + BM25, RRF 1.000 ±.000 1.000 ±.000 1.000 ±.000 1.000 ±.000 1.000 ±.000",
    ]


def test_every_setting_has_tables_of_its_own() -> None:
    both = evaluation(SOURCELINE)
    metrics = dict.fromkeys((OPEN, IN_SCOPE), both.metrics[OPEN])
    confidence = dict.fromkeys((OPEN, IN_SCOPE), both.confidence[OPEN])
    shown = text(render.evaluation(replace(both, metrics=metrics, confidence=confidence)))
    headings = [re.split("  |\n", table)[0] for table in shown.split("\n\n")[1:]]
    assert headings == [
        "open, 1 questions",
        "confidence, open",
        "verdicts, open",
        "in scope, 0 questions",
        "confidence, in scope",
        "verdicts, in scope",
    ]


def test_without_an_answerable_question_only_confidence_is_shown() -> None:
    confidence = ConfidenceMetrics(0.5, None, 0.25, 1, 0, 0, NOTHING, COUNTS | {"answered": 0, "not_answered": 1})
    shown = text(render.evaluation(Evaluation("set", 1, {}, {OPEN: {SOURCELINE: confidence}}, {}, (result(None),))))
    assert shown.splitlines() == [
        "set: 1 passages, 1 questions, 0 answerable",
        "",
        "confidence, open  AUC    ECE   AURC  shown  right",
        "Sourceline          –   .250  1.000   .000      –",
        "",
        "verdicts, open              answered  unsure  not answered",
        "Sourceline: 1 unanswerable      .000    .000         1.000",
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

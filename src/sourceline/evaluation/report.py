"""The report: one page that holds all it needs, in the reader's light or dark."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from sourceline import __version__
from sourceline.evaluation import plots, wording
from sourceline.evaluation.compare import Comparison, Flip
from sourceline.evaluation.metrics import MEASURES, OPEN, SOURCELINE, Asked, Evaluation, First, reliability, risks

MOST = 20  # questions in each list
_KEPT = "\n\u200c\u200d"  # what joins and parts letters in Persian, Hindi and emoji
_STYLE = """
body { margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: var(--ink); background: var(--paper);
  font: 16px/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
table { border-collapse: collapse; display: block; overflow-x: auto; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .8rem .25rem 0; text-align: left; border-bottom: 1px solid var(--faint); vertical-align: top; }
"""


def report(name: str, evaluation: Evaluation, compared: Mapping[str, Comparison] | None = None) -> str:
    """Return the page; ``name`` is the set's, ``compared`` what changed since other figures."""
    title = f"{name}: {wording.summary(evaluation)}"
    parts = [f"<h1>{_clean(name)}</h1>", f"<p>{wording.summary(evaluation)}; Sourceline {__version__}</p>"]
    for where, figures in evaluation.figures.items():
        parts.append(f"<h2>Quality, {_clean(where)}, {evaluation.answerable(where):,} questions</h2>")
        rows = [[system, *(wording.mean(values[one]) for one in MEASURES)] for system, values in figures.items()]
        parts.append(_table(["system", *MEASURES], rows))
        parts.append(plots.quality(f"Quality by system, {where}", figures, ("R@1", "MRR@10")))
    parts += [
        "<p>Means over the answerable questions with 95 % bootstrap intervals. R@k is success@k: the share of questions"
        " of which one of the first k passages answers.</p>",
        f"<h2>Confidence</h2><p>{_clean(wording.confidence(evaluation))}</p>",
        "<h3>Risk–coverage</h3>",
        plots.risk_coverage("Risk by coverage", risks(evaluation.asked)),
        "<h3>Reliability</h3>",
        plots.reliability("Share right by confidence", reliability(evaluation.asked)),
    ]
    for where, one in (compared or {}).items():
        parts += _compared(where, one)
    parts += _wrong(evaluation.asked)
    # No script, no picture and no font from anywhere, whatever a document holds.
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    head = f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
    view = '<meta name="viewport" content="width=device-width">'
    page = [f'<!doctype html>\n<html lang="en"><head>{head}{view}<title>{_clean(title)}</title>']
    return "\n".join([*page, f"<style>{plots.STYLE}{_STYLE}</style></head><body>", *parts, "</body></html>\n"])


def _compared(where: str, compared: Comparison) -> list[str]:
    rows = [[name, wording.difference(figure)] for name, figure in compared.differences.items()]
    return [
        f"<h2>New - old, {_clean(where)}, {compared.questions:,} questions</h2>",
        _table(["measure", "difference"], rows),
        *_flips("Won", compared.won),
        *_flips("Lost", compared.lost),
    ]


def _flips(verb: str, flips: Sequence[Flip]) -> list[str]:
    rows = [[flip.id, flip.question, _first(flip.then), _first(flip.now)] for flip in flips[:MOST]]
    listed = [_table(["id", "question", "first then", "first now"], rows)] if rows else []
    return [f"<h3>{verb} at R@1: {len(flips):,}</h3>", *listed]


def _wrong(asked: Iterable[Asked]) -> list[str]:
    """Return the wrong first passages that were shown with the most confidence."""
    wrong = sorted((one for one in asked if not one.right), key=lambda one: -one.confidence)
    rows = [
        [one.id, one.question, wording.number(one.confidence), _first(one.outcomes[OPEN][SOURCELINE].first)]
        for one in wrong[:MOST]
    ]
    if not rows:
        return []
    return ["<h2>The most confident mistakes</h2>", _table(["id", "question", "confidence", "first passage"], rows)]


def _first(first: First | None) -> str:
    return "–" if first is None else f"{first.text} ({first.citation})"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{_clean(cell)}</th>" for cell in header)
    body = "\n".join(f"<tr>{''.join(f'<td>{_clean(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>\n<tr>{head}</tr>\n{body}\n</table>"


def _clean(text: str) -> str:
    """Return text as HTML; control characters, which a page must not hold, and direction marks become blanks."""
    return escape("".join(character if character.isprintable() or character in _KEPT else " " for character in text))

"""Evaluate labelled sets and print a table of them in Markdown.

    python benchmarks/quality.py SET... [--floor 0.74] [--plots FOLDER]

Prints a row for each set, setting and system, with the settings of ``sourceline evaluate``. With ``--floor`` the exit
code is 1 if Sourceline's R@1 over all documents is lower on any set. ``--plots`` draws what the confidence is worth on
the last set, as risk-coverage.svg and reliability.svg.
"""

import argparse
from pathlib import Path

from sourceline.config import load_settings
from sourceline.evaluation.dataset import read_dataset
from sourceline.evaluation.evaluate import evaluate
from sourceline.evaluation.metrics import MEASURES, OPEN, SOURCELINE
from sourceline.evaluation.report import format_mean, plot_confidence


def main() -> int:
    """Print the rows of each set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--floor", type=float, default=0.0, help="the least R@1")
    parser.add_argument("--plots", type=Path, metavar="FOLDER")
    arguments = parser.parse_args()
    settings = load_settings()
    print(f"| set | questions | | {' | '.join(MEASURES)} |")
    print("|---|---|---|" + "---|" * len(MEASURES))
    reached = True
    for folder in arguments.sets:
        evaluation = evaluate(
            read_dataset(folder), settings.model, settings.backend, settings.local_folder, reranker=settings.reranker
        )
        for setting, systems in evaluation.metrics.items():
            for system, values in systems.items():
                name = f"{evaluation.dataset}, {setting} | {evaluation.answerable(setting):,} | {system}"
                print(f"| {name} |", " | ".join(format_mean(values[measure]) for measure in MEASURES), "|", flush=True)
        if evaluation.metrics:
            reached = reached and evaluation.metrics[OPEN][SOURCELINE]["R@1"].mean >= arguments.floor
        if arguments.plots:
            plots = plot_confidence(evaluation)
            (arguments.plots / "risk-coverage.svg").write_text(plots.risk_coverage, "utf-8")
            (arguments.plots / "reliability.svg").write_text(plots.reliability, "utf-8")
    return 0 if reached else 1


if __name__ == "__main__":
    raise SystemExit(main())

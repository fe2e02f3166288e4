"""Evaluate labelled sets and print a table of them in Markdown.

    python benchmarks/quality.py SET... [--floor 0.74]

Prints a row for each set, setting and system, with the settings of ``sourceline evaluate``. With ``--floor`` the exit
code is 1 if Sourceline's R@1 over all documents is lower on any set.
"""

import argparse
from pathlib import Path

from sourceline.config import load_settings
from sourceline.evaluation.dataset import read_dataset
from sourceline.evaluation.evaluate import evaluate
from sourceline.evaluation.metrics import MEASURES, OPEN, SOURCELINE
from sourceline.evaluation.report import format_mean


def main() -> int:
    """Print the rows of each set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--floor", type=float, default=0.0, help="the least R@1")
    arguments = parser.parse_args()
    settings = load_settings()
    print(f"| set | questions | | {' | '.join(MEASURES)} |")
    print("|---|---|---|" + "---|" * len(MEASURES))
    reached = True
    for folder in arguments.sets:
        evaluation = evaluate(
            read_dataset(folder), settings.model, settings.backend, settings.index, reranker=settings.reranker
        )
        for setting, systems in evaluation.metrics.items():
            for system, values in systems.items():
                name = f"{evaluation.dataset}, {setting} | {evaluation.answerable(setting):,} | {system}"
                print(f"| {name} |", " | ".join(format_mean(values[measure]) for measure in MEASURES), "|", flush=True)
        if evaluation.metrics:
            reached = reached and evaluation.metrics[OPEN][SOURCELINE]["R@1"].mean >= arguments.floor
    return 0 if reached else 1


if __name__ == "__main__":
    raise SystemExit(main())

"""Score labelled sets and print README's table: ``python benchmarks/quality.py SET... [--floor .74]``.

A row for each set, place that is searched and system. With ``--floor`` the exit code is 1 if Sourceline's R@1 over all
documents of any set is lower.
"""

import argparse
from pathlib import Path

from sourceline.config import load_settings
from sourceline.evaluation import wording
from sourceline.evaluation.dataset import read_labels
from sourceline.evaluation.evaluate import evaluate
from sourceline.evaluation.metrics import MEASURES, OPEN, SOURCELINE


def main() -> int:
    """Print the rows of each set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--floor", type=float, default=0.0, help="the least R@1")
    arguments = parser.parse_args()
    settings = load_settings()
    print(f"| set | questions | | {' | '.join(MEASURES)} |")
    print("|---|---|---|" + "---|" * len(MEASURES))
    reached = True
    for folder in arguments.sets:
        found = evaluate(read_labels(folder), settings.model, settings.encoder, settings.index)
        for where, by_system in found.figures.items():
            for system, values in by_system.items():
                head = f"| {folder.resolve().name}, {where} | {found.answerable(where):,} | {system} |"
                print(head, " | ".join(wording.mean(values[name]) for name in MEASURES), "|", flush=True)
        if found.figures:
            reached = reached and found.figures[OPEN][SOURCELINE]["R@1"].mean >= arguments.floor
    return 0 if reached else 1


if __name__ == "__main__":
    raise SystemExit(main())

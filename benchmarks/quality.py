"""Score labelled sets and print README's table: ``python benchmarks/quality.py SET... [--floor .74]``.

With ``--floor`` the exit code is 1 if R@1 of any set is lower.
"""

import argparse
from pathlib import Path

from sourceline.evaluation.labels import read_labels
from sourceline.evaluation.score import MEASURES, evaluate
from sourceline.settings import load_settings


def main() -> int:
    """Print a row for each set."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--floor", type=float, default=0.0, help="the least R@1")
    arguments = parser.parse_args()
    settings = load_settings()
    print(f"| set | sentences | questions | {' | '.join(MEASURES)} | AUC |")
    print("|---|---|---|" + "---|" * (len(MEASURES) + 1))
    reached = True
    for folder in arguments.sets:
        found = evaluate(read_labels(folder), settings.model, settings.encoder, settings.index)
        values = " | ".join(f"{value:.3f}" for value in found.means.values())
        auc = "–" if found.auc is None else f"{found.auc:.3f}"
        print(f"| {folder.resolve().name} | {found.passages:,} | {len(found.asked):,} | {values} | {auc} |", flush=True)
        reached = reached and found.means["R@1"] >= arguments.floor
    return 0 if reached else 1


if __name__ == "__main__":
    raise SystemExit(main())

"""Try to break Sourceline from outside: kills, damage, rebuilds under load, connections, hostile input.

    python benchmarks/torture.py CAMPAIGN [--count N] [--minutes M] [--seed S] [--part K/N]

CAMPAIGN is kills, damage, rebuilds, connections, fuzz or all. Knows nothing but the commands and HTTP (fuzzing also
calls the parsers), and says what is true by a model of its own, ``campaigns/truth.py``. Prints how far it is, then a
summary in Markdown; the exit code is 1 if anything was false.

``--count`` is the number of kills or of rebuilds, or of places at which a bit of each file is flipped; ``--minutes`` is
for each of what is fuzzed: all parsers, the wire, the API. ``--part`` is for damage, which takes hours: ``1/4`` to
``4/4`` together try what one run tries. What is random follows from the seed, but not at which moment a process is
killed or an answer comes.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # tests.support
from campaigns import connections, damage, fuzz, kills, rebuilds
from campaigns.corpus import export_model
from campaigns.outside import Findings

Campaign = Callable[[int, int, Path, Path], Findings]
# By name, with how much is tried if nothing is said.
CAMPAIGNS: dict[str, tuple[Campaign, int]] = {
    "kills": (kills.run, 500),
    "damage": (damage.run, 3),
    "rebuilds": (rebuilds.run, 60),
    "connections": (connections.run, 1),
    "fuzz": (fuzz.run, 10),
}


def main() -> int:
    """Run one campaign or all of them; return how the program ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("campaign", choices=[*CAMPAIGNS, "all"])
    parser.add_argument("--count", type=int)
    parser.add_argument("--minutes", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", type=part, default=(1, 1), metavar="K/N")
    arguments = parser.parse_args()
    false = 0
    with tempfile.TemporaryDirectory(prefix="torture-") as work:
        encoders = export_model(Path(work))
        for name in CAMPAIGNS if arguments.campaign == "all" else [arguments.campaign]:
            run, much = CAMPAIGNS[name]
            folder = Path(work) / name
            folder.mkdir()
            started = time.monotonic()
            chosen = arguments.minutes if name == "fuzz" else arguments.count
            if name == "damage":
                run = partial(damage.run, part=arguments.part)
            findings = run(chosen or much, arguments.seed, folder, encoders)
            findings.counts["minutes that it took"] = round((time.monotonic() - started) / 60)
            print(findings.markdown(), "\n", flush=True)
            false += len(findings.false)
    return int(false > 0)


def part(text: str) -> tuple[int, int]:
    """Return what ``K/N`` says: the K-th of N parts.

    >>> part("1/4")
    (1, 4)
    """
    number, _, count = text.partition("/")
    if not 1 <= int(number) <= int(count):
        raise ValueError
    return int(number), int(count)


if __name__ == "__main__":
    sys.exit(main())

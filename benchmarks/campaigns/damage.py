"""Each file of an index damaged in five ways, before it is opened and while it is served.

Damage is to be noticed, or to change nothing: no answer is wrong, and the message says what to do.
"""

import http.client
import json
import random
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from campaigns.corpus import Folder, new_index
from campaigns.forked import Commands, commands
from campaigns.lookups import answer_of, look_up
from campaigns.outside import Findings, Server, UnexpectedError, folders, start_server
from campaigns.truth import UNKNOWN, Truth, ids_of

# A message that helps names a command, or what to do by hand.
HELPFUL = re.compile(r"(?i)`sourceline|run `|restore|backup|back it up|remove|check|free|wait|try again")
TRACEBACK = "Traceback (most recent call last)"
QUESTION = "What did the council decide?"
BUILDS = 4
DEATH_SECONDS = 10  # how long the system may take to end a process that read what is no longer there (SIGBUS)


@dataclass(frozen=True, slots=True)
class Damage:
    """One way to damage one file."""

    file: str  # its path in the index folder
    way: str
    content: bytes | None  # what is in it then; None if it is removed

    def do(self, index: Path) -> None:
        """Damage the file as a failing disk or a careless person does: in its place."""
        path = index / self.file
        if self.content is None:
            path.unlink()
        else:
            path.write_bytes(self.content)


@dataclass
class Original:
    """An undamaged index, and what is true of it."""

    index: Path
    options: tuple[str, ...]
    truth: Truth
    snapshots: list[str]  # the newest two, oldest first
    answers: dict[str, Any] = field(default_factory=dict)  # the passages of the answer from each of them


def run(count: int, seed: int, work: Path, encoders: Path, part: tuple[int, int] = (1, 1)) -> Findings:
    """Damage each file in each way, with so many places at which a bit is flipped; or do one of so many parts of it."""
    findings = Findings(
        f"each file damaged in 5 ways, {count} flipped bits each, seed {seed}, part {part[0]}/{part[1]}"
    )
    source = random.Random(seed)
    with commands() as runs:
        original = build(work / "one", source, encoders, runs)
        other = build(work / "other", source, encoders, runs)
        damages = list(all_damages(original.index, other.index, count, source))
        # So that a run that is stopped early has tried files of all kinds. The order depends on their number alone.
        random.Random(seed).shuffle(damages)
        damages = damages[part[0] - 1 :: part[1]]
        findings.counts["files"] = len({damage.file for damage in damages})
        for number, damage in enumerate(damages, 1):
            for when, check in (("at open", at_open), ("while serving", while_serving)):
                index = work / "damaged"
                copy(original.index, index)
                before = len(findings.false)
                try:
                    outcome = check(damage, index, original, runs, findings.false)
                except (OSError, UnexpectedError, http.client.HTTPException, ValueError) as error:
                    outcome = "stopped"
                    findings.false.append(f"{error!r}")
                findings.false[before:] = [
                    f"{damage.file} {damage.way} {when}: {line}" for line in findings.false[before:]
                ]
                findings.add(f"{when}: {outcome}")
                shutil.rmtree(index)
            if not number % 10:
                findings.progress(f"{number} of {len(damages)} damages")
    return findings


def build(work: Path, source: random.Random, encoders: Path, runs: Commands) -> Original:
    """Build an index with a history, in whose ledger is every status, and with the cache of a build that was killed."""
    folder, index = Folder(work / "documents", source), new_index(work / "index", encoders)
    options, truth = folders(folder.path, index), Truth()
    folder.fill()
    snapshots = []
    for _ in range(BUILDS):
        done = runs.run(*options, "rebuild-index", "--json")
        if done.returncode:
            raise UnexpectedError(done.stdout)
        snapshots.append(json.loads(done.stdout[done.stdout.index("{") :])["snapshot"])
        truth.attempt(folder.corpus)
        shown = {
            id_: [(c, cited.text) for c, cited in ids_of({id_: texts}).items()] for id_, texts in folder.corpus.items()
        }
        false = truth.serve(snapshots[-1], shown)
        assert not false
        folder.edit()
    runs.run(*options, "rebuild-index", death=("durable.replace: replace", 0))
    original = Original(index, options, truth, snapshots[-2:])
    for snapshot in original.snapshots:
        copied = index.with_name("copy")
        copy(index, copied)
        if snapshot != snapshots[-1]:
            shutil.rmtree(copied / "snapshots" / snapshots[-1])
            (copied / "CURRENT").write_text(f"{snapshot}\n")
        answer = ask(runs, folders(folder.path, copied))
        original.answers[snapshot] = json.loads(answer)["passages"]
        shutil.rmtree(copied)
    return original


def ask(runs: Commands, options: tuple[str, ...]) -> str:
    """Ask by the command; return what it prints as JSON."""
    done = runs.run(*options, "ask", QUESTION, "--json", "--mode", "fast")
    return done.stdout[done.stdout.index("{") :]


def copy(index: Path, target: Path) -> None:
    """Copy an index folder."""
    shutil.copytree(index, target)


def all_damages(index: Path, other: Path, flips: int, source: random.Random) -> Iterator[Damage]:
    """Yield every way to damage every file of an index; ``other`` is another index, of which files are swapped in."""
    # By suffix, so that another run has them in the same order: tantivy's files have names at random.
    files = (path for path in index.rglob("*") if path.is_file())
    for path in sorted(files, key=lambda path: (path.parent, path.suffix, path.name)):
        file, content = str(path.relative_to(index)), path.read_bytes()
        yield Damage(file, "removed", None)
        if not content:
            continue
        yield Damage(file, "emptied", b"")
        yield Damage(file, "truncated", content[: source.randrange(1, len(content))] if len(content) > 1 else b"")
        for _ in range(flips):
            flipped = bytearray(content)
            at, bit = source.randrange(len(content)), source.randrange(8)
            flipped[at] ^= 1 << bit
            yield Damage(file, f"bit {bit} of byte {at} flipped", bytes(flipped))
        twin = counterpart(path, index, other)
        if twin and twin.read_bytes() != content:
            yield Damage(file, "swapped", twin.read_bytes())


def counterpart(path: Path, index: Path, other: Path) -> Path | None:
    """Return the file of another index that stands in the place of this one."""
    parts = list(path.relative_to(index).parts)
    if parts[0] == "snapshots":  # their ids hold the time
        ours, theirs = (sorted(child.name for child in (folder / "snapshots").iterdir()) for folder in (index, other))
        parts[1] = theirs[min(ours.index(parts[1]), len(theirs) - 1)]
    twin = other.joinpath(*parts)
    if twin.is_file():
        return twin
    alike = sorted(twin.parent.glob(f"*{path.suffix}")) if twin.parent.is_dir() and path.suffix else []
    return alike[0] if alike else None


def at_open(damage: Damage, index: Path, original: Original, runs: Commands, false: list[str]) -> str:
    """Damage, then run every command; return what came of it."""
    damage.do(index)
    options = (*original.options[:2], "--index", str(index))
    noticed = False
    doctor = runs.run(*options, "doctor")
    noticed |= told(doctor.returncode, doctor.stdout, false, "doctor")
    done = runs.run(*options, "ask", QUESTION, "--json", "--mode", "fast")
    noticed |= told(done.returncode, said(done.stdout), false, "ask")
    if not done.returncode:
        false += answer_falsehoods(json.loads(done.stdout[done.stdout.index("{") :]), original)
    for id_ in some_of_each(original):
        done = runs.run(*options, "cite", id_, "--json")
        noticed |= told(done.returncode, said(done.stdout), false, "cite")
        if "{" in done.stdout:
            answer = json.loads(done.stdout[done.stdout.index("{") :])
            false += citation_falsehoods(id_, answer, original)
        elif not done.returncode or "ever issued" in done.stdout:
            false.append(f"cite {id_}: {done.stdout.strip()}")
    rebuilt = runs.run(*options, "rebuild-index")
    noticed |= told(rebuilt.returncode, "", false, "rebuild-index") and bool(rebuilt.stdout)
    return "noticed" if noticed else "harmless"


def said(output: str) -> str:
    """Return what a command says beside its JSON."""
    return output[: output.index("{")] if "{" in output else output


def told(code: int, output: str, false: list[str], name: str) -> bool:
    """Return whether a command noticed the damage. One that failed must say what to do."""
    if TRACEBACK in output or code < 0 or code == 70:
        false.append(f"{name} ended with {code}: {output.strip()[-300:]}")
    elif code and output and not HELPFUL.search(output) and name != "cite":
        false.append(f"{name} does not say what to do: {output.strip()[-300:]}")
    return bool(code) or bool(output.strip() and name != "doctor")


def some_of_each(original: Original) -> list[str]:
    """Return an id of each set of statuses that is true of any."""
    chosen: dict[tuple[str, ...], str] = {}
    for id_ in sorted(original.truth.issued):
        chosen.setdefault(tuple(sorted(original.truth.statuses(id_, original.snapshots[-1]))), id_)
    return list(chosen.values())


def answer_falsehoods(answer: dict[str, Any], original: Original) -> list[str]:
    """Return what is false in an answer: it must be that of the snapshot that it names."""
    snapshot = answer["snapshot"]
    if snapshot not in original.snapshots:
        return [f"an answer is of {snapshot}"]
    kept = [{key: passage[key] for key in ("citation", "text")} for passage in answer["passages"]]
    right = [{key: passage[key] for key in ("citation", "text")} for passage in original.answers[snapshot]]
    return [] if kept == right else [f"an answer of {snapshot} is {kept}, not {right}"]


def citation_falsehoods(id_: str, content: dict[str, Any], original: Original) -> list[str]:
    """Return what is false of a citation in both snapshots that can be served."""
    answer = answer_of(content)
    lines = [original.truth.falsehood(id_, answer, snapshot) for snapshot in original.snapshots]
    return [] if None in lines else [line for line in lines[-1:] if line]


def while_serving(damage: Damage, index: Path, original: Original, runs: Commands, false: list[str]) -> str:
    """Damage under a running server; return what came of it."""
    options = (*original.options[:2], "--index", str(index))
    server = start_server(index.with_name("log"), *options)
    try:
        ask_everything(server, original, [])
        damage.do(index)
        outcome = "noticed" if ask_everything(server, original, false) else "harmless"
        status, _ = server.request("POST", "/v1/index/rebuild")
        while status == 202 and server.get("/v1/index")["rebuild"]["state"] == "running":
            time.sleep(0.1)
        if server.get("/v1/index")["rebuild"]["state"] == "failed":
            outcome = "noticed"
    except (OSError, http.client.HTTPException):
        if not has_ended(server):
            raise
        outcome = f"the server ended with {server.process.returncode}, and is started again"
        server = start_server(index.with_name("log"), *options)
        ask_everything(server, original, false)
    finally:
        server.kill()
    if TRACEBACK in server.log:
        false.append(f"the log has a traceback: {server.log[-300:]}")
    return outcome


def has_ended(server: Server) -> bool:
    """Return whether a server that did not answer ends, in a moment at the latest."""
    try:
        server.process.wait(DEATH_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def ask_everything(server: Server, original: Original, false: list[str]) -> bool:
    """Ask, and look every id up; return whether anything was refused."""
    refused = False
    status, answer = server.request("POST", "/v1/ask", {"question": QUESTION, "mode": "fast"})
    if status == 200:
        if answer["snapshot"] in original.snapshots:
            false += answer_falsehoods(answer, original)
    else:
        refused = True
    try:
        answers = look_up(server, sorted(original.truth.issued))
    except UnexpectedError:  # told as a problem
        return True
    for id_, looked_up in answers.items():
        lines = [original.truth.falsehood(id_, looked_up, snapshot) for snapshot in original.snapshots]
        if None not in lines:
            if looked_up.status == UNKNOWN:
                false.append(f"{id_} is unknown")
            else:
                false += [line for line in lines[-1:] if line]
    return refused

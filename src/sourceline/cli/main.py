"""The commands."""

import json
import logging
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sourceline import __version__
from sourceline.cli.completion import GLOBAL_OPTIONS, PROGRAM, CompletingGroup, Shell, prepare, script
from sourceline.errors import BuildRunningError, CorpusError, SourcelineError
from sourceline.logs import LogFormat, log_to_stderr
from sourceline.text import escape_json, one_line
from sourceline.types import Backend, Mode

if TYPE_CHECKING:  # rich is imported when something is shown
    from rich.console import Console
    from rich.progress import TaskID

    from sourceline.config import Settings
    from sourceline.types import BuildReport

app = typer.Typer(
    cls=CompletingGroup,
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    help="Ask a question about your documents; get the exact sentences that answer it, with citations that last.",
)

# Paths are ``readable=False`` to typer: it would answer one that may not be read with how the command is used, and exit
# code 2. What reads them says what is wrong in one line.

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def main() -> None:
    """Run the command line. Known errors are one line and exit code 1, never a traceback."""
    prepare()
    try:
        app(args=globals_first(sys.argv[1:]), prog_name=PROGRAM)
    except SourcelineError as error:
        _print_error(error)
        sys.exit(1)
    except MemoryError:
        _print_error("there is not enough memory: raise the limit (`ulimit -v`, or the container's), or free some")
        sys.exit(1)


def globals_first(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with the global options before the command.

    >>> globals_first(["ask", "Who?", "--index", "i"])
    ['--index', 'i', 'ask', 'Who?']
    """
    first: list[str] = []
    rest: list[str] = []
    remaining = iter(arguments)
    for argument in remaining:
        if argument == "--":
            rest += [argument, *remaining]
        elif argument in GLOBAL_OPTIONS:
            value = next(remaining, None)
            if value is None:  # with nothing behind it, typer says that the value is missing
                return [*first, argument]
            first += [argument, value]
        elif argument.startswith(tuple(f"{name}=" for name in GLOBAL_OPTIONS)):
            first.append(argument)
        else:
            rest.append(argument)
    return first + rest


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"sourceline {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    documents: Annotated[
        Path | None, typer.Option(readable=False, help="The folder of documents.", show_default="seeds")
    ] = None,
    index: Annotated[
        str | None,
        typer.Option(help="The folder of the index, or postgresql://user@host/name.", show_default="index"),
    ] = None,
    model: Annotated[str | None, typer.Option(help="A sentence-transformers model: a name or a folder.")] = None,
    backend: Annotated[Backend | None, typer.Option(help="What runs the model.", show_default="onnx")] = None,
    reranker: Annotated[
        str | None,
        typer.Option(help="What reads: reader, none, or a CrossEncoder by name or folder.", show_default="reader"),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="The least confidence of an answer.", show_default="0.5")
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Read the settings; the command line comes first."""
    log_to_stderr()
    overrides = {
        "documents": documents,
        "index": index,
        "model": model,
        "backend": backend,
        "reranker": reranker,
        "threshold": threshold,
    }

    def settings(**more: object) -> "Settings":
        from sourceline.config import load_settings  # whoever asks for help or a completion waits for no more

        return load_settings(**overrides, **more)

    context.obj = settings


@app.command()
def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="The address to listen on.", show_default="127.0.0.1")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.", show_default="8080")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, max=64, help="How many processes.", show_default="1")] = None,
    capacity: Annotated[int | None, typer.Option(min=1, help="Questions taken in at once.", show_default="64")] = None,
    watch: Annotated[
        bool | None, typer.Option("--watch", help="Rebuild the index when documents change.", show_default=False)
    ] = None,
    allow_edits: Annotated[
        bool | None,
        typer.Option("--allow-edits", help="Let documents be written over HTTP; needs a key.", show_default=False),
    ] = None,
    api_keys: Annotated[
        Path | None, typer.Option(readable=False, metavar="FILE", help="A file of API keys; see new-key.")
    ] = None,
    log_format: Annotated[LogFormat | None, typer.Option(help="How the log is written.", show_default="text")] = None,
) -> None:
    """Serve the page and the API, after building the index if there is none."""
    settings: Settings = context.obj(
        host=host,
        port=port,
        workers=workers,
        capacity=capacity,
        watch=watch,
        allow_edits=allow_edits,
        api_keys=api_keys,
        log_format=log_format,
    )
    log_to_stderr(settings.log_format)
    from sourceline.server.run import run

    if settings.log_format is LogFormat.TEXT:
        run(settings, say=lambda text: typer.echo(one_line(text), err=True))
        return
    log = logging.getLogger("sourceline")
    try:
        run(settings, say=log.info)
    except SourcelineError as error:
        log.error("%s", error)
        raise typer.Exit(1) from error


@app.command()
def mcp(context: typer.Context) -> None:
    """Serve the index to an assistant program, over MCP on standard input and output."""
    settings: Settings = context.obj()
    log_to_stderr(settings.log_format)
    from sourceline.server.mcp.stdio import run

    run(settings)


@app.command("new-key")
def new_key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is: letters, digits, - and _.")],
    scopes: Annotated[
        str, typer.Option(metavar="LIST", help="What it may do: ask, read, manage, with commas; '' for metrics alone.")
    ] = "ask,read",
    rate_limit: Annotated[
        int | None,
        typer.Option(min=0, metavar="NUMBER", help="Requests a minute; 0 is no limit.", show_default="the setting"),
    ] = None,
) -> None:
    """Make an API key: print the line for the file of keys, and the key, this once, on standard error."""
    from sourceline.server.keys import NAME_PATTERN, KeyScope
    from sourceline.server.keys import new_key as make

    if not re.fullmatch(NAME_PATTERN, name):
        raise typer.BadParameter("a name has up to 64 letters, digits, hyphens and underscores", param_hint="NAME")
    try:
        chosen = [KeyScope(scope.strip()) for scope in scopes.split(",") if scope.strip()]
    except ValueError as error:
        raise typer.BadParameter(f"scopes are {', '.join(KeyScope)}", param_hint="--scopes") from error
    key, line = make(name, chosen, rate_limit)
    typer.echo(f"The key of {name}, shown only now: {key}", err=True)
    typer.echo(line)


@app.command("rebuild-index")
def rebuild_index(
    context: typer.Context,
    as_json: Json = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on, and rebuild whenever documents change.")] = False,
) -> None:
    """Read the documents, encode what is new, publish a new snapshot. Exit code 1 if a file could not be read."""
    settings: Settings = context.obj()
    if watch:
        _keep_rebuilding(settings, as_json)
    elif _rebuild(settings, as_json).skipped:
        raise typer.Exit(1)


@app.command()
def worker(context: typer.Context) -> None:
    """Encode documents for builds of an index in a database, which run anywhere, until Ctrl-C or SIGTERM."""
    settings: Settings = context.obj()
    from sourceline.limits import require_limits

    require_limits(settings.local_folder, settings.model)
    from sourceline.api import Index

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    typer.echo(one_line(f"Working for {settings.index}; Ctrl-C ends."), err=True)
    Index.work(settings.index, stop)


def _rebuild(settings: "Settings", as_json: bool) -> "BuildReport":
    from sourceline.limits import require_limits

    require_limits(settings.local_folder, settings.model)  # before libraries are imported that a low limit makes crash
    from sourceline.api import Index
    from sourceline.cli import render

    with progress_bar() as show:
        report = Index.build(
            settings.documents,
            settings.index,
            model=settings.model,
            backend=settings.backend,
            progress=lambda state: show("encoding", state.done, state.total),
            max_document_bytes=settings.max_document_bytes,
            follow_links=settings.follow_links,
            partitions=settings.partitions,
        )
    if as_json:
        _print_json(json.dumps(asdict(report)))
    else:
        out().print(render.report(report), markup=False, soft_wrap=True)
    return report


def _keep_rebuilding(settings: "Settings", as_json: bool) -> None:
    """Rebuild whenever documents change, until Ctrl-C or SIGTERM, which end it as it was meant to end."""
    from sourceline.watching import Watcher, watch_lock

    def rebuild() -> bool:
        try:
            _rebuild(settings, as_json)
        except BuildRunningError:  # tried again when it has ended
            raise
        except SourcelineError as error:
            _print_error(error)
            return False
        return True

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with watch_lock(settings.local_folder):
            with suppress(BuildRunningError):
                rebuild()
            typer.echo(one_line(f"Watching {settings.documents}; Ctrl-C ends."), err=True)
            Watcher(settings.documents, settings.index, rebuild, _print_error, threading.Event()).run()
    except KeyboardInterrupt:
        pass


def _print_json(text: str) -> None:
    from rich.highlighter import JSONHighlighter

    indented = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    out().print(JSONHighlighter()(escape_json(indented)), soft_wrap=True)


def _print_error(error: object) -> None:
    err().print(one_line(f"sourceline: {error}"), style="red", markup=False, soft_wrap=True)


@app.command()
def ask(
    context: typer.Context,
    question: Annotated[str, typer.Argument(help="A question in natural words.")],
    k: Annotated[int, typer.Option("-k", min=1, max=100, help="How many passages.")] = 5,
    document: Annotated[list[str] | None, typer.Option(help="Only documents with this id or glob; repeatable.")] = None,
    speaker: Annotated[list[str] | None, typer.Option(help="Only what this person says; repeatable.")] = None,
    after: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], metavar="DAY", help="Only documents of this day or later.")
    ] = None,
    before: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], metavar="DAY", help="Only documents of an earlier day.")
    ] = None,
    mode: Annotated[Mode, typer.Option(help="read, or fast, which leaves out the reading.")] = Mode.READ,
    explain: Annotated[bool, typer.Option(help="Show the component scores.")] = False,
    as_json: Json = False,
) -> None:
    """Print the sentences that answer a question, best first."""
    settings: Settings = context.obj()
    from sourceline.api import Index
    from sourceline.cli import render

    with Index.open(
        settings.index,
        model=settings.model,
        backend=settings.backend,
        reranker=settings.reranker,
        threshold=settings.threshold,
    ) as index:
        started = time.perf_counter()
        answer = index.ask(
            question,
            k,
            document or (),
            mode,
            speakers=speaker or (),
            after=after.date() if after else None,
            before=before.date() if before else None,
        )
        took_ms = (time.perf_counter() - started) * 1000
    if as_json:
        from sourceline.server.models import AskResponse

        response = AskResponse.from_answer(answer, took_ms, explain)
        _print_json(response.model_dump_json(exclude_none=True))
    else:
        out().print(render.answer(answer, explain, out().is_terminal), soft_wrap=not out().is_terminal)


@app.command()
def cite(
    context: typer.Context,
    citation: Annotated[str, typer.Argument(metavar="ID", help="A citation id.")],
    as_json: Json = False,
) -> None:
    """Look a citation up: the sentence as cited, what became of it, where it stands now."""
    settings: Settings = context.obj()
    from sourceline.api import Index
    from sourceline.cli import render

    with Index.open(settings.index, lazy=True, documents=_chosen_folder(settings)) as index:
        looked_up = index.cite(citation)
    if as_json:
        from sourceline.server.models import CitationResponse

        _print_json(CitationResponse.from_citation(looked_up).model_dump_json(exclude_none=True))
    else:
        out().print(render.citation(looked_up), soft_wrap=not out().is_terminal)


@app.command()
def verify(
    context: typer.Context,
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="A quotation, or a text with some; - reads standard input.")
    ],
    as_json: Json = False,
) -> None:
    """Check quotations: do the documents say so, and where? Exit code 1 if one is altered, absent, or another's."""
    settings: Settings = context.obj()
    from sourceline.api import Index
    from sourceline.cli import render

    if text == "-":
        try:
            text = sys.stdin.buffer.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise typer.BadParameter("standard input is not UTF-8") from error
    with Index.open(settings.index, model=settings.model, backend=settings.backend, lazy=True) as index:
        started = time.perf_counter()
        verification = index.verify(text)
        took_ms = (time.perf_counter() - started) * 1000
    if as_json:
        from sourceline.server.models import VerifyResponse

        response = VerifyResponse.from_verification(verification, took_ms)
        _print_json(response.model_dump_json(exclude_none=True))
    else:
        out().print(render.verification(verification), soft_wrap=not out().is_terminal)
    if not verification.stands:
        raise typer.Exit(1)


@app.command()
def documents(context: typer.Context, as_json: Json = False) -> None:
    """List the documents of the index, the files that were left out, and what has changed since."""
    settings: Settings = context.obj()
    from sourceline.api import Index
    from sourceline.cli import render

    with Index.open(settings.index, lazy=True, documents=_chosen_folder(settings)) as index:
        listed, snapshot = index.documents(), index.snapshot
        try:
            changes = index.changes()
        except CorpusError as error:
            changes = None
            _print_error(f"whether documents have changed cannot be told: {error}")
    if as_json:
        more = {"skipped": snapshot.skipped, "ignored": snapshot.ignored}
        if changes is not None:
            more["changes"] = asdict(changes)
        _print_json(json.dumps(asdict(listed) | more, default=lambda moment: moment.isoformat()))
    else:
        out().print(render.documents(listed, snapshot, changes), markup=False, soft_wrap=True)


def _chosen_folder(settings: "Settings") -> Path | None:
    """Return the documents folder if it was set; else changes are looked for where the snapshot was built from."""
    return settings.documents if "documents" in settings.model_fields_set else None


@app.command()
def evaluate(
    context: typer.Context,
    path: Annotated[
        Path, typer.Argument(metavar="SET", readable=False, help="A folder with questions.jsonl, or a file like it.")
    ],
    json_file: Annotated[
        Path | None, typer.Option("--json", readable=False, help="Write the results here, question by question.")
    ] = None,
    old_file: Annotated[
        Path | None, typer.Option("--compare", readable=False, help="Compare with what --json wrote before.")
    ] = None,
    page: Annotated[
        Path | None, typer.Option("--report", readable=False, help="Write a page with tables and plots here.")
    ] = None,
    ablate: Annotated[bool, typer.Option(help="Measure Sourceline without each of its parts, too.")] = False,
    cross_encoder: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Measure a CrossEncoder on the first 10 of the fused list, too."),
    ] = None,
    sample_size: Annotated[
        int | None, typer.Option("--sample", min=1, help="Ask only so many of the questions, always the same.")
    ] = None,
) -> None:
    """Index a labelled set in a temporary folder, ask every question, print the metrics beside simpler systems'."""
    settings: Settings = context.obj()
    from sourceline.cli import render
    from sourceline.evaluation.dataset import read_dataset, sample
    from sourceline.evaluation.evaluate import evaluate as evaluate_dataset
    from sourceline.evaluation.report import render_report
    from sourceline.evaluation.results import (
        compare,
        read_results,
        require_common,
        require_writable,
        results_json,
        write_text,
    )

    dataset = read_dataset(path)
    if sample_size:
        dataset = sample(dataset, sample_size)
    old = read_results(old_file) if old_file else ()
    if old_file:
        require_common(old, ((question.id, question.text) for question in dataset.questions if question.answerable))
    for file in filter(None, (json_file, page)):
        require_writable(file)
    with progress_bar() as show:
        evaluation = evaluate_dataset(
            dataset,
            settings.model,
            settings.backend,
            settings.local_folder,
            show,
            ablate,
            settings.threshold,
            reranker=settings.reranker,
            cross_encoder_name=cross_encoder,
        )
    comparisons = compare(old, evaluation.questions)
    out().print(render.evaluation(evaluation), soft_wrap=not out().is_terminal)
    if old_file:
        out().print(render.comparison(comparisons), soft_wrap=not out().is_terminal)
    if json_file:
        write_text(json_file, results_json(evaluation))
    if page:
        write_text(page, render_report(evaluation, comparisons))


@app.command()
def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", readable=False, help="The archive, a tar.")],
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it is there.")] = False,
) -> None:
    """Write the index with its ledger and model into one verified archive, also while it is served or built."""
    settings: Settings = context.obj()
    from sourceline.api import Index
    from sourceline.cli import render

    written = Index.backup(settings.index, file, overwrite=force)
    out().print(render.backup(written), markup=False, soft_wrap=True)


@app.command()
def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", readable=False, help="What `sourceline backup` wrote.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Move an index that is there into a folder replaced-<time> inside of it.")
    ] = False,
) -> None:
    """Verify a backup and put it into the index folder; a running server switches to it."""
    settings: Settings = context.obj()
    from sourceline.api import Index
    from sourceline.cli import render

    restored = Index.restore(file, settings.index, replace=replace)
    out().print(render.backup(restored), markup=False, soft_wrap=True)


@app.command()
def doctor(
    context: typer.Context,
    deep: Annotated[bool, typer.Option("--deep", help="Read and compare all that the index holds, too.")] = False,
) -> None:
    """Check installation, models, documents, index and citations, and say what to do."""
    settings: Settings = context.obj()
    from sourceline.cli import render
    from sourceline.doctor import examine

    findings = list(
        examine(
            settings.documents,
            settings.index,
            settings.model,
            settings.backend,
            settings.reranker,
            settings.max_document_bytes,
            settings.follow_links,
            deep,
        )
    )
    for finding in findings:
        out().print(render.finding(finding), soft_wrap=True)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


@app.command()
def completion(shell: Annotated[Shell, typer.Argument(help="The shell.")]) -> None:
    """Print what makes a shell complete commands, options and their values: source <(sourceline completion bash)."""
    typer.echo(script(shell))


@cache
def out() -> "Console":
    """Return standard output."""
    from rich.console import Console

    return Console(highlight=False)


@cache
def err() -> "Console":
    """Return standard error."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int], None]]:
    """Show progress on a terminal; nothing elsewhere."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err(), transient=True, disable=not err().is_terminal) as bars:
        tasks: dict[str, TaskID] = {}

        def show(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield show

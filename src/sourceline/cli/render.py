"""What the commands show on a terminal. Text from documents is never read as markup."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from sourceline.text import counted, one_line, printable
from sourceline.types import (
    Answer,
    Backup,
    BuildReport,
    CheckedQuote,
    Citation,
    CitationStatus,
    DocumentList,
    Finding,
    FolderChanges,
    Hit,
    Passage,
    PassageInContext,
    QuotedPlace,
    QuoteStatus,
    SnapshotInfo,
    SourceStatus,
    Verdict,
    Verification,
)

if TYPE_CHECKING:  # a command imports only what it uses
    from sourceline.evaluation.metrics import Evaluation
    from sourceline.evaluation.report import Table as EvaluationTable
    from sourceline.evaluation.results import Comparison, Flip

MAX_FLIPS = 20
# Characters of a line of an evaluation, and what names of systems should get of it.
_LINE, _NAME = 80, 20
# So many citations of the same text, and so many files that are not read, are listed; JSON has them all.
_MAX_ALSO, _MAX_IGNORED, _MAX_CHANGES, _MAX_PLACES = 5, 20, 20, 3
_MEANING = {
    CitationStatus.CURRENT: "stands as cited",
    CitationStatus.MOVED: "the same sentence now stands elsewhere",
    CitationStatus.CHANGED: "the sentence was edited",
    CitationStatus.REMOVED: "the sentence is gone",
}
_STATUS_STYLES = {
    QuoteStatus.VERBATIM: "green",
    QuoteStatus.REFORMATTED: "green",
    QuoteStatus.ALTERED: "bold red",
    QuoteStatus.ABSENT: "bold red",
    QuoteStatus.TOO_SHORT: "dim",
}


_SOURCE = {
    SourceStatus.CHANGED: "the file has changed since: run `sourceline rebuild-index`",
    SourceStatus.MISSING: "the file is gone since: run `sourceline rebuild-index`",
}


def report(report: BuildReport) -> str:
    """Return what a build did, as lines."""
    counts = {name: len(getattr(report, name)) for name in ("added", "changed", "unchanged", "removed", "skipped")}
    lines = [
        f"snapshot {report.snapshot}: {counted(report.passages, 'passage')}, {report.seconds:.1f} s",
        "documents: " + ", ".join(f"{count} {name}" for name, count in counts.items()),
        f"chunks: {report.encoded:,} of {report.chunks:,} encoded",
        *_left_out(report.skipped, report.ignored),
        *(f"warning: {warning}" for warning in report.warnings),
    ]
    return "\n".join(map(one_line, lines))


def documents(documents: DocumentList, snapshot: SnapshotInfo, changes: FolderChanges | None = None) -> str:
    """Return the documents of the index, what was left out, and what has changed since, as lines."""
    lines = [
        f"snapshot {snapshot.id}: {counted(snapshot.documents, 'document')}, {counted(snapshot.passages, 'passage')}",
        *(f"{document.id}: {document.title}, {counted(document.passages, 'passage')}" for document in documents),
        *_left_out(snapshot.skipped, snapshot.ignored),
        *(_changes(changes) if changes else ()),
    ]
    return "\n".join(map(one_line, lines))


def _changes(changes: FolderChanges) -> list[str]:
    """Return the files that differ from the snapshot."""
    lines = [
        f"{kind} since: {name}"
        for kind, names in (("added", changes.added), ("changed", changes.changed), ("removed", changes.removed))
        for name in names
    ]
    more = [f"and {len(lines) - _MAX_CHANGES:,} more, which --json lists"] if len(lines) > _MAX_CHANGES else []
    return [*lines[:_MAX_CHANGES], *more, "run `sourceline rebuild-index` to take that into the index"]


def _left_out(skipped: Mapping[str, str], ignored: Mapping[str, str]) -> list[str]:
    """Return every file that could not be read, then those that are not read at all, each with its reason."""
    lines = [f"skipped {document}: {reason}" for document, reason in skipped.items()]
    lines += [f"not read {name}: {reason}" for name, reason in list(ignored.items())[:_MAX_IGNORED]]
    if len(ignored) > _MAX_IGNORED:
        lines.append(f"not read: {len(ignored) - _MAX_IGNORED:,} more files, which --json lists")
    return lines


def answer(answer: Answer, explain: bool, on_terminal: bool = False) -> RenderableType:
    """Return an answer: how sure, then each passage with its citation.

    On a terminal in colour, as wide as the terminal, with the sentences beside each passage; otherwise one item per
    line.
    """
    show = _framed if on_terminal else _lines
    return Group(_verdict(answer), *(part for hit in answer.hits for part in show(hit, explain)))


def _verdict(answer: Answer) -> Text:
    confidence = f"confidence {answer.confidence:.0%}"
    if not answer.hits:
        return Text("No passage was found.")
    match answer.verdict:
        case Verdict.ANSWERED:
            return Text(f"Answered, {confidence}.", style="green")
        case Verdict.UNSURE:
            return Text(f"The first passage may be an answer ({confidence}).", style="bold")
        case Verdict.NOT_ANSWERED:
            return Text(f"The documents do not seem to answer this ({confidence}). The nearest passages:", "yellow")


def citation(citation: Citation) -> RenderableType:
    """Return a citation: status, the text as cited, and where it stands now."""
    is_older = citation.status is CitationStatus.CURRENT and citation.source in _SOURCE
    meaning = "stood as cited when the index was built" if is_older else _MEANING[citation.status]
    lines = [
        Text(f"{citation.status.value}: {meaning}", style="bold"),
        Text(printable(citation.cited.passage.text)),
        Text(f"  cited from {_where(citation.cited)}", style="dim"),
    ]
    if citation.source in _SOURCE:
        lines.append(Text(f"  {_SOURCE[citation.source]}", style="yellow"))
    if citation.now and citation.status is not CitationStatus.CURRENT:
        similarity = "" if citation.similarity is None else f" (similarity {citation.similarity:.2f})"
        lines.append(Text(f"now{similarity}:", style="bold"))
        lines.append(Text(printable(citation.now.passage.text)))
        lines.append(Text(f"  {_where(citation.now)} · {citation.now.passage.id}", style="dim"))
    return Group(*lines)


def verification(verification: Verification) -> RenderableType:
    """Return what was checked in a text: each quotation with its status, and where it stands or what differs."""
    if not verification.quotes:
        return Text("There is nothing to check.")
    return Group(*(line for quote in verification.quotes for line in _quote(quote)))


def _quote(quote: CheckedQuote) -> list[Text]:
    likeness = "" if quote.similarity is None else f" (similarity {quote.similarity:.2f})"
    style = _STATUS_STYLES[quote.status]
    lines = [Text.assemble((f"{quote.status.value.replace('_', ' ')}{likeness}", style), f": {one_line(quote.text)}")]
    if quote.wrong_speaker:
        who = one_line(f"  said by {', '.join(quote.wrong_speaker)}, not by {quote.speaker}")
        lines.append(Text(who, style="red"))
    differing = (_difference(difference.quoted, difference.text) for difference in quote.differences)
    lines += [Text(f"  {difference}", style="yellow") for difference in differing]
    shows_text = quote.status in (QuoteStatus.ALTERED, QuoteStatus.ABSENT)
    for place in quote.places[:_MAX_PLACES]:
        if shows_text:
            lines.append(Text(one_line(f"  nearest: {' '.join(passage.text for passage in place.passages)}")))
        lines += [
            Text(one_line(f"  left out: {omitted.text}"), style="dim") for omitted in place.omitted if omitted.text
        ]
        lines.append(_quoted_from(place))
    if quote.place_count > _MAX_PLACES:
        lines.append(Text(f"  and in {quote.place_count - _MAX_PLACES:,} more places", style="dim"))
    if quote.earlier:
        lines.append(Text(f"  read so earlier: {' '.join(quote.earlier[:_MAX_ALSO])}", style="dim"))
    return lines


def _difference(quoted: str, text: str) -> str:
    quoted, text = one_line(quoted), one_line(text)
    if not quoted:
        return f"left out: {text}"
    return f"not in the document: {quoted}" if not text else f"{quoted} instead of: {text}"


def _quoted_from(place: QuotedPlace) -> Text:
    where = one_line(f"  {place.title} · {_place(place.passages[0])} · ")
    return Text.assemble((where, "dim"), (" ".join(passage.id for passage in place.passages), "cyan"))


def evaluation(evaluation: "Evaluation") -> RenderableType:
    """Return the metrics of a dataset: for each setting tables of quality, confidence, verdicts and forms.

    Lines of text of up to 80 characters, as a table would be squeezed where there is no terminal.
    """
    from sourceline.evaluation.report import describe_dataset, tables

    lines = [Text(one_line(f"{evaluation.dataset}: {describe_dataset(evaluation)}"), style="bold")]
    for table in tables(evaluation):
        lines += [Text(""), *_columns(table)]
    return Group(*lines)


def _columns(table: "EvaluationTable") -> list[Text]:
    """Return the rows of a table with all but their names aligned right.

    A name for which a line of 80 characters has no room stands in a line of its own. Every figure has room for 1.000,
    so that tables look alike.
    """
    columns = zip(table.header, *table.rows, strict=True)
    names, *widths = (max(len(cell) + cell.startswith(".") for cell in column) for column in columns)
    gap = 2 if _LINE - sum(widths) - 2 * len(widths) >= _NAME else 1
    room = min(names, _LINE - sum(width + gap for width in widths))
    lines = []
    for row in (table.header, *table.rows):
        name, *cells = map(one_line, row)
        style = "bold" if row is table.header else ""
        if len(name) > room:
            lines.append(Text(name, style=style))
            name = ""
        aligned = (f"{'':{gap}}{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
        lines.append(Text(f"{name:{room}}{''.join(aligned)}", style=style))
    return lines


def comparison(comparisons: Mapping[str, "Comparison"]) -> RenderableType:
    """Return what changed since earlier results, and the questions that were won and lost."""
    from sourceline.evaluation.report import format_difference

    lines: list[Text] = []
    for setting, compared in comparisons.items():
        lines += [Text(""), Text(f"new - old, {setting}, {compared.questions:,} questions", style="bold")]
        lines += [Text(f"{name:8} {format_difference(value)}") for name, value in compared.differences.items()]
        lines += _flips("won", "green", compared.won) + _flips("lost", "red", compared.lost)
    return Group(*lines)


def _flips(verb: str, style: str, flips: Sequence["Flip"]) -> list[Text]:
    lines = [Text(f"{verb} at R@1: {len(flips):,}", style=style)]
    for flip in flips[:MAX_FLIPS]:
        lines.append(Text(one_line(f"  {flip.id}: {flip.question}")))
        for run, top in (("old", flip.old), ("new", flip.new)):
            shown = f"{top.text} · {top.citation}" if top else "–"
            lines.append(Text(one_line(f"    {run:4} {shown}"), style="dim"))
    return lines


def backup(backup: Backup) -> str:
    """Return what a backup holds, as lines."""
    size = f"{counted(backup.files, 'file')}, {backup.bytes / 1e6:,.1f} MB"
    lines = [f"snapshot {backup.snapshot}: {size}, as of {backup.created:%Y-%m-%d %H:%M} UTC, verified"]
    if backup.replaced:
        lines.append(f"what it replaces is in {backup.replaced}, and may be deleted")
    return "\n".join(map(one_line, lines))


def finding(finding: Finding) -> RenderableType:
    """Return one doctor finding as a line."""
    mark = Text("ok  ", style="green") if finding.ok else Text("BAD ", style="red")
    return mark + Text(one_line(f"{finding.subject}: {finding.detail}"))


def _lines(hit: Hit, explain: bool) -> list[RenderableType]:
    indented = [Text("   ") + line for line in _details(hit, explain)]
    return [Text(""), Text(f"{hit.rank}. ") + _sentence(hit, "bold"), *indented]


def _framed(hit: Hit, explain: bool) -> list[RenderableType]:
    """Return a hit with its context; where a line is broken the next one begins below it, not below the rank."""
    before, after = (Text(printable(text), style="dim") for text in (hit.context.before, hit.context.after))
    passage = Text(" ").join(text for text in (before, _sentence(hit, "bold yellow"), after) if text)
    frame = Table.grid(padding=(0, 1, 0, 0))
    frame.add_column(justify="right", no_wrap=True, style="bold")
    frame.add_column(overflow="fold")
    frame.add_row(f"{hit.rank}.", Group(passage, *_details(hit, explain)))
    return [Text(""), frame]


def _sentence(hit: Hit, highlight_style: str) -> Text:
    text = Text(printable(hit.passage.text))
    for span in hit.highlights:
        text.stylize(highlight_style, span.start, span.end)
    return text


def _details(hit: Hit, explain: bool) -> list[Text]:
    """Return where a hit stands, its citation, and its scores if they are to be explained."""
    where = one_line(f"{hit.title} · {_place(hit.passage)} · ")
    lines = [Text.assemble((where, "dim"), (hit.passage.id, "cyan"))]
    if hit.also:
        more = f" and {len(hit.also) - _MAX_ALSO:,} more" if len(hit.also) > _MAX_ALSO else ""
        lines.append(Text(f"also: {' '.join(hit.also[:_MAX_ALSO])}{more}", style="dim"))
    if explain:
        scores = hit.scores
        reader = "" if scores.reader is None else f"reader {scores.reader:.2f} · "
        detail = f"{reader}late {scores.late:.3f} · dense {scores.dense:.3f} · BM25 {scores.bm25:.2f}"
        lines.append(Text(detail, style="dim"))
    return lines


def _where(cited: PassageInContext) -> str:
    return one_line(f"{cited.title} · {_place(cited.passage)}")


def _place(passage: Passage) -> str:
    location = passage.location
    place = f"{passage.document_id}, {f'page {location.page}, ' if location.page else ''}line {location.line}"
    said = [location.speaker or "", clock(location.time.start) if location.time else ""]
    return " · ".join(filter(None, [place, " ".join(filter(None, said))]))


def clock(seconds: float) -> str:
    """Return a time of a recording as players show it.

    >>> clock(49.5), clock(3723)
    ('0:49', '1:02:03')
    """
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"

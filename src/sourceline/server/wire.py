"""The domain's types as they go over the wire."""

from urllib.parse import quote

from sourceline.server.schemas.base import ContextBody, DocumentRef, LocationBody
from sourceline.server.schemas.citations import CitationBody, Place, Successor, TextPositionSelector, TextQuoteSelector
from sourceline.server.schemas.questions import AskResponse, PassageBody, ScoresBody, SpanBody
from sourceline.types import Answer, Citation, Hit, Passage, Standing, Status


def answer(answer: Answer, explain: bool, took_ms: float) -> AskResponse:
    """Return an answer with its passages."""
    return AskResponse(
        question=answer.question,
        answerable=answer.answerable,
        confidence=round(answer.confidence, 4),
        passages=[_hit(hit, explain) for hit in answer.hits],
        generation=answer.generation,
        took_ms=round(took_ms, 3),
    )


def location(passage: Passage) -> LocationBody:
    """Return where a passage stands."""
    return LocationBody(
        start=passage.start,
        end=passage.end,
        line=passage.location.line,
        paragraph=passage.location.paragraph,
        section=passage.location.section,
    )


def citation(citation: Citation) -> CitationBody:
    """Return a citation that was looked up."""
    stands = citation.status in (Status.CURRENT, Status.MOVED)
    shown = citation.now if stands and citation.now else citation.cited
    place = _place(shown)
    return CitationBody(
        citation=citation.id,
        status=citation.status.value,
        text=citation.cited.passage.text,
        heading=citation.cited.passage.heading,
        document=place.document,
        location=place.location,
        context=place.context,
        selectors=[
            TextQuoteSelector(exact=shown.passage.text, prefix=shown.before, suffix=shown.after),
            TextPositionSelector(start=shown.passage.start, end=shown.passage.end),
        ],
        url=_url(citation.id),
        cited=_place(citation.cited),
        successor=_successor(citation) if citation.status is not Status.CURRENT else None,
    )


def _hit(hit: Hit, explain: bool) -> PassageBody:
    scores = ScoresBody(dense=hit.scores.dense, lexical=hit.scores.lexical, late=hit.scores.late)
    return PassageBody(
        rank=hit.rank,
        score=hit.score,
        citation=hit.passage.id,
        text=hit.passage.text,
        document=DocumentRef(id=hit.passage.document_id, title=hit.title),
        location=location(hit.passage),
        context=ContextBody(before=hit.before, after=hit.after),
        highlights=[SpanBody(start=span.start, end=span.end) for span in hit.highlights],
        also=list(hit.also) or None,
        scores=scores if explain else None,
    )


def _place(standing: Standing) -> Place:
    return Place(
        document=DocumentRef(id=standing.passage.document_id, title=standing.title),
        location=location(standing.passage),
        context=ContextBody(before=standing.before, after=standing.after),
    )


def _successor(citation: Citation) -> Successor | None:
    if citation.now is None:
        return None
    place = _place(citation.now)
    return Successor(
        citation=citation.now.passage.id,
        text=citation.now.passage.text,
        similarity=1.0 if citation.similarity is None else round(citation.similarity, 4),
        url=_url(citation.now.passage.id),
        document=place.document,
        location=place.location,
        context=place.context,
    )


def _url(citation_id: str) -> str:
    return f"/v1/citations/{quote(citation_id, safe='')}"

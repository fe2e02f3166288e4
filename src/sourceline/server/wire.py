"""The domain's types as they go over the wire: what the schemas describe, made and written without them.

The models of pydantic would cost an answer five times as much. The tests hold what is made here to the schemas.
"""

from urllib.parse import quote

from pydantic_core import to_json

from sourceline.types import Answer, Citation, CitationStatus, Hit, Passage, PassageInContext

Body = dict[str, object]  # without the fields that there is nothing for


def dump(body: Body) -> bytes:
    """Return a body as JSON."""
    return to_json(body, inf_nan_mode="null")


def answer(answer: Answer, explain: bool, took_ms: float) -> Body:
    """Return an answer with its passages."""
    return {
        "question": answer.question,
        "answerable": answer.answerable,
        "confidence": round(answer.confidence, 4),
        "passages": [_hit(hit, explain) for hit in answer.hits],
        "snapshot": answer.snapshot,
        "took_ms": round(took_ms, 3),
    }


def location(passage: Passage) -> Body:
    """Return where a passage stands."""
    found: Body = {
        "start": passage.start,
        "end": passage.end,
        "line": passage.location.line,
        "paragraph": passage.location.paragraph,
    }
    if passage.location.section is not None:
        found["section"] = passage.location.section
    return found


def citation(citation: Citation) -> Body:
    """Return a citation that was looked up."""
    stands = citation.status in (CitationStatus.CURRENT, CitationStatus.MOVED)
    shown = citation.now if stands and citation.now else citation.cited
    found: Body = {
        **_place(shown),
        "citation": citation.id,
        "status": citation.status.value,
        "text": citation.cited.passage.text,
        "heading": citation.cited.passage.heading,
        "selectors": [
            {
                "type": "TextQuoteSelector",
                "exact": shown.passage.text,
                "prefix": shown.before,
                "suffix": shown.after,
            },
            {"type": "TextPositionSelector", "start": shown.passage.start, "end": shown.passage.end},
        ],
        "url": _url(citation.id),
        "cited": _place(citation.cited),
    }
    if citation.now and citation.status is not CitationStatus.CURRENT:
        found["successor"] = _successor(citation.now, citation.similarity)
    return found


def _hit(hit: Hit, explain: bool) -> Body:
    found: Body = {
        "rank": hit.rank,
        "score": hit.score,
        "citation": hit.passage.id,
        "text": hit.passage.text,
        "document": {"id": hit.passage.document_id, "title": hit.title},
        "location": location(hit.passage),
        "context": {"before": hit.before, "after": hit.after},
        "highlights": [{"start": span.start, "end": span.end} for span in hit.highlights],
    }
    if hit.also:
        found["also"] = hit.also
    if explain:
        found["scores"] = {"dense": hit.scores.dense, "lexical": hit.scores.lexical, "late": hit.scores.late}
    return found


def _place(standing: PassageInContext) -> Body:
    return {
        "document": {"id": standing.passage.document_id, "title": standing.title},
        "location": location(standing.passage),
        "context": {"before": standing.before, "after": standing.after},
    }


def _successor(now: PassageInContext, similarity: float | None) -> Body:
    return {
        **_place(now),
        "citation": now.passage.id,
        "text": now.passage.text,
        "similarity": 1.0 if similarity is None else round(similarity, 4),
        "url": _url(now.passage.id),
    }


def _url(citation_id: str) -> str:
    return f"/v1/citations/{quote(citation_id, safe='')}"

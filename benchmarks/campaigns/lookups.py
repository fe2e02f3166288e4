"""Lookups of citations over HTTP, in the words of the model of the truth."""

from typing import Any

from campaigns.outside import Server, UnexpectedError
from campaigns.truth import CHANGED, MOVED, REMOVED, UNKNOWN, Answer

MOST = 1_000  # ids in one request


def look_up(server: Server, ids: list[str]) -> dict[str, Answer]:
    """Look ids up; return the answers.

    Raises:
        UnexpectedError: a lookup is refused.
    """
    answers: dict[str, Answer] = {}
    for at in range(0, len(ids), MOST):
        status, content = server.request("POST", "/v1/citations/lookup", {"citations": ids[at : at + MOST]})
        if status != 200:
            raise UnexpectedError(f"lookup: {status} {content}")
        answers |= {citation["citation"]: answer_of(citation) for citation in content["citations"]}
    return answers


def answer_of(citation: dict[str, Any]) -> Answer:
    """Return what a lookup says: over HTTP, or as JSON of the command."""
    status = citation["status"]
    if status == UNKNOWN:
        return Answer(status)
    if status == REMOVED:
        return Answer(status, citation["text"])
    place = citation["successor"] if status in (MOVED, CHANGED) else citation
    return Answer(status, citation["text"], place["document"]["id"], place["text"])

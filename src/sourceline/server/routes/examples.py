"""Questions to begin with."""

from weakref import WeakKeyDictionary

from fastapi import APIRouter

from sourceline.retrieval.examples import examples
from sourceline.retrieval.search import Searcher
from sourceline.server.problems import responses
from sourceline.server.schemas.questions import ExamplesResponse
from sourceline.server.serving import Serving


def example_routes(serving: Serving) -> APIRouter:
    """Return the route that proposes questions."""
    router = APIRouter(tags=["questions"], responses=responses(421, 401, 503))
    found: WeakKeyDictionary[Searcher, list[str]] = WeakKeyDictionary()  # they cost some answers each

    @router.get("/v1/examples")
    def get_examples() -> ExamplesResponse:
        """Return a few questions that the documents answer, made of their headings and the names in them."""
        searcher = serving.searcher
        if searcher not in found:
            found[searcher] = examples(searcher)
        return ExamplesResponse(questions=found[searcher], generation=searcher.generation.id)

    return router

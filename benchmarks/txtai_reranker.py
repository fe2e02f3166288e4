"""txtai's API with a cross-encoder behind its search, for ``peer.py``, which runs it in txtai's own environment.

    CONFIG=FILE.yml API_CLASS=txtai_reranker.RerankingAPI python -m uvicorn txtai.api:app

The first results of a search are ranked anew by sentence-transformers. txtai has a pipeline for this, too,
``reranker``, but it runs the cross-encoder on one result after the other, which takes longer.
"""

from threading import Lock
from typing import Any

from sentence_transformers import CrossEncoder
from txtai.api import API  # type: ignore[import-not-found]  # only in its own environment

RERANKED = 10


class RerankingAPI(API):  # type: ignore[misc]  # as above
    """Reads the folder of the model, ``cross-encoder``, from the configuration."""

    def __init__(self, config: dict[str, Any], loaddata: bool = True) -> None:
        """Load the index and the model."""
        super().__init__(config, loaddata)
        self._model = CrossEncoder(config["cross-encoder"])
        self._scoring = Lock()  # its tokenizer fails when two threads use it at once

    def search(self, query: str, *args: Any, request: Any = None, **kwargs: Any) -> list[dict[str, Any]]:
        """Return the best of the first results, as many as the request asks for."""
        passages: list[dict[str, Any]] = super().search(query, RERANKED)
        with self._scoring:
            scores = self._model.predict([(query, passage["text"]) for passage in passages], show_progress_bar=False)
        for passage, score in zip(passages, scores, strict=True):
            passage["score"] = float(score)
        passages.sort(key=lambda passage: -passage["score"])
        return passages[: int(request.query_params["limit"])]

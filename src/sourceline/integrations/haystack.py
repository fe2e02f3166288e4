"""A component of Haystack. Needs the package ``haystack-ai``."""

import asyncio
from datetime import date
from typing import TYPE_CHECKING, Any, Self

from haystack import Document, component, default_from_dict, default_to_dict
from haystack.utils import Secret

from sourceline.integrations import hits_to_return, metadata_of
from sourceline.types import Mode

if TYPE_CHECKING:
    from sourceline.api import Index
    from sourceline.client import Client


@component
class SourcelineRetriever:
    """Returns the sentences that answer a question as documents; the id of each is its citation.

    What it is made of are plain values, so that a pipeline can be saved. To load it again, allow its module:
    ``Pipeline.loads(text, allowed_modules=["sourceline.integrations.haystack"])``.

    >>> from sourceline.integrations.haystack import SourcelineRetriever
    >>> retriever = SourcelineRetriever("http://127.0.0.1:8080", top_k=1)
    >>> (document,) = retriever.run("Which minister did Pezeshkian meet in Tehran?")["documents"]
    >>> document.id, document.meta["verdict"], document.content[-22:]
    ('ccl4uombti6lb64a', 'answered', 'Minister Fuad Hussein.')
    >>> retriever.close()
    """

    def __init__(
        self,
        source: str,
        top_k: int = 5,
        *,
        api_key: Secret | None = None,
        documents: list[str] | None = None,
        mode: str = "read",
        speakers: list[str] | None = None,
        after: str | None = None,
        before: str | None = None,
        return_not_answered: bool = False,
    ) -> None:
        """Nothing is opened before the first question, or ``warm_up``.

        Args:
            source: the address of a server (``http://…``), or the folder of an index.
            top_k: how many documents.
            api_key: the key of the server, if it needs one.
            documents: as for ``Index.ask``, and so ``mode``, ``speakers``, ``after`` and ``before``.
            mode: see ``documents``.
            speakers: see ``documents``.
            after: see ``documents``; a day as YYYY-MM-DD.
            before: see ``documents``; a day as YYYY-MM-DD.
            return_not_answered: whether to return what is nearest if the documents do not answer the question.

        Raises:
            ValueError: there is no such mode, or a day is written otherwise.
        """
        self.source, self.top_k, self.api_key = source, top_k, api_key
        self.documents, self.mode, self.speakers = documents, mode, speakers
        self.after, self.before, self.return_not_answered = after, before, return_not_answered
        Mode(mode)
        self._after, self._before = (date.fromisoformat(day) if day else None for day in (after, before))
        self._opened: Client | Index | None = None

    def warm_up(self) -> None:
        """Open the index or the client.

        Raises:
            SourcelineError: the index cannot be opened.
        """
        if self._opened is None:
            self._opened = self._open()

    def close(self) -> None:
        """Close it. The next question opens it again."""
        if self._opened is not None:
            self._opened.close()
        self._opened = None

    def to_dict(self) -> dict[str, Any]:
        """Return the component as a pipeline is saved."""
        data: dict[str, Any] = default_to_dict(
            self,
            source=self.source,
            top_k=self.top_k,
            api_key=self.api_key,
            documents=self.documents,
            mode=self.mode,
            speakers=self.speakers,
            after=self.after,
            before=self.before,
            return_not_answered=self.return_not_answered,
        )
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Return the component that ``to_dict`` describes."""
        retriever: Self = default_from_dict(cls, data)
        return retriever

    @component.output_types(documents=list[Document])
    def run(self, query: str, top_k: int | None = None) -> dict[str, list[Document]]:
        """Return the sentences that answer a question, best first."""
        opened = self._opened = self._opened or self._open()
        answer = opened.ask(
            query,
            self.top_k if top_k is None else top_k,
            self.documents or (),
            self.mode,
            speakers=self.speakers or (),
            after=self._after,
            before=self._before,
        )
        hits = hits_to_return(answer, self.return_not_answered)
        return {
            "documents": [
                Document(id=hit.passage.id, content=hit.passage.text, meta=metadata_of(hit, answer), score=hit.score)
                for hit in hits
            ]
        }

    @component.output_types(documents=list[Document])
    async def run_async(self, query: str, top_k: int | None = None) -> dict[str, list[Document]]:
        """Do the same in a thread."""
        return await asyncio.to_thread(self.run, query, top_k)

    def _open(self) -> "Client | Index":
        # Only what is used: the one needs the extra `client`, the other loads FAISS.
        if self.source.startswith(("http://", "https://")):
            from sourceline.client import Client

            key = self.api_key.resolve_value() if self.api_key else None
            return Client(self.source, api_key=key or "")
        from sourceline.api import Index

        return Index.open(self.source)

"""A retriever of LangChain. Needs the package ``langchain-core``."""

from collections.abc import Sequence
from datetime import date

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever

from sourceline.integrations import Source, hits_to_return, metadata_of
from sourceline.types import Mode


class SourcelineRetriever(BaseRetriever):
    """Returns the sentences that answer a question as documents; the id of each is its citation.

    ``source`` is a ``Client`` or an ``Index``, and must be safe to use from threads, as both are: asynchronous calls
    run in one. The other fields are what ``ask`` of both takes. If the documents do not answer the question, nothing is
    returned, or with ``return_not_answered`` what is nearest.

    >>> from sourceline.client import Client
    >>> from sourceline.integrations.langchain import SourcelineRetriever
    >>> with Client("http://127.0.0.1:8080") as client:
    ...     retriever = SourcelineRetriever(source=client, k=1)
    ...     (document,) = retriever.invoke("Which minister did Pezeshkian meet in Tehran?")
    >>> document.id, document.metadata["verdict"], document.page_content[-22:]
    ('ccl4uombti6lb64a', 'answered', 'Minister Fuad Hussein.')
    """

    source: Source
    k: int = 5
    documents: str | Sequence[str] = ()
    mode: Mode = Mode.READ
    speakers: str | Sequence[str] = ()
    after: date | None = None
    before: date | None = None
    return_not_answered: bool = False

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        answer = self.source.ask(
            query,
            self.k,
            self.documents,
            self.mode,
            speakers=self.speakers,
            after=self.after,
            before=self.before,
        )
        return [
            Document(id=hit.passage.id, page_content=hit.passage.text, metadata=metadata_of(hit, answer))
            for hit in hits_to_return(answer, self.return_not_answered)
        ]

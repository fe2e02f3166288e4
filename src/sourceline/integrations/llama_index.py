"""A retriever of LlamaIndex. Needs the package ``llama-index-core``."""

import asyncio
from collections.abc import Sequence
from datetime import date

from llama_index.core.callbacks import CallbackManager
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeRelationship, NodeWithScore, QueryBundle, RelatedNodeInfo, TextNode

from sourceline.integrations import Metadata, Source, hits_to_return, metadata_of
from sourceline.types import Hit, Mode

# What a language model is shown of a passage besides its text, if it is known: what it can cite by.
SHOWN_TO_MODELS = {"citation", "title", "page", "section", "speaker"}


class SourcelineRetriever(BaseRetriever):
    """Returns the sentences that answer a question as nodes; the id of each is its citation.

    >>> from sourceline.client import Client
    >>> from sourceline.integrations.llama_index import SourcelineRetriever
    >>> with Client("http://127.0.0.1:8080") as client:
    ...     retriever = SourcelineRetriever(client, similarity_top_k=1)
    ...     (node,) = retriever.retrieve("Which minister did Pezeshkian meet in Tehran?")
    >>> node.node_id, node.metadata["verdict"], node.text[-22:]
    ('ccl4uombti6lb64a', 'answered', 'Minister Fuad Hussein.')
    """

    def __init__(
        self,
        source: Source,
        similarity_top_k: int = 5,
        *,
        documents: str | Sequence[str] = (),
        mode: Mode | str = Mode.READ,
        speakers: str | Sequence[str] = (),
        after: date | None = None,
        before: date | None = None,
        return_not_answered: bool = False,
        callback_manager: CallbackManager | None = None,
        verbose: bool = False,
    ) -> None:
        """Retrieve from a ``Client`` or an ``Index``.

        Args:
            source: it must be safe to use from threads, as both are: asynchronous calls run in one.
            similarity_top_k: how many nodes.
            documents: as for ``ask`` of both, and so ``mode``, ``speakers``, ``after`` and ``before``.
            mode: see ``documents``.
            speakers: see ``documents``.
            after: see ``documents``.
            before: see ``documents``.
            return_not_answered: whether to return what is nearest if the documents do not answer the question.
            callback_manager: as for any retriever.
            verbose: as for any retriever.
        """
        super().__init__(callback_manager=callback_manager, verbose=verbose)
        self._source, self._k, self._mode = source, similarity_top_k, Mode(mode)
        self._documents, self._speakers, self._after, self._before = documents, speakers, after, before
        self._return_not_answered = return_not_answered

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        answer = self._source.ask(
            query_bundle.query_str,
            self._k,
            self._documents,
            self._mode,
            speakers=self._speakers,
            after=self._after,
            before=self._before,
        )
        hits = hits_to_return(answer, self._return_not_answered)
        return [NodeWithScore(node=_node(hit, metadata_of(hit, answer)), score=hit.score) for hit in hits]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)


def _node(hit: Hit, metadata: Metadata) -> TextNode:
    passage = hit.passage
    return TextNode(
        id_=passage.id,
        text=passage.text,
        start_char_idx=passage.start,
        end_char_idx=passage.end,
        metadata=metadata,
        excluded_llm_metadata_keys=[name for name in metadata if name not in SHOWN_TO_MODELS],
        excluded_embed_metadata_keys=list(metadata),
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=passage.document_id)},
    )

"""Train the ranking head of the default model.

    python training/train_head.py SET [--folds 4] [--write]

SET is a labelled set of many documents (squad-a). It is indexed with the identity head; the token vectors of each
question's candidates are taken from that index, and the head is fitted so that the sentences that answer come first
(cross-entropy over the candidates, Adam). The encoder stays as it is, and so does the projection (the principal
directions of the token vectors); some thousand parameters are learnt.

``--folds N`` holds the documents out in N turns and prints R@1, R@5 and MRR@10 on them. ``--write`` puts the head that
was fitted on all documents into the package, without a codebook: run ``train_codebook.py`` then. Deterministic; about
three minutes for each fit on one core.
"""

import argparse
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from sourceline.encoders import ranking_head
from sourceline.encoders.base import Float32
from sourceline.encoders.hub import find_model
from sourceline.encoders.load import prepare_encoder
from sourceline.encoders.ranking_head import RankingHead, identity_head, write_ranking_head
from sourceline.evaluation.dataset import Question, read_dataset
from sourceline.evaluation.evaluate import open_searcher
from sourceline.indexing.builder import build
from sourceline.indexing.config import IndexConfig
from sourceline.search.query import encode_query
from sourceline.search.searcher import Searcher
from sourceline.types import DEFAULT_MODEL, Backend

DIM = 192  # of the projection
EPOCHS, BATCH = 2, 32
VECTOR_RATE, SCALAR_RATE, DECAY = 2e-2, 1e-2, 2e-5
NOT_A_CANDIDATE = 999.0


@dataclass(frozen=True)
class Example:
    """A question and its candidates.

    ``vectors`` (tokens, d) and ``idf`` (tokens,) are the question's. ``rows`` are the candidates and their context,
    ascending. ``positions`` say where in ``rows`` each candidate is, the sentence before it, the sentence after it, and
    its document's title; ``neighbors`` whether the two sentences are of the same document; ``answers`` which candidates
    answer: all (candidates,).
    """

    document: str
    vectors: Float32
    idf: Float32
    rows: list[int]
    positions: tuple[torch.Tensor, ...]
    neighbors: tuple[torch.Tensor, ...]
    answers: torch.Tensor


def main() -> None:
    """Train; print the held-out metrics and write the head on request."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", type=Path)
    parser.add_argument("--folds", type=int, default=0, help="hold the documents out in so many turns")
    parser.add_argument("--write", action="store_true", help="write the head into the package")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # the sums of a single thread are the same everywhere
    with tempfile.TemporaryDirectory() as scratch:
        index, model = Path(scratch), find_model(DEFAULT_MODEL)
        encoder = prepare_encoder(Backend.ONNX, model, index)
        dataset = read_dataset(arguments.set)
        build(dataset.documents, index, DEFAULT_MODEL, config=IndexConfig(head=identity_head(encoder.dim)))
        searcher = open_searcher(index)
        projection = principal_directions(searcher)
        trainer = Trainer(searcher, projection)
        examples = list(trainer.examples([question for question in dataset.questions if question.answerable]))
        if arguments.folds:
            print_held_out(trainer, examples, arguments.folds)
        if arguments.write:
            head = trainer.fit(examples).head(projection)
            folder = Path(ranking_head.__file__).parent / "heads"
            write_ranking_head(folder / "all-MiniLM-L6-v2.safetensors", head, model.digest)


def principal_directions(searcher: Searcher) -> Float32:
    """Return the directions (d, m) that hold most of the token vectors' squared length, not centred."""
    vectors = sample_vectors(searcher)
    _, directions = np.linalg.eigh(vectors.T @ vectors)
    return np.ascontiguousarray(directions[:, ::-1][:, :DIM], dtype=np.float32)


def sample_vectors(searcher: Searcher) -> Float32:
    """Return the token vectors of every third passage, (tokens, d)."""
    rows = range(0, searcher.snapshot.passages.row_count, 3)
    return searcher.snapshot.tokens.gather(rows).vectors


class HeadParameters(torch.nn.Module):
    """What is learnt, under the names of ``RankingHead``, and how sharply scores become probabilities."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.passage = torch.nn.Parameter(torch.zeros(DIM))
        self.question = torch.nn.Parameter(torch.zeros(dim))
        self.context_gate = torch.nn.Parameter(torch.zeros(dim))
        self.biases = torch.nn.Parameter(torch.tensor([3.0, -1.0]))
        self.context_penalties = torch.nn.Parameter(torch.tensor([0.05, 0.2, 0.1]))
        self.sharpness = torch.nn.Parameter(torch.tensor(3.3))

    def head(self, projection: Float32) -> RankingHead:
        """Return the head that was learnt."""
        values = {name: value.detach().numpy() for name, value in self.named_parameters() if name != "sharpness"}
        return RankingHead(projection=projection, **values)


class Trainer:
    """Fits heads to the candidates of questions, all from an index that was built with the identity head."""

    def __init__(self, searcher: Searcher, projection: Float32) -> None:
        self._searcher, self._projection = searcher, torch.from_numpy(projection)

    def examples(self, questions: Sequence[Question]) -> Iterator[Example]:
        """Yield the questions with their candidates."""
        store, tokens = self._searcher.snapshot.passages, self._searcher.snapshot.tokens
        passages = {entry.id: store.answers_of(entry) for entry in store.documents}
        for question in questions:
            query = encode_query(self._searcher.encoder, question.text)
            candidates = np.array(sorted(self._searcher.rank(query, 1, None).rows), dtype=np.int64)
            answers = {
                row
                for label in question.relevant
                for row, passage in passages[label.document].items()
                if passage.start < label.end and label.start < passage.end
            }
            documents = store.documents_of(candidates)
            before, after, titles = candidates - 1, candidates + 1, store.row_count + documents
            neighbors = [
                (rows >= 0) & (rows < store.row_count) & (store.documents_of(rows) == documents)
                for rows in (before, after)
            ]
            every = np.unique(np.concatenate([candidates, before, after, titles]))
            every = every[every >= 0]
            yield Example(
                document=question.relevant[0].document,
                vectors=query.vectors,
                idf=tokens.idf(query.tokens.ids),
                rows=every.tolist(),
                positions=tuple(
                    torch.from_numpy(np.searchsorted(every, rows)) for rows in (candidates, before, after, titles)
                ),
                neighbors=tuple(torch.from_numpy(is_neighbor) for is_neighbor in neighbors),
                answers=torch.tensor([int(row) in answers for row in candidates]),
            )

    def fit(self, examples: Sequence[Example]) -> HeadParameters:
        """Return what is learnt from the examples whose answer is among the candidates."""
        torch.manual_seed(0)
        parameters = HeadParameters(self._searcher.encoder.dim)
        vectors = [parameters.passage, parameters.question, parameters.context_gate]
        scalars = [parameters.biases, parameters.context_penalties, parameters.sharpness]
        optimizer = torch.optim.Adam(
            [{"params": vectors, "rate": VECTOR_RATE}, {"params": scalars, "rate": SCALAR_RATE}]
        )
        usable = [example for example in examples if example.answers.any()]
        steps, done = EPOCHS * (len(usable) // BATCH), 0
        shuffler = random.Random(0)
        for _ in range(EPOCHS):
            shuffler.shuffle(usable)
            for start in range(0, len(usable) - BATCH + 1, BATCH):
                for group in optimizer.param_groups:
                    group["lr"] = group["rate"] * max(0.02, 1 - done / steps)
                batch = usable[start : start + BATCH]
                loss = torch.stack([self._loss(parameters, example) for example in batch]).mean()
                loss = loss + DECAY * sum((vector**2).sum() for vector in vectors)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                done += 1
        return parameters

    @torch.no_grad()
    def ranks(self, parameters: HeadParameters, examples: Sequence[Example]) -> list[float]:
        """Return for each example how many candidates come before the first that answers; 999 without one."""
        ranks = []
        for example in examples:
            scores = self._scores(parameters, example)
            correct = scores[example.answers]
            ranks.append(float((scores > correct.max()).sum()) if len(correct) else NOT_A_CANDIDATE)
        return ranks

    def _loss(self, parameters: HeadParameters, example: Example) -> torch.Tensor:
        scores = self._scores(parameters, example)
        return torch.logsumexp(scores, 0) - torch.logsumexp(scores[example.answers], 0)

    def _scores(self, parameters: HeadParameters, example: Example) -> torch.Tensor:
        """The formula of ``search/late_interaction.py``, differentiable: (candidates,)."""
        gathered = self._searcher.snapshot.tokens.gather(example.rows)
        vectors = torch.from_numpy(example.vectors)
        query = torch.nn.functional.normalize(vectors @ self._projection, dim=1)
        tokens = torch.nn.functional.normalize(torch.from_numpy(gathered.vectors) @ self._projection, dim=1)
        tokens = tokens * torch.sigmoid(tokens @ parameters.passage + parameters.biases[0])[:, None]
        lengths = torch.from_numpy(np.diff(np.append(gathered.row_starts, len(gathered.vectors))))
        best = torch.segment_reduce(tokens @ query.T, "max", lengths=lengths, axis=0)
        self_sim, before, after, title = (best[position] for position in example.positions)
        before = torch.where(example.neighbors[0][:, None], before, -1.0) - parameters.context_penalties[0]
        after = torch.where(example.neighbors[1][:, None], after, -1.0) - parameters.context_penalties[1]
        context_sim = torch.maximum(torch.maximum(before, after), title - parameters.context_penalties[2])
        weights = torch.from_numpy(example.idf) * torch.exp(vectors @ parameters.question)
        weights = weights / weights.sum()
        context_gate = torch.sigmoid(vectors @ parameters.context_gate + parameters.biases[1])
        scores = self_sim @ weights + torch.relu(context_sim - self_sim) @ (weights * context_gate)
        return scores * torch.exp(parameters.sharpness)


def print_held_out(trainer: Trainer, examples: Sequence[Example], folds: int) -> None:
    """Print the metrics of every document by a head that was not trained on it."""
    documents = sorted({example.document for example in examples})
    all_ranks: list[float] = []
    for fold in range(folds):
        held_out = set(documents[fold::folds])
        parameters = trainer.fit([example for example in examples if example.document not in held_out])
        all_ranks += trainer.ranks(parameters, [example for example in examples if example.document in held_out])
    ranks = np.array(all_ranks)
    mrr = np.where(ranks < 10, 1 / (ranks + 1), 0).mean()
    print(f"held out: R@1 {(ranks < 1).mean():.4f} R@5 {(ranks < 5).mean():.4f} MRR@10 {mrr:.4f}")


if __name__ == "__main__":
    main()

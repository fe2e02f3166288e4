"""Train the ranking head of the default model: ``python benchmarks/train_head.py SET [--folds 4] [--write]``.

SET is a labelled set of many documents (squad-a). Its corpus is built as any, with the plain head; of each question the
candidates' token vectors are taken, and the head is fitted so that the sentences that answer come first (cross-entropy
over the candidates, Adam). The encoder and the projection (the principal directions of the token vectors) stay as they
are; some thousand numbers are learnt. With ``--folds N`` the documents are held out in turn and R@1, R@5 and MRR of the
held-out ones are printed. Deterministic; about three minutes for each fit on one core.
"""

import argparse
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import faiss
import numpy as np
import torch

from sourceline.encoders import ranking_head as heads
from sourceline.encoders.base import Float32
from sourceline.encoders.hub import find_model
from sourceline.encoders.load import ENCODERS, prepare_encoder
from sourceline.encoders.ranking_head import RankingHead, identity_head, write_ranking_head
from sourceline.evaluation.dataset import LabelledQuestion, read_labels
from sourceline.indexing.builder import build
from sourceline.indexing.config import IndexConfig
from sourceline.search.opening import open_searcher
from sourceline.search.query import encode_query
from sourceline.search.searcher import Searcher
from sourceline.types import DEFAULT_MODEL, Backend

DIMENSION = 192
PIECES = 48  # bytes that a token is kept in, if there are many
EPOCHS, BATCH = 2, 32
VECTOR_RATE, NUMBER_RATE, DECAY = 2e-2, 1e-2, 2e-5


@dataclass(frozen=True)
class Example:
    """A question and its candidates: where their tokens stand, and those of what stands around them."""

    document: str
    vectors: Float32
    idf: Float32
    wanted: list[int]
    places: tuple[torch.Tensor, ...]
    there: tuple[torch.Tensor, ...]
    answers: torch.Tensor


def main() -> None:
    """Train, print held-out figures if asked, write the head if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", type=Path)
    parser.add_argument("--folds", type=int, default=0, help="hold the documents out in so many turns")
    parser.add_argument("--write", action="store_true", help="write the head into the package")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # the sums of one thread are the same everywhere
    with tempfile.TemporaryDirectory() as scratch:
        index = Path(scratch)
        encoder = prepare_encoder(Backend.ONNX, find_model(DEFAULT_MODEL), index / ENCODERS)
        labelled = read_labels(arguments.set)
        build(labelled.documents, index, DEFAULT_MODEL, config=IndexConfig(head=identity_head(encoder.dim)))
        searcher = open_searcher(index, DEFAULT_MODEL, Backend.ONNX)
        basis = principal_directions(searcher)
        trainer = Trainer(searcher, basis)
        examples = list(trainer.examples([q for q in labelled.questions if q.answerable]))
        if arguments.folds:
            held_out(trainer, examples, arguments.folds)
        if arguments.write:
            folder = Path(heads.__file__).parent / "heads"
            digest = find_model(DEFAULT_MODEL).digest
            head = trainer.fit(examples).head(basis)
            head = replace(head, codebook=codebook(searcher, head))
            write_ranking_head(folder / "all-MiniLM-L6-v2.safetensors", head, digest)


def principal_directions(searcher: Searcher) -> Float32:
    """Return the directions (d, m) that hold most of the token vectors' squared length, not centred."""
    tokens = searcher.snapshot.tokens
    vectors = tokens.gather(range(0, searcher.snapshot.passages.row_count, 3)).vectors
    _, directions = np.linalg.eigh(vectors.T @ vectors)
    return np.ascontiguousarray(directions[:, ::-1][:, :DIMENSION], dtype=np.float32)


def codebook(searcher: Searcher, head: RankingHead) -> Float32:
    """Return what product quantisation keeps the head's token vectors by: (pieces, 256, m / pieces)."""
    tokens = searcher.snapshot.tokens
    vectors = head.project_passage(tokens.gather(range(0, searcher.snapshot.passages.row_count, 3)).vectors)
    quantiser = faiss.ProductQuantizer(DIMENSION, PIECES, 8)
    quantiser.train(vectors)
    found: Float32 = faiss.vector_to_array(quantiser.centroids).reshape(PIECES, 256, DIMENSION // PIECES)
    # What is not there is kept as zeros, and must match nothing: of each piece, the least code is made zero.
    found[np.arange(PIECES), np.linalg.norm(found, axis=2).argmin(axis=1)] = 0
    return found


class Numbers(torch.nn.Module):
    """What is learnt; the names are those of ``RankingHead``."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.passage = torch.nn.Parameter(torch.zeros(DIMENSION))
        self.question = torch.nn.Parameter(torch.zeros(dim))
        self.context_gate = torch.nn.Parameter(torch.zeros(dim))
        self.biases = torch.nn.Parameter(torch.tensor([3.0, -1.0]))
        self.context_penalties = torch.nn.Parameter(torch.tensor([0.05, 0.2, 0.1]))
        self.sharpness = torch.nn.Parameter(torch.tensor(3.3))

    def head(self, basis: Float32) -> RankingHead:
        """Return the head that was learnt."""
        values = {name: value.detach().numpy() for name, value in self.named_parameters() if name != "sharpness"}
        return RankingHead(projection=basis, **values)


class Trainer:
    """Fits heads on the candidates of questions, all from one index that was built with the plain head."""

    def __init__(self, searcher: Searcher, basis: Float32) -> None:
        self._searcher, self._basis = searcher, torch.from_numpy(basis)

    def examples(self, questions: Sequence[LabelledQuestion]) -> Iterator[Example]:
        """Yield the questions with their candidates."""
        passages, tokens = self._searcher.snapshot.passages, self._searcher.snapshot.tokens
        stored = {entry.id: passages.of_rows(entry) for entry in passages.documents}
        for question in questions:
            asked = encode_query(self._searcher.encoder, question.text)
            rows = np.array(sorted(self._searcher.rank(asked, 1, None).rows), dtype=np.int64)
            answers = {
                row
                for label in question.relevant
                for row, passage in stored[label.document].items()
                if passage.start < label.end and label.start < passage.end
            }
            documents = passages.documents_of(rows)
            places = [rows, rows - 1, rows + 1, passages.row_count + documents]
            there = [
                (place >= 0) & (place < passages.row_count) & (passages.documents_of(place) == documents)
                for place in places[1:3]
            ]
            wanted = np.unique(np.concatenate(places))
            wanted = wanted[wanted >= 0]
            yield Example(
                document=question.relevant[0].document,
                vectors=asked.vectors,
                idf=tokens.idf(asked.tokens.ids),
                wanted=wanted.tolist(),
                places=tuple(torch.from_numpy(np.searchsorted(wanted, place)) for place in places),
                there=tuple(map(torch.from_numpy, there)),
                answers=torch.tensor([int(row) in answers for row in rows]),
            )

    def fit(self, examples: Sequence[Example]) -> Numbers:
        """Return what is learnt from the examples whose answer is among the candidates."""
        torch.manual_seed(0)
        numbers = Numbers(self._searcher.encoder.dim)
        vectors = [numbers.passage, numbers.question, numbers.context_gate]
        optimizer = torch.optim.Adam(
            [
                {"params": vectors, "rate": VECTOR_RATE},
                {"params": [numbers.biases, numbers.context_penalties, numbers.sharpness], "rate": NUMBER_RATE},
            ]
        )
        usable = [example for example in examples if example.answers.any()]
        steps, done = EPOCHS * (len(usable) // BATCH), 0
        order = random.Random(0)  # an order to learn in, no secret
        for _ in range(EPOCHS):
            order.shuffle(usable)
            for start in range(0, len(usable) - BATCH + 1, BATCH):
                for group in optimizer.param_groups:
                    group["lr"] = group["rate"] * max(0.02, 1 - done / steps)
                loss = torch.stack([self._loss(numbers, e) for e in usable[start : start + BATCH]]).mean()
                loss = loss + DECAY * sum((vector**2).sum() for vector in vectors)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                done += 1
        return numbers

    @torch.no_grad()
    def places(self, numbers: Numbers, examples: Sequence[Example]) -> Float32:
        """Return how many candidates stand before the first that answers, for each example; 999 without one."""
        found = []
        for example in examples:
            scores = self._scores(numbers, example)
            right = scores[example.answers]
            found.append(float((scores > right.max()).sum()) if len(right) else 999.0)
        return np.array(found, dtype=np.float32)

    def _loss(self, numbers: Numbers, example: Example) -> torch.Tensor:
        scores = self._scores(numbers, example)
        return torch.logsumexp(scores, 0) - torch.logsumexp(scores[example.answers], 0)

    def _scores(self, numbers: Numbers, example: Example) -> torch.Tensor:
        """The formula of ``retrieval/late.py``, differentiable."""
        gathered = self._searcher.snapshot.tokens.gather(example.wanted)
        asked = torch.from_numpy(example.vectors)
        question = torch.nn.functional.normalize(asked @ self._basis, dim=1)
        tokens = torch.nn.functional.normalize(torch.from_numpy(gathered.vectors) @ self._basis, dim=1)
        tokens = tokens * torch.sigmoid(tokens @ numbers.passage + numbers.biases[0])[:, None]
        lengths = torch.from_numpy(np.diff(np.append(gathered.starts, len(gathered.vectors))))
        best = torch.segment_reduce(tokens @ question.T, "max", lengths=lengths, axis=0)
        own, before, after, title = (best[place] for place in example.places)
        before = torch.where(example.there[0][:, None], before, -1.0) - numbers.context_penalties[0]
        after = torch.where(example.there[1][:, None], after, -1.0) - numbers.context_penalties[1]
        around = torch.maximum(torch.maximum(before, after), title - numbers.context_penalties[2])
        weights = torch.from_numpy(example.idf) * torch.exp(asked @ numbers.question)
        weights = weights / weights.sum()
        context_gate = torch.sigmoid(asked @ numbers.context_gate + numbers.biases[1])
        scores = own @ weights + torch.relu(around - own) @ (weights * context_gate)
        return scores * torch.exp(numbers.sharpness)


def held_out(trainer: Trainer, examples: Sequence[Example], folds: int) -> None:
    """Print the figures of every document by a head that did not see it."""
    documents = sorted({example.document for example in examples})
    places: list[float] = []
    for fold in range(folds):
        out = set(documents[fold::folds])
        numbers = trainer.fit([example for example in examples if example.document not in out])
        places += trainer.places(numbers, [example for example in examples if example.document in out]).tolist()
    found = np.array(places)
    mrr = np.where(found < 10, 1 / (found + 1), 0).mean()
    print(f"held out: R@1 {(found < 1).mean():.4f} R@5 {(found < 5).mean():.4f} MRR@10 {mrr:.4f}")


if __name__ == "__main__":
    main()

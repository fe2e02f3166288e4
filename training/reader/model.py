"""The reader as it is trained."""

import torch
from torch import nn
from transformers import BertModel

from training.reader.base import WIDTH
from training.reader.data import Reading, pad


class Reader(nn.Module):
    """BERT over a question and a chunk, with two numbers for each token.

    A sentence's score is the mean of the first over its tokens; a chunk's "none" is the second at its first token. What
    counts is their difference: how much better the sentence answers than nothing in the chunk.
    """

    def __init__(self, bert: BertModel) -> None:
        """Join the encoder and new heads."""
        super().__init__()
        self.bert = bert
        self.sentence, self.none = nn.Linear(WIDTH, 1), nn.Linear(WIDTH, 1)
        for head in (self.sentence, self.none):
            nn.init.normal_(head.weight, std=0.02)

    def freeze(self, layers: int) -> None:
        """Keep the embeddings and the first layers as they are."""
        for module in (self.bert.embeddings, *self.bert.encoder.layer[:layers]):
            module.requires_grad_(False)

    def forward(self, readings: list[Reading]) -> list[list[torch.Tensor]]:
        """Return for each question and chunk the scores of its sentences, less the chunk's "none": (sentences,)."""
        ids, mask, segments = pad(readings)
        states = self.bert(input_ids=ids, attention_mask=mask, token_type_ids=segments).last_hidden_state.float()
        scores = self.sentence(states)[..., 0]
        none = self.none(states[:, 0])[:, 0]
        sums = torch.nn.functional.pad(scores.cumsum(dim=1), (1, 0))
        result, at = [], 0
        for reading in readings:
            chunks = []
            for ranges in reading.sentences:
                starts, ends = torch.tensor(ranges).T
                chunks.append((sums[at, ends] - sums[at, starts]) / (ends - starts) - none[at])
                at += 1
            result.append(chunks)
        return result


def loss(scores: list[torch.Tensor], answers: list[list[bool]]) -> torch.Tensor:
    """Return the cross-entropy of one question: which sentence answers, or that none does (score 0).

    Half of it is over all chunks together, so that scores compare between chunks, and half over each by itself, so that
    they do not depend on what else was read.
    """
    together = _cross_entropy(torch.cat(scores), [answer for chunk in answers for answer in chunk])
    apart = torch.stack([_cross_entropy(*pair) for pair in zip(scores, answers, strict=True)]).mean()
    return 0.5 * (together + apart)


def _cross_entropy(scores: torch.Tensor, answers: list[bool]) -> torch.Tensor:
    total = torch.logsumexp(torch.cat([scores, scores.new_zeros(1)]), 0)
    gold = torch.tensor(answers)
    return total - torch.logsumexp(scores[gold], 0) if gold.any() else total

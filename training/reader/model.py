"""The reader as it is trained."""

import torch
from torch import nn
from transformers import BertModel

from training.reader.base import WIDTH
from training.reader.data import Batch


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

    def forward(self, batch: Batch) -> torch.Tensor:
        """Return the score of each sentence, less its chunk's "none": (sentences,)."""
        states = self.bert(
            input_ids=batch.ids, attention_mask=batch.mask, token_type_ids=batch.segments
        ).last_hidden_state
        with torch.autocast(states.device.type, enabled=False):
            tokens: torch.Tensor = self.sentence(states.float())[..., 0]
            none = self.none(states[:, 0].float())[:, 0]
            sums = nn.functional.pad(tokens.cumsum(dim=1), (1, 0))
            means = (sums[batch.chunk, batch.end] - sums[batch.chunk, batch.start]) / (batch.end - batch.start)
            scores: torch.Tensor = means - none[batch.chunk]
        return scores


def loss(scores: torch.Tensor, batch: Batch, teacher: torch.Tensor | None = None) -> torch.Tensor:
    """Return the cross-entropy of a batch: which sentence answers, or that none does (score 0).

    Half of it is over all chunks of a question together, so that scores compare between chunks, and half over each by
    itself, so that they do not depend on what else was read. With the scores of a ``teacher``, half of each is against
    its probabilities in place of the labels.
    """
    together = _cross_entropy(scores, batch.answers, batch.in_question, teacher).mean()
    apart = _cross_entropy(scores, batch.answers, batch.in_chunk, teacher) @ batch.weight / len(batch.in_question)
    return 0.5 * (together + apart)


def _cross_entropy(
    scores: torch.Tensor, answers: torch.Tensor, groups: torch.Tensor, teacher: torch.Tensor | None
) -> torch.Tensor:
    """Return the cross-entropy of each group of sentences: (groups,)."""
    present = groups >= 0
    right = answers[groups] & present
    right = torch.cat([right, ~right.any(dim=1, keepdim=True)], dim=1)  # the last column: none
    logits = _with_none(scores, groups, present)
    normalizer = logits.logsumexp(dim=1)
    hard = normalizer - logits.masked_fill(~right, -torch.inf).logsumexp(dim=1)
    if teacher is None:
        return hard
    expected = _with_none(teacher, groups, present).softmax(dim=1)
    soft = normalizer - (expected * logits.masked_fill(expected == 0, 0)).sum(dim=1)
    return 0.5 * (hard + soft)


def _with_none(scores: torch.Tensor, groups: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    logits = scores[groups].masked_fill(~present, -torch.inf)
    return torch.cat([logits, logits.new_zeros(len(logits), 1)], dim=1)

"""Runs a model with sentence-transformers: on a GPU, and for models that cannot be exported."""

import os
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer
from tokenizers import Tokenizer
from tokenizers.normalizers import Replace
from tokenizers.normalizers import Sequence as NormalizerSequence
from transformers.utils import logging as transformers_logging

from sourceline.encoders.base import (
    EncoderInput,
    Encoding,
    Float32,
    Tokens,
    encode_long,
    tokenize,
    unknown_id,
    vocabulary_size,
)
from sourceline.encoders.hub import Model
from sourceline.errors import ModelError

# Part of the fingerprint: to be changed whenever the same text would get other tokens or vectors.
_VERSION = "torch-2"
# The text of PDF files has them, and no model's vocabulary: ﬀ ﬁ ﬂ ﬃ ﬄ ﬅ ﬆ. Not all that NFKC would replace: it makes
# 121⁄2 of 12½ and 102 of 10².
_LIGATURES = [chr(code) for code in range(0xFB00, 0xFB07)]


def load_model(folder: Path) -> tuple[SentenceTransformer, Tokenizer, int]:
    """Load a model from its folder: the model, its tokenizer without truncation, its limit in tokens.

    Both take ligatures apart; the offsets of tokens stay those of the text.

    Raises:
        ModelError: it is not a sentence-transformers model with a transformer and a fast tokenizer.
    """
    transformers_logging.disable_progress_bar()
    torch.set_num_threads(os.cpu_count() or 1)  # the command line sets one, for what serves
    try:
        model = SentenceTransformer(str(folder), trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, ImportError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
        # What the library raises for a folder that holds something else depends on how far it got.
        reason = " ".join(str(error).split())  # it often has several lines
        raise ModelError(f"{folder} does not load as a sentence-transformers model: {reason}") from error
    backend = getattr(model.tokenizer, "backend_tokenizer", None)
    if backend is None or model.max_seq_length is None:
        raise ModelError(f"the model in {folder} has no fast tokenizer, so its tokens have no offsets")
    apart = [Replace(ligature, unicodedata.normalize("NFKC", ligature)) for ligature in _LIGATURES]
    backend.normalizer = NormalizerSequence([*apart, *([backend.normalizer] if backend.normalizer else [])])
    tokenizer = Tokenizer.from_str(backend.to_str())
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return model.eval(), tokenizer, model.max_seq_length - tokenizer.num_special_tokens_to_add(False)


class SentenceTransformerEncoder:
    """Encodes with sentence-transformers on the best device there is."""

    def __init__(self, model: Model) -> None:
        self.model = model.name
        self.fingerprint = f"{_VERSION}-" + model.digest[:16]
        self._encoder, self._tokenizer, self.max_tokens = load_model(model.folder)
        self.unknown_id = unknown_id(self._tokenizer)
        dim = self._encoder.get_embedding_dimension()
        assert dim is not None
        self.dim = dim

    @property
    def vocabulary(self) -> int:
        """An upper bound (exclusive) of the token ids."""
        return vocabulary_size(self._tokenizer)

    def tokenize(self, text: str) -> Tokens:
        """Return the tokens of a text of any length."""
        return tokenize(self._tokenizer, text)[2]

    def encode(self, inputs: Sequence[EncoderInput]) -> Iterator[Encoding]:
        """Yield one encoding for each input, in order."""
        for item in inputs:
            yield encode_long(item, self._tokenizer, self.max_tokens, self._run)

    def _run(self, text: str, _: list[int]) -> Float32:
        # One at a time: padding to a batch's longest text changes the last bits of a vector.
        states = self._encoder.encode(text, output_value="token_embeddings", show_progress_bar=False)
        return np.asarray(states.cpu().numpy(), dtype=np.float32)

"""A small model of another shape, which is exported in seconds."""

import json
import shutil

import pytest

from sourceline.encoders.hub import Model, find_model
from sourceline.types import DEFAULT_MODEL, Backend


@pytest.fixture(scope="session")
def small_model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A sentence-transformers model with 32 dimensions and random weights. Not to be written to."""
    import torch
    from transformers import BertConfig, BertModel

    folder = tmp_path_factory.mktemp("models") / "small"
    unwanted = shutil.ignore_patterns("model.safetensors", "vocab.txt", ".git*")
    shutil.copytree(find_model(DEFAULT_MODEL, Backend.TORCH).folder, folder, ignore=unwanted)
    torch.manual_seed(0)
    config = BertConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
    BertModel(config).save_pretrained(folder)
    pooling = folder / "1_Pooling" / "config.json"
    pooling.write_text(json.dumps(json.loads(pooling.read_text()) | {"word_embedding_dimension": 32}))
    return find_model(str(folder))

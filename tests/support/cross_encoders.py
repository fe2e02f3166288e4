"""A CrossEncoder of random weights that is made in a moment."""

import shutil
from pathlib import Path

from sourceline.encoders.hub import find_model
from sourceline.types import DEFAULT_MODEL, Backend


def write_cross_encoder(folder: Path, labels: int = 1) -> Path:
    """Write a CrossEncoder with 32 dimensions and the default model's tokenizer; return its folder."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    folder.mkdir()
    for file in find_model(DEFAULT_MODEL, Backend.TORCH).folder.glob("*token*.json"):
        shutil.copy(file, folder)
    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        initializer_range=0.5,  # so large that sentences differ
    )
    config.num_labels = labels
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder

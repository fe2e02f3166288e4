import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, RobertaConfig, RobertaModel

from sourceline.encoders import export
from sourceline.encoders.base import EncoderInput, l2_normalize
from sourceline.encoders.export import PROBES, SingleTextBert, export_model, is_plain_bert
from sourceline.encoders.hub import Model, find_model
from sourceline.encoders.onnx import OnnxEncoder, read_card
from sourceline.encoders.sentence_transformer import SentenceTransformerEncoder
from sourceline.errors import ModelError

SMALL_BERT = BertConfig(vocab_size=50, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)


def require_cosine(monkeypatch: pytest.MonkeyPatch, cosine: float) -> None:
    """Accept an exported model only if it agrees with the original to this cosine."""
    monkeypatch.setattr(export, "_COSINE_MEAN", cosine)
    monkeypatch.setattr(export, "_COSINE_MIN", cosine)


def test_the_probe_sentences_agree_as_the_card_says(small_model: Model, tmp_path: Path) -> None:
    card = export_model(small_model, tmp_path / "onnx")
    onnx, original = OnnxEncoder(small_model.name, tmp_path / "onnx"), SentenceTransformerEncoder(small_model)
    inputs = [EncoderInput(probe) for probe in PROBES]
    cosines = [
        float(l2_normalize(ours.vectors.mean(axis=0)) @ l2_normalize(theirs.vectors.mean(axis=0)))
        for ours, theirs in zip(onnx.encode(inputs), original.encode(inputs), strict=True)
    ]
    assert card.cosine_mean == pytest.approx(np.mean(cosines), abs=1e-6)
    assert card.cosine_min == pytest.approx(min(cosines), abs=1e-6)
    assert (card.dim, card.max_tokens, card.model) == (32, 254, small_model.name)
    assert read_card(tmp_path / "onnx") == card


def test_int8_is_taken_where_it_agrees_and_exporting_leaves_no_trace(
    small_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_cosine(monkeypatch, -1)
    assert export_model(small_model, tmp_path / "encoders" / "onnx").precision == "int8"
    assert [path.name for path in (tmp_path / "encoders").iterdir()] == ["onnx"]
    assert logging.root.manager.disable == logging.NOTSET


def test_fp32_is_taken_where_int8_disagrees(
    small_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    require_cosine(monkeypatch, 0.999995)
    card = export_model(small_model, tmp_path / "onnx")
    assert card.precision == "fp32"
    assert card.cosine_min == pytest.approx(1, abs=1e-6)
    assert f"{small_model.name} in int8 agrees with the original only to a cosine of" in caplog.text
    (ours,) = OnnxEncoder(small_model.name, tmp_path / "onnx").encode([EncoderInput("The roof leaks.")])
    (theirs,) = SentenceTransformerEncoder(small_model).encode([EncoderInput("The roof leaks.")])
    np.testing.assert_allclose(ours.vectors, theirs.vectors, atol=1e-5)


def test_a_model_that_agrees_in_no_precision_is_refused_and_leaves_nothing(
    small_model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_cosine(monkeypatch, 2)
    with pytest.raises(ModelError) as error:
        export_model(small_model, tmp_path / "encoders" / "onnx")
    assert str(error.value) == f"{small_model.name} does not export to the same vectors"
    assert list((tmp_path / "encoders").iterdir()) == []


def test_a_model_whose_weights_are_damaged_is_refused(small_model: Model, tmp_path: Path) -> None:
    folder = shutil.copytree(small_model.folder, tmp_path / "model")
    (folder / "model.safetensors").write_bytes(b"weights")
    with pytest.raises(ModelError, match="does not load as a sentence-transformers model"):
        export_model(find_model(str(folder)), tmp_path / "onnx")
    assert not (tmp_path / "onnx").exists()


@pytest.mark.parametrize("segments", [2, 1])
def test_bert_for_one_text_gives_the_states_of_bert_before_and_after_smoothing(segments: int) -> None:
    torch.manual_seed(0)
    bert = BertModel(BertConfig(**{**SMALL_BERT.to_dict(), "type_vocab_size": segments})).eval()
    single = SingleTextBert(bert).eval()
    texts = [torch.randint(0, 50, (length,)) for length in (1, 2, 17, 100)]
    with torch.no_grad():
        expected = [bert(input_ids=ids[None]).last_hidden_state[0] for ids in texts]
        for ids, states in zip(texts, expected, strict=True):
            torch.testing.assert_close(single(ids), states, atol=1e-5, rtol=0)
        single.smooth((ids,) for ids in texts)
        smoothed = dict(single.named_modules())["layers.0.query_key_value"]
        assert torch.std(torch.as_tensor(smoothed.inverse)) > 0.01
        for ids, states in zip(texts, expected, strict=True):
            torch.testing.assert_close(single(ids), states, atol=1e-5, rtol=0)


def test_bert_for_one_text_gives_the_states_of_bert_for_two_segments() -> None:
    torch.manual_seed(0)
    bert = BertModel(SMALL_BERT).eval()
    single = SingleTextBert(bert).eval()
    ids, segments = torch.randint(0, 50, (40,)), (torch.arange(40) >= 13).long()
    with torch.no_grad():
        expected = bert(input_ids=ids[None], token_type_ids=segments[None]).last_hidden_state[0]
        assert torch.max(torch.abs(single(ids) - expected)) > 0.01
        for _ in range(2):
            torch.testing.assert_close(single(ids, segments), expected, atol=1e-5, rtol=0)
            single.smooth([(ids, segments)])


def test_only_an_original_bert_is_replaced_by_bert_for_one_text() -> None:
    class Other(BertModel):
        """Another model that has the same parts."""

    assert is_plain_bert(BertModel(SMALL_BERT))
    assert not is_plain_bert(Other(SMALL_BERT))
    assert not is_plain_bert(BertModel(BertConfig(**{**SMALL_BERT.to_dict(), "is_decoder": True})))
    roberta = RobertaConfig(vocab_size=50, hidden_size=32, num_hidden_layers=1, num_attention_heads=2)
    assert not is_plain_bert(RobertaModel(roberta))

import json
import math
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from sourceline.errors import ModelError
from sourceline.search import confidence
from sourceline.search.confidence import (
    UNSURE_SHARE,
    Calibration,
    ConfidenceFeatures,
    ReaderCalibration,
    is_calibrated,
    load_calibration,
    load_reader_calibration,
    verdict,
)
from sourceline.types import DEFAULT_MODEL, DEFAULT_RERANKER, NO_RERANKER, Verdict

FOLDER = Path(confidence.__file__).parent / "calibrations"
CALIBRATIONS = sorted(file for file in FOLDER.iterdir() if file.stem != DEFAULT_RERANKER)
READER = ReaderCalibration(late_weight=2.0, unread=-3.0, decided=100.0, slope=0.5, intercept=-1.0)


def test_confidence_is_the_logistic_function_of_the_features() -> None:
    calibration = Calibration((2.0, -1.0, 0.5, 4.0, 0.0), -1.5)
    features = ConfidenceFeatures(late=0.75, dense=0.5, coverage=1.0, lead=0.25, size=3.0)
    # 2·.75 - 1·.5 + .5·1 + 4·.25 + 0·3 - 1.5 = 1
    assert calibration.confidence(features) == pytest.approx(1 / (1 + math.exp(-1)))


def test_features_of_zero_give_the_intercept_alone() -> None:
    features = ConfidenceFeatures(late=0, dense=0, coverage=0, lead=0, size=0)
    assert Calibration((1.0,) * 5, 0.0).confidence(features) == 0.5
    assert Calibration((1.0,) * 5, math.log(3)).confidence(features) == pytest.approx(0.75)


def test_features_are_in_the_order_of_the_fields() -> None:
    assert ConfidenceFeatures(late=1, dense=2, coverage=3, lead=4, size=5).values().tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("file", CALIBRATIONS, ids=lambda file: file.name)
def test_every_calibration_names_the_features_in_their_order(file: Path) -> None:
    values = json.loads(file.read_text("utf-8"))
    assert list(values["coefficients"]) == [field.name for field in fields(ConfidenceFeatures)]
    assert values["model"].split("/")[-1] == file.stem
    assert values["fitted_on"]
    calibration = load_calibration(values["model"])
    assert calibration.coefficients == tuple(values["coefficients"].values())
    assert calibration.intercept == values["intercept"]


def test_for_the_default_model_better_scores_speak_for_an_answer_and_more_passages_against_it() -> None:
    assert is_calibrated(DEFAULT_MODEL)
    names = [field.name for field in fields(ConfidenceFeatures)]
    coefficients = dict(zip(names, load_calibration(DEFAULT_MODEL).coefficients, strict=True))
    assert all(coefficients[name] > 0 for name in ("late", "dense", "coverage", "lead"))
    assert coefficients["size"] < 0


def test_confidence_stays_a_probability_at_both_ends() -> None:
    calibration = load_calibration(DEFAULT_MODEL)
    worst = calibration.confidence(ConfidenceFeatures(late=-1, dense=-1, coverage=0, lead=0, size=math.log(1e9)))
    best = calibration.confidence(ConfidenceFeatures(late=1, dense=1, coverage=1, lead=1, size=0))
    assert 0 <= worst < 0.001 < 0.999 < best <= 1
    assert np.isfinite([worst, best]).all()


@pytest.mark.parametrize("model", ["maker/unknown", "unknown", "/folder/of/a/model/", ".."])
def test_a_model_without_a_calibration_gets_the_default_models(model: str) -> None:
    assert not is_calibrated(model)
    assert load_calibration(model) == load_calibration(DEFAULT_MODEL)


@pytest.mark.parametrize("content", ["{", "{}", "\udcff"])
def test_a_calibration_that_cannot_be_read_is_a_known_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    (tmp_path / "calibrations").mkdir()
    (tmp_path / "calibrations" / "all-MiniLM-L6-v2.json").write_bytes(content.encode(errors="surrogateescape"))
    monkeypatch.setattr("sourceline.search.confidence.resources.files", lambda _: tmp_path)
    with pytest.raises(ModelError, match="cannot be read: reinstall Sourceline"):
        load_calibration(DEFAULT_MODEL)


def test_a_passage_ranks_by_the_readers_score_and_late_interaction() -> None:
    assert (READER.score(1.5, 0.25), READER.score(None, 0.25)) == (2.0, -2.5)


def test_confidence_after_reading_is_the_logistic_function_of_the_readers_score() -> None:
    assert READER.confidence(4.0) == pytest.approx(1 / (1 + math.exp(-1)))
    assert READER.confidence(None) == READER.confidence(-3.0) == pytest.approx(1 / (1 + math.exp(2.5)))
    assert 0 <= READER.confidence(-1e6) < 1e-300 < 1 == READER.confidence(1e6)


def test_the_reader_has_a_calibration_and_no_other_reranker_has() -> None:
    calibration = load_reader_calibration(DEFAULT_RERANKER)
    assert calibration
    values = json.loads((FOLDER / f"{DEFAULT_RERANKER}.json").read_text("utf-8"))
    assert {field.name: values[field.name] for field in fields(ReaderCalibration)} == {
        field.name: getattr(calibration, field.name) for field in fields(ReaderCalibration)
    }
    assert calibration.slope > 0
    assert load_reader_calibration(NO_RERANKER) is load_reader_calibration("models/reader") is None


def test_the_readers_calibration_is_none_of_a_model_of_its_name() -> None:
    assert not is_calibrated("models/reader")
    assert load_calibration("models/reader") == load_calibration(DEFAULT_MODEL)


@pytest.mark.parametrize(
    ("value", "threshold", "expected"),
    [
        (0.5, 0.5, Verdict.ANSWERED),
        (math.nextafter(0.5, 0), 0.5, Verdict.UNSURE),
        (UNSURE_SHARE * 0.5, 0.5, Verdict.UNSURE),
        (math.nextafter(UNSURE_SHARE * 0.5, 0), 0.5, Verdict.NOT_ANSWERED),
        (0.0, 0.0, Verdict.ANSWERED),
        (0.0, 0.1, Verdict.NOT_ANSWERED),
        (0.99, 1.0, Verdict.UNSURE),
        (1.0, 1.0, Verdict.ANSWERED),
    ],
)
def test_an_answer_is_unsure_from_a_share_of_the_threshold_on(
    value: float, threshold: float, expected: Verdict
) -> None:
    assert verdict(value, threshold) is expected

"""What labels become before a network learns them, and what its outputs become after."""

from pathlib import Path

import numpy as np
import pytest

from galaxyloop.finetuning.model import load_label_model
from galaxyloop.finetuning.training import finetune, predict_labels, select_labelled
from tests.library.finetuning_data import (
    VALUE,
    make_data,
    make_label_model,
    make_run,
    save_encoder,
)

EVERYBODY = np.arange(48)


@pytest.mark.parametrize("class_weights", ["balanced", "none"])
def test_finetune__of_a_rare_class_gives_it_probabilities_of_its_frequency(
    class_weights: str, tmp_path: Path
) -> None:
    data = make_data()
    y = data.labels["y"].to_numpy(np.float64).copy()
    y[np.flatnonzero(y)[6:]] = 0.0
    data.labels["y"] = y
    start = save_encoder(tmp_path / "start")
    settings = {"encoder": "", "head_start": "probe", "training": {"epochs": 0}}
    run = make_run(class_weights=class_weights, **settings)
    model = load_label_model(finetune(data, run, tmp_path / "a", start=start))
    images = data.cutouts.read(EVERYBODY)
    predicted = predict_labels(model, images, n_threads=1)
    # Without correction a balanced head says about a half on average, not an eighth.
    assert predicted[:, 1].mean() == pytest.approx(6 / 48, abs=0.08)
    is_balanced = class_weights == "balanced"
    assert model.target.class_weights == ([48 / (2 * 42), 4.0] if is_balanced else [])
    as_trained = model.target.as_trained(predicted)
    decided = model.target.decide(predicted)
    assert decided.tolist() == as_trained.argmax(axis=1).tolist()


def test_select_labelled__standardises_values_far_from_0_exactly() -> None:
    data = make_data(VALUE)
    y = 59000.0 + 1e-3 * np.arange(48.0)
    data.labels["y"] = y
    _, train, _ = select_labelled(data)
    order = np.argsort(data.labels["id_str"].to_numpy().astype(str))
    expected = ((y - y.mean()) / y.std())[order]
    np.testing.assert_allclose(train.labels[:, 0], expected, atol=1e-5)


def test_predict_labels__reads_images_that_cannot_be_written() -> None:
    images = make_data().cutouts.read(EVERYBODY)
    images.flags.writeable = False
    # A warning is an error here.
    assert predict_labels(make_label_model(), images, n_threads=1).shape == (48, 2)

"""The linear probe on frozen representations."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from galaxyloop.errors import ConfigError, LabelError
from galaxyloop.finetuning.probe import ProbeConfig, fit_probe
from galaxyloop.finetuning.targets import Target

BINARY = Target("binary", "ring", ["no", "ring"])
MULTICLASS = Target("multiclass", "type", ["a", "b", "c"])
REGRESSION = Target("regression", "bulge")


def simulate(n_galaxies: int, n_features: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Features of different sizes, and a value that some of them tell."""
    rng = np.random.default_rng(seed)
    hidden = rng.normal(size=(n_galaxies, 5))
    mixing = np.random.default_rng(99).normal(size=(5, n_features))
    features = hidden @ mixing + rng.normal(size=(n_galaxies, n_features))
    scales = np.logspace(-2, 3, n_features)
    return (features * scales + 7 * scales).astype(np.float32), hidden[:, 0]


def as_labels(value: np.ndarray, target: Target) -> np.ndarray:
    """Numbers of labels that the value decides."""
    if target.kind == "regression":
        return 3 * value + 10
    edges = [0.8] if target.kind == "binary" else [-0.5, 0.5]
    return np.digitize(value, edges).astype(float)


@pytest.mark.parametrize("target", [BINARY, MULTICLASS])
@pytest.mark.parametrize(("n_galaxies", "n_features"), [(60, 100), (200, 30)])
def test_fit_probe__equals_scikit_learn_on_standardised_features(
    target: Target, n_galaxies: int, n_features: int
) -> None:
    features, value = simulate(n_galaxies, n_features)
    y = as_labels(value, target)
    probe = fit_probe(features, y, target, ProbeConfig(strengths=[0.01]))
    scaler = StandardScaler().fit(features.astype(float))
    reference = LogisticRegression(C=0.01, class_weight="balanced", max_iter=5000, tol=1e-10)
    reference.fit(scaler.transform(features.astype(float)), y)
    expected = reference.predict_proba(scaler.transform(features.astype(float)))
    np.testing.assert_allclose(probe.predict(features), expected, rtol=0, atol=2e-4)


@pytest.mark.parametrize(("n_galaxies", "n_features"), [(40, 100), (200, 30)])
def test_fit_probe__of_values_equals_ridge(n_galaxies: int, n_features: int) -> None:
    features, value = simulate(n_galaxies, n_features)
    y = as_labels(value, REGRESSION)
    probe = fit_probe(features, y, REGRESSION, ProbeConfig(strengths=[0.05]))
    scaled = StandardScaler().fit_transform(features.astype(float))
    expected = Ridge(alpha=20.0).fit(scaled, y).predict(scaled)
    np.testing.assert_allclose(probe.predict(features), expected, rtol=1e-8)
    assert (probe.target.mean, probe.target.std) == (y.mean(), y.std())


@pytest.mark.parametrize("target", [BINARY, MULTICLASS, REGRESSION])
def test_fit_probe__finds_what_features_tell(target: Target) -> None:
    features, value = simulate(400, 40)
    unseen, true_value = simulate(400, 40, seed=1)
    probe = fit_probe(features, as_labels(value, target), target)
    predicted, y = probe.predict(unseen), as_labels(true_value, target)
    if target.kind == "regression":
        assert np.corrcoef(predicted, y)[0, 1] > 0.9
    else:
        assert (predicted.argmax(axis=1) == y).mean() > 0.8
    assert probe.outputs(unseen).shape == (400, target.n_outputs)


def test_fit_probe__chooses_a_stronger_penalty_where_there_is_less_to_learn() -> None:
    features, value = simulate(100, 60)
    y = as_labels(value, BINARY)
    told = fit_probe(features, y, BINARY)
    guessed = fit_probe(features, np.random.default_rng(0).permutation(y), BINARY)
    assert guessed.strength < told.strength
    assert told.scores["loss"].min() < 0.6 * np.log(2)
    assert guessed.scores["loss"].min() > 0.9 * np.log(2)


@pytest.mark.parametrize("target", [BINARY, MULTICLASS, REGRESSION])
def test_fit_probe__is_the_same_twice_and_on_other_scales(target: Target) -> None:
    features, value = simulate(80, 50)
    y = as_labels(value, target)
    first, again = (fit_probe(features, y, target, seed=4) for _ in range(2))
    np.testing.assert_array_equal(first.weight, again.weight)
    scaled = fit_probe(features.astype(float) * 8 - 64, y, target, seed=4)
    assert scaled.strength == first.strength
    np.testing.assert_allclose(
        scaled.predict(features.astype(float) * 8 - 64), first.predict(features), rtol=1e-3
    )


@pytest.mark.parametrize("n_positive", [2, 3])
def test_fit_probe__learns_from_ten_labels(n_positive: int) -> None:
    features, value = simulate(10, 512, seed=3)
    y = (value >= np.sort(value)[-n_positive]).astype(float)
    probe = fit_probe(features, y, BINARY)
    unseen, true_value = simulate(300, 512, seed=1)
    assert roc_auc_score(true_value > 0.8, probe.predict(unseen)[:, 1]) > 0.65


def test_fit_probe__gives_rare_classes_the_same_say_if_balanced() -> None:
    features, value = simulate(300, 20)
    y = (value + np.random.default_rng(5).normal(size=300) > 1.8).astype(float)
    assert y.mean() < 0.2
    balanced = fit_probe(features, y, BINARY).predict(features)[:, 1]
    plain = fit_probe(features, y, BINARY, ProbeConfig(is_balanced=False)).predict(features)[:, 1]
    assert plain.mean() == pytest.approx(y.mean(), abs=0.01)
    assert balanced.mean() > plain.mean() + 0.1


def test_fit_probe__standardises_by_the_background() -> None:
    features, value = simulate(30, 10)
    background, _ = simulate(500, 10, seed=2)
    y = as_labels(value, BINARY)
    config = ProbeConfig(strengths=[0.01])
    given = fit_probe(features, y, BINARY, config, background=background)
    scaler = StandardScaler().fit(background.astype(float))
    scaled = scaler.transform(features.astype(float))
    reference = LogisticRegression(C=0.01, class_weight="balanced", tol=1e-10).fit(scaled, y)
    np.testing.assert_allclose(
        given.predict(features), reference.predict_proba(scaled), rtol=0, atol=2e-4
    )


def test_fit_probe__ignores_features_that_do_not_vary() -> None:
    features, value = simulate(50, 10)
    y = as_labels(value, BINARY)
    constant = np.full((50, 2), 0.1, dtype=np.float32)
    probe = fit_probe(np.hstack([features, constant]), y, BINARY)
    np.testing.assert_array_equal(probe.weight[:, 10:], np.zeros((1, 2)))
    expected = fit_probe(features, y, BINARY).predict(features)
    np.testing.assert_allclose(
        probe.predict(np.hstack([features, constant])), expected, rtol=0, atol=1e-3
    )


def test_fit_probe__of_two_classes_named_several_is_the_binary_one() -> None:
    features, value = simulate(60, 12)
    y = as_labels(value, BINARY)
    several = Target("multiclass", "ring", ["no", "ring"])
    found = fit_probe(features, y, several)
    assert found.weight.shape == (2, 12)
    expected = fit_probe(features, y, BINARY).predict(features)
    np.testing.assert_allclose(found.predict(features), expected, rtol=1e-12)


def test_fit_probe__refuses_what_cannot_be_fitted() -> None:
    features, value = simulate(20, 6)
    y = as_labels(value, BINARY)
    with pytest.raises(LabelError, match="train: 0 of 'ring' among 20 labels"):
        fit_probe(features, np.zeros(20), BINARY)
    with pytest.raises(LabelError, match="1 different values"):
        fit_probe(features, np.ones(20), REGRESSION)
    background = np.vstack([features, np.full((2, 6), np.inf, dtype=np.float32)])
    with pytest.raises(ValueError, match="background must be finite, got 2 of 22 galaxies"):
        fit_probe(features, y, BINARY, background=background)
    features[3, 2] = np.nan
    with pytest.raises(ValueError, match="features must be finite, got 1 of 20 galaxies"):
        fit_probe(features, y, BINARY)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strengths": []}, r"one or more finite numbers > 0, got \[\]"),
        ({"strengths": [0.0]}, r"finite numbers > 0, got \[0\.0\]"),
        ({"n_folds": 1}, "n_folds must be >= 2, got 1"),
    ],
)
def test_probe_config__refuses(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ProbeConfig.from_dict(settings)

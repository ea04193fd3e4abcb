"""Simulated predictions of labels."""

import numpy as np
import pandas as pd

from galaxyloop.finetuning.targets import Target, prediction_table

BINARY = Target("binary", "ring", ["no", "ring"])
MULTICLASS = Target("multiclass", "type", ["a", "b", "c", "d"])
REGRESSION = Target("regression", "bulge")


def simulate(target: Target, n_galaxies: int = 300, seed: int = 0) -> pd.DataFrame:
    """Predictions that are better than guessing; outputs are rounded, so that some tie."""
    rng = np.random.default_rng(seed)
    ids = [f"g{i:04d}" for i in rng.permutation(n_galaxies)]
    if target.kind == "regression":
        y = rng.normal(size=n_galaxies)
        outputs = (y + rng.normal(size=n_galaxies))[:, None].round(1)
    elif target.kind == "binary":
        y = (rng.random(n_galaxies) < 0.2).astype(float)
        outputs = (2 * y - 1.5 + rng.normal(size=n_galaxies))[:, None].round(1)
    else:
        y = rng.integers(0, 4, n_galaxies).astype(float)
        outputs = (rng.normal(size=(n_galaxies, 4)) + 1.5 * np.eye(4)[y.astype(int)]).round(1)
    return prediction_table(ids, y, target.predict(outputs), target)


def values_of(table: pd.DataFrame) -> dict[tuple[str, str], float]:
    return {
        (str(metric), str(name)): float(value)
        for metric, name, value in table[["metric", "class", "value"]].to_numpy()
    }

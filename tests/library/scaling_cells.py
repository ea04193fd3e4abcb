"""Cells of scaling studies with planted laws, for their tests."""

from typing import Any

import numpy as np
import pandas as pd

from galaxyloop.scaling.cells import list_cells
from galaxyloop.scaling.config import LawConfig, ScalingConfig

QUICK = LawConfig(n_draws=200, scatter_power=0.0)
"""For planted noise that is the same at all sizes."""
N_LARGEST = 1600


def planted(
    law: tuple[float, float, float], noise: float, seed: int, n_seeds: int = 3, n_fractions: int = 5
) -> tuple[np.ndarray, np.ndarray]:
    """Sizes that double, and errors of floor + scale n^-exponent with relative noise."""
    floor, scale, exponent = law
    sizes = np.repeat(N_LARGEST / 2.0 ** np.arange(n_fractions)[::-1], n_seeds)
    random = np.random.default_rng(seed)
    errors = floor + scale * sizes**-exponent
    return sizes, errors * (1 + noise * random.standard_normal(len(sizes)))


def planted_table(law: tuple[float, float, float], noise: float, seed: int) -> pd.DataFrame:
    sizes, errors = planted(law, noise, seed)
    return pd.DataFrame({"fraction": sizes / N_LARGEST, "n_galaxies": sizes, "nll": errors})


def planted_rows(
    config: ScalingConfig, exponents: dict[str, float], noise: float = 0.01
) -> list[dict[str, Any] | None]:
    """What cells would give; None for encoders without an exponent."""
    random = np.random.default_rng(0)
    rows: list[dict[str, Any] | None] = []
    for cell in list_cells(config):
        n_galaxies = round(N_LARGEST * cell.fraction)
        shares = 1 + noise * random.standard_normal(2)
        if cell.run.encoder not in exponents:
            rows.append(None)
            continue
        falling = n_galaxies ** -exponents[cell.run.encoder]
        rows.append(
            {
                "n_galaxies": n_galaxies,
                "n_votes": 120 * n_galaxies,
                "n_parameters": 10**6,
                "n_steps": 100,
                "nll": 40 * falling * shares[0],
                "rmse": 0.5 * falling * shares[1],
                "n_test": 300,
                "cpu_seconds": 1.5,
            }
        )
    return rows

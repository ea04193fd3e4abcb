"""Whether galaxies still look like those a model was judged on, and like those of last time."""

from galaxyloop.drift.histograms import DriftReference, count_fractions
from galaxyloop.drift.measuring import (
    DRIFT_COLUMNS,
    HELD_OUT,
    LAST_CATALOGUE,
    DriftConfig,
    describe_drift,
    measure_drift,
)

__all__ = [
    "DRIFT_COLUMNS",
    "LAST_CATALOGUE",
    "HELD_OUT",
    "DriftConfig",
    "DriftReference",
    "count_fractions",
    "describe_drift",
    "measure_drift",
]

"""Writing predictions as Parquet against the peer's way, ``to_csv``."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks.harness import Gate, at_least, time_pairs
from galaxyloop.predictions import table_schema, write_row_groups

N_COLUMNS = 102
"""Three columns for each of 34 answers."""
SPEED_GATE = 25


def random_columns(n_galaxies: int) -> dict[str, np.ndarray]:
    """Ids and random numbers, which compress worst."""
    values = np.random.default_rng(0).random((N_COLUMNS, n_galaxies), dtype=np.float32)
    ids = np.array([f"J{i:012}" for i in range(n_galaxies)], dtype=object)
    return {"id_str": ids, **{f"answer_{i:03}": row for i, row in enumerate(values)}}


def measure_writing(
    folder: Path, n_galaxies: int, n_rounds: int
) -> tuple[dict[str, object], list[Gate]]:
    """Rows a second of both, bytes a row of both."""
    columns = random_columns(n_galaxies)
    frame, schema = pd.DataFrame(columns), table_schema(list(columns))
    csv, parquet = folder / "predictions.csv", folder / "predictions.parquet"
    ratio = time_pairs(
        lambda: frame.to_csv(csv, index=False),
        lambda: write_row_groups(iter([pa.table(columns, schema=schema)]), schema, parquet),
        n_rounds,
    )
    if not pd.read_parquet(parquet).equals(frame.astype({"id_str": "str"})):
        raise RuntimeError(f"{parquet} does not hold what was written")
    figures: dict[str, object] = {
        "writing_over_to_csv": ratio,
        "rows_written_per_s": n_galaxies / ratio.candidate_s,
        "bytes_per_row_parquet": parquet.stat().st_size / n_galaxies,
        "bytes_per_row_csv": csv.stat().st_size / n_galaxies,
    }
    return figures, [at_least("writing_over_to_csv", ratio.median, SPEED_GATE)]

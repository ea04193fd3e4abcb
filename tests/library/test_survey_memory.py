"""Memory does not grow with the survey where a manifest is read and changes are listed."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest

from galaxyloop.storage import write_table
from galaxyloop.surveys.versions import FORMAT, GALAXY_SCHEMA

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="needs Linux's VmHWM"),
]

FEW, MANY = 80_000, 800_000
MAX_GROWTH = 1.4
"""Readers fetch some 100 MB ahead; all rows in memory would more than double it."""
PROJECT = Path(__file__).parents[2]
_PEAK = """
for line in open("/proc/self/status"):
    if line.startswith("VmHWM:"):
        print(int(line.split()[1]) * 1024)
"""
_READ = """
import sys
from galaxyloop.surveys import IngestConfig, read_manifest
from schemas.manifest import judge_manifest
print(read_manifest(sys.argv[1], IngestConfig(), judge_manifest).n_read)
"""
_COMPARE = """
import sys
from pathlib import Path
from galaxyloop.catalogue import write_changes
from galaxyloop.surveys import SurveyVersion
version = SurveyVersion.open(sys.argv[1])
print(write_changes(None, version, Path(sys.argv[1]) / "changes.parquet")["added"])
"""


def make_galaxies(n_galaxies: int) -> pd.DataFrame:
    """Rows of a manifest, in order of id."""
    rng = np.random.default_rng(0)
    names = [f"J{number:010}" for number in range(n_galaxies)]
    return pd.DataFrame(
        {
            "id_str": names,
            "image_uri": [f"s3://survey/images/{name[-3:]}/{name}.fits" for name in names],
            "ra_deg": rng.uniform(0, 360, n_galaxies),
            "dec_deg": rng.uniform(-90, 90, n_galaxies),
        }
    )


def write_manifest(folder: Path, n_galaxies: int) -> Path:
    path = folder / f"{n_galaxies}.csv"
    pa_csv.write_csv(pa.Table.from_pandas(make_galaxies(n_galaxies), preserve_index=False), path)
    return path


def write_version(folder: Path, n_galaxies: int) -> Path:
    """What ``version_survey`` would write of a survey, less the chunks' own files."""
    directory = folder / str(n_galaxies)
    directory.mkdir()
    galaxies = make_galaxies(n_galaxies)
    digits = np.random.default_rng(1).bytes(32 * n_galaxies).hex()
    galaxies["image_digest"] = [
        f"sha256:{digits[start : start + 64]}" for start in range(0, len(digits), 64)
    ]
    galaxies = galaxies.assign(survey="s", group_id=galaxies["id_str"], healpix_29=0, chunk=0)
    write_table(galaxies, GALAXY_SCHEMA, directory / "galaxies.parquet")
    counts = dict.fromkeys(("n_rejected", "n_added", "n_changed", "n_removed"), 0)
    told = {"format": FORMAT, "name": "s", "digest": "d", "chunks": ["c"], "previous": None}
    told |= {"n_read": n_galaxies, "n_galaxies": n_galaxies, **counts}
    (directory / "survey.json").write_text(json.dumps(told))
    return directory


def peak_of(script: str, place: Path) -> tuple[int, int]:
    """What a process of its own prints, and the most memory that it held [bytes]."""
    command = [sys.executable, "-c", script + _PEAK, str(place)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    first, second = map(int, done.stdout.split())
    return first, second


@pytest.mark.parametrize(
    ("script", "write"),
    [
        pytest.param(_READ, write_manifest, id="read_manifest"),
        pytest.param(_COMPARE, write_version, id="write_changes"),
    ],
)
def test_memory__does_not_grow_with_the_survey(
    script: str, write: Callable[[Path, int], Path], tmp_path: Path
) -> None:
    peaks = []
    for n_galaxies in (FEW, MANY):
        n_told, peak_bytes = peak_of(script, write(tmp_path, n_galaxies))
        assert n_told == n_galaxies
        peaks.append(peak_bytes)
    assert peaks[1] <= MAX_GROWTH * peaks[0], peaks

"""A catalogue whose process was killed in the middle of a shard."""

import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.workflows.place import PROJECT
from tests.workflows.survey_night import Night, counting_encoder, open_night

pytestmark = pytest.mark.slow

N_GALAXIES, KILL_AFTER = 60, 30
BUILD = """
import sys
from pathlib import Path
from tests.workflows.survey_night import counting_encoder, open_night
with open_night(Path(sys.argv[1])) as night, counting_encoder(int(sys.argv[2])):
    night.build(posterior=night.posterior(batch_size=4))
"""


def start_survey(root: Path) -> Night:
    root.mkdir()
    with open_night(root) as night:
        night.register(1)
        night.add(range(N_GALAXIES))
    return night


def build_until_killed(night: Night) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BUILD, str(night.root), str(KILL_AFTER)]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=500)


def row_groups(path: Path) -> bytes:
    """A parquet file up to its footer, which has the date."""
    content = path.read_bytes()
    return content[: -8 - int.from_bytes(content[-8:-4], "little")]


def test_build_catalogue__killed_in_a_shard_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    killed, whole = start_survey(tmp_path / "killed"), start_survey(tmp_path / "whole")
    done = build_until_killed(killed)
    assert done.returncode == -9, done.stdout + done.stderr
    # Nothing is published but the survey version, from which the next run grows.
    (survey,) = (killed.root / "catalogue").glob("survey-*/survey.json")
    written = {path.name for path in (killed.root / "catalogue").iterdir()}
    assert written == {"catalogue.json", survey.parent.name}
    # One shard of twenty was finished, and the second one begun.
    assert len(killed.kept("prediction")) == 1
    assert not list((killed.root / "store" / "prediction").rglob("*.partial"))
    for night, n_left in ((killed, 40), (whole, 60)):
        with open_night(night.root) as opened, counting_encoder() as batches:
            opened.positions.update(night.positions)
            opened.build(posterior=opened.posterior(batch_size=4))
        assert sum(batches) == n_left
    # A prediction is named by the digest of its bytes.
    assert killed.kept("prediction") == whole.kept("prediction")
    assert len(whole.kept("prediction")) == 3
    files = [night.root / "catalogue" / "catalogue.parquet" for night in (killed, whole)]
    first, second = map(row_groups, files)
    assert first == second
    assert len(first) > 1000
    assert [pq.read_metadata(path).num_rows for path in files] == [N_GALAXIES] * 2

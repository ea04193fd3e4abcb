"""Every task, run by its container's command line on a small cluster."""

from dataclasses import replace
from pathlib import Path

import pytest

from galaxyloop.catalogue import read_catalogue_provenance
from tests.flyte.protocol.walks import SMALL, WALKS, Walks
from tests.workflows.place import SMALL as LOCAL
from tests.workflows.place import Place
from tests.workflows.test_catalogue_killed import row_groups

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("walk", WALKS)
def test_workflows__run_as_containers(walks: Walks, walk: str) -> None:
    assert walks.once(walk)


def test_tasks__have_each_been_run_by_their_command(walks: Walks) -> None:
    for walk in WALKS:
        walks.once(walk)
    assert set(walks.cluster.registration.tasks) - walks.cluster.ran == set()


def test_campaign_round__gives_the_catalogue_of_a_local_run(walks: Walks, tmp_path: Path) -> None:
    walks.once("campaign_round")
    place = Place(walks.survey.parent)
    done = place.play(**{name: SMALL[name] for name in LOCAL})
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("catalogue.parquet", "acquisition.parquet"):
        ours = walks.cluster.store.fetch(walks.at(f"round/{name}"), tmp_path / name)
        assert row_groups(ours) == row_groups(place.root / "round" / name)
    local, ours = (
        read_catalogue_provenance(folder / "catalogue.parquet")
        for folder in (place.root / "round", tmp_path)
    )
    assert replace(local, date="") == replace(ours, date="")

"""Every task, run by its container's command line on a small cluster."""

from dataclasses import replace
from pathlib import Path

import pytest
from flyteidl.core.literals_pb2 import LiteralMap
from pyarrow import Schema
from pyarrow import parquet as pq

from galaxyloop.catalogue import read_catalogue_provenance
from tests.flyte.protocol.cluster import TaskFailedError
from tests.flyte.protocol.walks import SMALL, WALKS, Walks
from tests.workflows.place import SMALL as LOCAL
from tests.workflows.place import Place
from tests.workflows.test_catalogue_killed import row_groups

pytestmark = pytest.mark.slow


def undated_footer(table: Path) -> Schema:
    schema = pq.read_schema(table)
    kept = {key: told for key, told in schema.metadata.items() if not key.endswith(b"date")}
    return schema.with_metadata(kept)


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
    tables = [folder / "catalogue.parquet" for folder in (place.root / "round", tmp_path)]
    local, ours = map(read_catalogue_provenance, tables)
    assert replace(local, date="-") == replace(ours, date="-")
    footers = [undated_footer(table) for table in tables]
    assert footers[0].equals(footers[1], check_metadata=True)


def test_report__leaves_a_deck_in_the_cluster(walks: Walks) -> None:
    walks.once("campaign_round")
    ended = walks.cluster.last("tasks.report.write_report")
    deck = walks.cluster.store.get(f"{ended.output_prefix}/deck.html")
    page = walks.cluster.store.get(walks.at("round/report.html"))
    assert deck is not None
    assert page is not None
    title = page.split(b"<title>")[1].split(b"</title>")[0]
    assert title in deck


def test_report__leaves_a_deck_if_it_fails(walks: Walks) -> None:
    walks.once("campaign_round")
    folder = walks.cluster.last("tasks.report.write_report").output_prefix.rsplit("/", 1)[0]
    content = walks.cluster.store.get(f"{folder}/inputs.pb")
    assert content is not None
    inputs = dict(LiteralMap.FromString(content).literals)
    inputs["catalogue"].scalar.blob.uri = walks.at("nowhere")
    with pytest.raises(TaskFailedError, match="nowhere"):
        walks.cluster.execute_task("tasks.report.write_report", **inputs)
    ended = walks.cluster.last("tasks.report.write_report")
    assert walks.cluster.store.get(f"{ended.output_prefix}/deck.html") is not None

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from galaxyloop.cutout_services import CutoutServiceConfig
from galaxyloop.cutouts import CutoutConfig
from galaxyloop.errors import ConfigError
from galaxyloop.surveys import IngestConfig
from tasks.fetch import fetch_cutouts
from tasks.opening import open_survey
from tests.library.cutout_server import CutoutServer, fails, running_server
from workflows.fetch import fetch_survey


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[CutoutServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    with running_server() as server:
        yield server


@pytest.fixture
def galaxies(tmp_path: Path) -> str:
    table = pd.DataFrame({"id_str": ["a", "b", "c"], "ra": [1.0, 2.0, 3.0], "dec": 0.5})
    table.to_csv(tmp_path / "galaxies.csv", index=False)
    return str(tmp_path / "galaxies.csv")


def quick(server: CutoutServer) -> CutoutServiceConfig:
    return CutoutServiceConfig(
        url_template=server.url_template, size_px=64, requests_per_s=200.0, max_reject_rate=0.5
    )


def test_fetch_survey__packs_what_the_service_gives_and_asks_once(
    server: CutoutServer, galaxies: str, tmp_path: Path
) -> None:
    server.behave("b", fails(404))
    for _ in range(2):
        survey, shards = fetch_survey(
            galaxies=galaxies,
            service=quick(server),
            output=str(tmp_path / "images"),
            ingest=IngestConfig(survey="fetched"),
            cutouts=CutoutConfig(image_size_px=32),
        )
    assert len(shards) == 1
    assert sorted(open_survey(survey).alive) == ["a", "c"]
    assert sorted(server.asked) == ["a", "b", "c"]


def test_fetch_cutouts__refuses_a_pods_own_disk(
    server: CutoutServer, galaxies: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FLYTE_INTERNAL_EXECUTION_ID", "f1")
    with pytest.raises(ConfigError, match="output must be an address such as s3://"):
        fetch_cutouts.task_function(
            galaxies=galaxies, service=quick(server), output=str(tmp_path / "images")
        )
    assert server.asked == []

"""A scaling study as a person runs it: what it leaves, and what of it is not done twice."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from galaxyloop.errors import ConfigError, UnknownNameError
from galaxyloop.scaling.config import ScalingConfig
from galaxyloop.synthetic import SimulationConfig, write_survey
from galaxyloop.vote_tables.settings import VoteSource
from tasks.scaling import check_scaling, publish_scaling
from tests.workflows.place import SMALL, Place

FINISHED = "cells finished"
STUDY: dict[str, Any] = {
    "encoders": ["resnet_mini"],
    "fractions": [0.3, 0.5, 0.7, 1.0],
    "n_seeds": 2,
    "run": {"training": {"epochs": 1, "batch_size": 32}},
    "posterior": {"n_samples": 4},
    "laws": {"n_draws": 50},
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    root = tmp_path_factory.mktemp("scaling")
    config = SimulationConfig(n_galaxies=150, image_size_px=48, seed=5)
    write_survey(config, root / "survey", progress=False)
    return Place(root)


def run_study(place: Place, **changes: object) -> pd.DataFrame:
    """The table of cells that a run leaves."""
    inputs = {
        "manifest": str(place.root / "survey" / "manifest.csv"),
        "votes": [{"uri": str(place.root / "survey" / "votes.csv"), "campaign": "gz2"}],
        "output": str(place.root / "out"),
        "study": STUDY | changes,
        **{name: SMALL[name] for name in ("cutouts", "ingest", "vote_checks")},
    }
    file = place.root / "inputs.yaml"
    file.write_text(yaml.safe_dump(inputs))
    done = place.run("scaling", "scaling_study", "--inputs-file", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    assert FINISHED in done.stdout
    cells = pd.read_csv(place.root / "out" / "scaling_cells.csv")
    return cells.astype({"error": object}).fillna({"error": ""})


@pytest.mark.slow
def test_scaling_study__computes_only_the_cells_that_are_new(place: Place) -> None:
    first = run_study(place)
    assert len(first) == 8
    assert set(first["error"]) == {""}
    for name in ("scaling.csv", "scaling_laws.csv", "scaling.png", "scaling.json"):
        assert (place.root / "out" / name).is_file()
    # Seconds are measured: a cell that is computed again has others.
    more_seeds = run_study(place, n_seeds=3)
    assert len(more_seeds) == 12
    pd.testing.assert_frame_equal(more_seeds[more_seeds["seed"] < 2].reset_index(drop=True), first)
    # One more encoder; and one that takes no images of this size, which fails cell by cell.
    wider = run_study(place, encoders=["resnet_mini", "lcnet_050", "vit_tiny_patch16_224"])
    by_encoder = {name: rows.reset_index(drop=True) for name, rows in wider.groupby("encoder")}
    pd.testing.assert_frame_equal(by_encoder["resnet_mini"], first, check_dtype=False)
    assert len(by_encoder["lcnet_050"]) == len(by_encoder["vit_tiny_patch16_224"]) == 8
    assert set(by_encoder["lcnet_050"]["error"]) == {""}
    assert by_encoder["vit_tiny_patch16_224"]["error"].str.contains("224").all()
    laws = pd.read_csv(place.root / "out" / "scaling_laws.csv")
    assert laws["note"].str.contains("all cells failed").sum() == 2


def check(tmp_path: Path, campaign: str = "gz2", **settings: object) -> str:
    manifest: str = check_scaling(
        manifest="manifest.csv",
        votes=[VoteSource("votes.csv", campaign)],
        study=ScalingConfig.from_dict(settings),
        output=str(tmp_path / "out"),
    )
    return manifest


def test_check_scaling__refuses_unknown_names_before_images_are_read(tmp_path: Path) -> None:
    assert check(tmp_path) == "manifest.csv"
    with pytest.raises(UnknownNameError, match="no encoder 'resnet_mni'.*resnet_mini"):
        check(tmp_path, encoders=["resnet_mini", "resnet_mni"])
    with pytest.raises(UnknownNameError, match="no campaign 'gz3'"):
        check(tmp_path, campaign="gz3")


def test_check_scaling__refuses_a_study_without_votes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="votes must name at least one table"):
        check_scaling(
            manifest="manifest.csv",
            votes=[],
            study=ScalingConfig(),
            output=str(tmp_path / "out"),
        )


def test_publish_scaling__of_failed_cells_alone_leaves_the_table_and_fails(tmp_path: Path) -> None:
    study = ScalingConfig.from_dict(STUDY)
    with pytest.raises(Exception, match=r"none of 8 cells finished \(no memory\).*says why"):
        publish_scaling(
            output=str(tmp_path), rows=[None] * 8, reasons=["no memory"] * 8, study=study
        )
    cells = pd.read_csv(tmp_path / "scaling_cells.csv")
    assert (cells["error"] == "no memory").all()

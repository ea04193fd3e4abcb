"""Whole rounds as a person runs them: ``pyflyte run`` in a process of its own."""

import shutil
import sqlite3
import subprocess

import pandas as pd
import pytest

from galaxyloop.catalogue import read_catalogue_provenance
from galaxyloop.checkpoint import load_checkpoint_config
from galaxyloop.synthetic import SimulationConfig, write_survey
from tests.workflows.place import Place


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    root = tmp_path_factory.mktemp("round")
    config = SimulationConfig(n_galaxies=150, image_size_px=48, seed=5)
    write_survey(config, root / "survey", progress=False)
    return Place(root)


@pytest.fixture(scope="module")
def played(place: Place) -> subprocess.CompletedProcess[str]:
    done = place.play(n_folds=2)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.slow
def test_campaign_round__leaves_what_it_says(
    place: Place, played: subprocess.CompletedProcess[str]
) -> None:
    for name in ("catalogue.parquet", "acquisition.parquet", "report.html", "metrics.csv"):
        assert f"{place.root}/round/{name}" in played.stdout
        assert (place.root / "round" / name).is_file()
    catalogue = pd.read_parquet(place.root / "round" / "catalogue.parquet")
    manifest = pd.read_csv(place.root / "survey" / "manifest.csv")
    broken = pd.read_csv(place.root / "survey" / "broken.csv")
    n_broken_images = (broken["table"] == "manifest.csv").sum()
    assert len(catalogue) == len(manifest) - n_broken_images
    asked_next = pd.read_parquet(place.root / "round" / "acquisition.parquet")
    votes = pd.read_csv(place.root / "survey" / "votes.csv", dtype={"id_str": str})
    assert asked_next["rank"].tolist() == list(range(1, len(asked_next) + 1))
    accepted = set(votes["id_str"]) - set(
        broken.loc[broken["table"] == "votes.csv", "id_str"].astype(str)
    )
    assert not accepted & set(asked_next["id_str"])


@pytest.mark.slow
def test_campaign_round__registers_a_champion_with_its_lineage(
    place: Place, played: subprocess.CompletedProcess[str]
) -> None:
    provenance = read_catalogue_provenance(place.root / "round" / "catalogue.parquet")
    with sqlite3.connect(place.root / "mlflow.db") as database:
        aliases = database.execute("select name, alias, version from registered_model_aliases")
        names = ("small", "small-array")
        assert sorted(aliases.fetchall()) == [(name, "champion", 1) for name in names]
        tags = dict(database.execute("select key, value from model_version_tags").fetchall())
        n_inputs = database.execute("select count(*) from inputs").fetchone()[0]
    assert tags["galaxyloop.checkpoint_digest"] == provenance.checkpoint_digest
    assert tags["galaxyloop.survey_digest"] == provenance.survey_digest
    assert (provenance.model_name, provenance.model_version) == ("small", "1")
    config = load_checkpoint_config(
        place.root / "store" / "checkpoint" / provenance.checkpoint_digest
    )
    assert any(value != 1 for value in config["temperatures"].values())
    metrics = pd.read_csv(place.root / "round" / "metrics.csv")
    assert {"coverage_90", "coverage_90_uncalibrated"} <= set(metrics["metric"])
    assert n_inputs >= 2
    assert "promotion   small version 1 is the champion: there was no champion" in played.stdout


@pytest.mark.slow
def test_campaign_round__reruns_nothing_after_temporary_files_are_gone(
    place: Place, played: subprocess.CompletedProcess[str]
) -> None:
    before = place.executed()
    stamps = {path: path.stat().st_mtime_ns for path in (place.root / "store").glob("*/*/*")}
    shutil.rmtree(place.root / "tmp")
    done = place.play(n_folds=2)
    assert done.returncode == 0, done.stdout + done.stderr
    assert place.executed() == before
    kept = ("cutout-shard", "checkpoint", "evaluation", "prediction")
    for path, stamp in stamps.items():
        if path.parent.parent.name in kept:
            assert path.stat().st_mtime_ns == stamp
    assert "Epoch" not in done.stdout + done.stderr


@pytest.mark.slow
def test_campaign_round__retrains_after_a_vote_is_edited_in_place(
    place: Place, played: subprocess.CompletedProcess[str]
) -> None:
    before = place.executed()
    path = place.root / "survey" / "votes.csv"
    original = path.read_text()
    votes = pd.read_csv(path, dtype=str)
    votes.loc[0, "smooth-or-featured-gz2_smooth"] = "39"
    votes.to_csv(path, index=False)
    done = place.play(output=str(place.root / "edited"), promotion={"min_groups": 1000})
    path.write_text(original)
    assert done.returncode == 0, done.stdout + done.stderr
    # The other model is registered; the champion stays for want of galaxies to beat it on.
    assert "promotion   small version 2 does not become champion: " in done.stdout
    assert "min_groups is 1000" in " ".join(done.stdout.split())
    after = place.executed()
    assert after["cutout-shard"] == before["cutout-shard"]
    # Trained, and then calibrated.
    assert len(after["checkpoint"]) == len(before["checkpoint"]) + 2


@pytest.mark.slow
def test_build_catalogue__uses_the_champion(
    place: Place, played: subprocess.CompletedProcess[str]
) -> None:
    done = place.run(
        "catalogue",
        "build_catalogue",
        "--manifest",
        str(place.root / "survey" / "manifest.csv"),
        "--model",
        "small@champion",
        "--output",
        str(place.root / "again"),
        "--ingest",
        '{"chunk_size": 60, "max_image_reject_rate": 0.2}',
        "--cutouts",
        '{"image_size_px": 32}',
        "--posterior",
        '{"n_samples": 4}',
        "--information",
        '{"n_monte_carlo": 20, "max_outcomes": 100}',
    )
    assert done.returncode == 0, done.stdout + done.stderr
    first = pd.read_parquet(place.root / "round" / "catalogue.parquet")
    again = pd.read_parquet(place.root / "again" / "catalogue.parquet")
    pd.testing.assert_frame_equal(first, again)


REFUSALS = {
    "an unknown campaign": (
        {"votes": [{"uri": "votes.csv", "campaign": "gz9"}]},
        "there is no campaign 'gz9'; choose one of: ",
    ),
    "an unknown setting": (
        {"run": {"training": {"epoch": 7}}},
        "has no setting 'epoch'; did you mean 'epochs'?",
    ),
    "a missing manifest": ({"manifest": "/nowhere/manifest.csv"}, "/nowhere/manifest.csv"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_campaign_round__refuses_in_one_screen(place: Place, name: str) -> None:
    changes, message = REFUSALS[name]
    done = place.play(**changes)
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 1
    assert message in said
    assert "Traceback" not in said
    assert len((done.stdout + done.stderr).splitlines()) < 24


def test_campaign_round__says_how_many_ids_match(place: Place) -> None:
    votes = pd.read_csv(place.root / "survey" / "votes.csv", dtype=str)
    votes["id_str"] = [f"J{number:04}" for number in range(len(votes))]
    votes.to_csv(place.root / "foreign.csv", index=False)
    done = place.play(votes=[{"uri": str(place.root / "foreign.csv"), "campaign": "gz2"}])
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 1
    assert "0 of the" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("workflow", "name"),
    [
        ("ingest", "ingest_survey"),
        ("pretrain", "pretrain_supervised"),
        ("catalogue", "build_catalogue"),
        ("campaign", "campaign_round"),
    ],
)
def test_workflows__have_help(place: Place, workflow: str, name: str) -> None:
    done = place.run(workflow, name, "--help")
    assert done.returncode == 0
    assert "--manifest" in done.stdout
    assert "id_str and image_uri" in " ".join(done.stdout.split())

"""The loop with Zooniverse: select, show to volunteers, read their votes, select again."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from galaxyloop.acquisition import AcquisitionConfig, BatchConfig, RetirementConfig
from galaxyloop.campaigns import find_campaign
from galaxyloop.checkpoint import CheckpointRecords, checkpoint_digest, save_checkpoint
from galaxyloop.cutouts import CutoutConfig
from galaxyloop.encoders import build_encoder
from galaxyloop.heads import VoteHead
from galaxyloop.models import GalaxyModel, Normalisation
from galaxyloop.random_streams import seeded
from galaxyloop.representations.config import RepresentationConfig
from galaxyloop.splits import SplitConfig
from galaxyloop.surveys import IngestConfig
from galaxyloop.training.config import SupervisedRun
from galaxyloop.vote_tables.settings import VoteSource
from galaxyloop.zooniverse.config import SubjectSetConfig
from galaxyloop.zooniverse.subject_set import check_subject_set
from schemas.artefacts import CheckpointDirectory
from tasks.registry import log_pretraining, promote_by_hand, register_model
from tests.library.panoptes_exports import classify_subjects
from tests.workflows.survey_night import (
    ELSEWHERE,
    LOG,
    SIDE_PX,
    Night,
    counting_encoder,
    open_night,
)
from workflows.active_learning import select_next_galaxies
from workflows.campaign import campaign_round

pytestmark = pytest.mark.slow

TREE = find_campaign("gz_decals_dr5").tree
N_GALAXIES = 60
N_ASKED = 30
MAX_VOTES = 12
LINES = [f"T{number} = {name}" for number, name in enumerate(TREE.question_names)]


def register(root: Path) -> None:
    """A model that nobody trained, as the champion."""
    with seeded(0):
        encoder = build_encoder("resnet_mini")
        head = VoteHead(encoder.n_features, len(TREE.columns), dropout_rate=0.2)
    model = GalaxyModel(encoder, head, TREE, SIDE_PX, Normalisation())
    records = CheckpointRecords({"training": {"epochs": 1}}, {}, pd.DataFrame([LOG]))
    digest = checkpoint_digest(save_checkpoint(model, root / "model", records))
    (root / "model").rename(root / digest)
    checkpoint = CheckpointDirectory(uri=str(root / digest), digest=digest)
    run_id = log_pretraining(checkpoint=checkpoint, survey=ELSEWHERE, shards=[], purpose="test")
    version = register_model(run_id=run_id, name="asking", alias="challenger")
    promote_by_hand(model=f"asking/{version.version}", reason="nobody trained it")


def select(night: Night, output: str, **changes: object) -> str:
    inputs = {
        "manifest": str(night.root / "manifest.csv"),
        "model": "asking@champion",
        "output": str(night.root / output),
        "ingest": IngestConfig(chunk_size=40, n_readers=1),
        "cutouts": CutoutConfig(image_size_px=SIDE_PX),
        "posterior": night.posterior(),
        "information": night.information(),
        "representation": RepresentationConfig(n_threads=1),
        "batch": BatchConfig(n_galaxies=N_ASKED, candidates_per_galaxy=1.5),
        "retirement": RetirementConfig(max_votes=MAX_VOTES, max_interval_width=0.0),
        "subject_set": SubjectSetConfig(image_size_px=64),
        **changes,
    }
    told: str = select_next_galaxies(**inputs)
    return told


def asked(night: Night, output: str) -> pd.DataFrame:
    return pd.read_parquet(night.root / output / "ask_next.parquet").set_index("id_str")


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    with open_night(tmp_path_factory.mktemp("asking")) as night:
        night.add(range(N_GALAXIES))
        register(night.root)
        (night.root / "told").write_text(select(night, "first"))
        yield night


@pytest.fixture(scope="module")
def votes(night: Night) -> VoteSource:
    """Every third galaxy of the first batch is seen by all volunteers, the others by five."""
    seen = [MAX_VOTES if number % 3 == 0 else 5 for number in range(N_ASKED)]
    manifest = night.root / "first" / "subject_set" / "manifest.csv"
    export = classify_subjects(manifest, TREE, seen, night.root / "classifications.csv")
    return VoteSource.from_dict(
        {
            "uri": export,
            "campaign": "gz_decals_dr5",
            "subject_key": "#id_str",
            "classifications": {"answers": LINES},
        }
    )


def test_select_next_galaxies__leaves_what_it_says(night: Night) -> None:
    told = (night.root / "told").read_text()
    folder = night.root / "first"
    for name in ("ask_next.csv", "ask_next.html", "subject_set"):
        assert f"{folder}/{name}" in told
        assert (folder / name).exists()
    assert f"{N_ASKED} of {N_GALAXIES} galaxies" in told
    assert check_subject_set(folder / "subject_set") > 0
    manifest = pd.read_csv(folder / "subject_set" / "manifest.csv", dtype=str)
    assert manifest["#id_str"].tolist() == asked(night, "first").index.tolist()
    assert set(manifest["#image"]) == {"original"}
    assert set(manifest["#retirement_limit"]) == {str(MAX_VOTES)}
    record = json.loads((folder / "selection.json").read_text())
    assert record["model"] == "asking/1"
    assert {"survey_digest", "checkpoint_digest", "code_version", "date"} <= set(record)


def test_select_next_galaxies__goes_on_from_the_volunteers_classifications(
    night: Night, votes: VoteSource
) -> None:
    first = asked(night, "first")
    with counting_encoder() as batches:
        told = select(night, "second", votes=[votes])
    # Neither predicted nor represented again.
    assert batches == []
    assert f"10 of {N_ASKED} galaxies with votes" in told
    assert "votes        220 of 220 classifications used, 0 set aside, 0 rejected" in told
    record = json.loads((night.root / "second" / "selection.json").read_text())
    assert [one["n_used"] for one in record["classifications"]] == [220]
    retired = first.index[::3]
    ranked = pd.read_parquet(night.root / "second" / "ranked.parquet")
    assert set(ranked["id_str"]) == {f"g{i:05}" for i in range(N_GALAXIES)} - set(retired)
    second = asked(night, "second")
    begun = second.index.intersection(first.index)
    assert len(begun) > 0
    assert set(second.loc[begun, "n_votes"]) == {5}
    assert set(second.loc[begun, "votes_wanted"]) == {MAX_VOTES - 5}
    assert set(second.drop(index=begun)["n_votes"]) == {0}
    manifest = pd.read_csv(night.root / "second" / "subject_set" / "manifest.csv", dtype=str)
    limits = manifest.set_index("#id_str").loc[begun, "#retirement_limit"]
    assert set(limits) == {str(MAX_VOTES - 5)}


def test_select_next_galaxies__leaves_out_what_volunteers_have_been_sent(night: Night) -> None:
    sent = night.root / "first" / "subject_set" / "manifest.csv"
    told = select(night, "third", asked_before=[str(sent)])
    assert f"waiting      {N_ASKED} galaxies of earlier batches" in told
    assert not set(asked(night, "third").index) & set(asked(night, "first").index)


def test_select_next_galaxies__refuses_votes_that_are_of_no_galaxy(
    night: Night, votes: VoteSource
) -> None:
    with pytest.raises(Exception, match='0 of the 30 ids with votes .*subject_key: "#id_str"'):
        select(night, "stray", votes=[replace(votes, subject_key="")])
    assert not (night.root / "stray").exists()


def test_select_next_galaxies__refuses_to_replace_an_earlier_batch(night: Night) -> None:
    sent = night.root / "first" / "ask_next.csv"
    # Not even the manifest is looked for.
    with pytest.raises(Exception, match="give each batch an output folder of its own"):
        select(night, "first", manifest="nowhere.csv", asked_before=[str(sent)])
    assert sent.exists()


def test_select_next_galaxies__ranks_by_entropy(night: Night) -> None:
    told = select(night, "unsure", acquisition=AcquisitionConfig("entropy"))
    assert f"{N_ASKED} of {N_GALAXIES} galaxies" in told
    ranked = [pd.read_parquet(night.root / one / "ranked.parquet") for one in ("first", "unsure")]
    assert ranked[0]["id_str"].tolist() != ranked[1]["id_str"].tolist()


def test_campaign_round__starts_from_the_volunteers_classifications(
    night: Night, votes: VoteSource
) -> None:
    told = campaign_round(
        manifest=str(night.root / "manifest.csv"),
        votes=[votes],
        model_name="asked",
        output=str(night.root / "round"),
        ingest=IngestConfig(chunk_size=40, n_readers=1),
        cutouts=CutoutConfig(image_size_px=SIDE_PX),
        split=SplitConfig(test_share=0.3, validation_share=0.2),
        run=SupervisedRun.from_dict({"training": {"epochs": 1, "batch_size": 8, "n_threads": 1}}),
        posterior=night.posterior(),
        information=night.information(),
    )
    assert "model       asked version 1" in told
    page = (night.root / "round" / "report.html").read_text()
    assert "classifications" in page
    ranked = pd.read_parquet(night.root / "round" / "acquisition.parquet")
    assert not set(ranked["id_str"]) & set(asked(night, "first").index)


@pytest.mark.parametrize(
    ("output", "image_size_px", "acquisition", "message"),
    [
        ("refused", 40, "random", "trained on cutouts of 32 px"),
        ("refused", SIDE_PX, "disagreement", "information.expected_votes=1"),
        ("images", SIDE_PX, "random", "holds .*png.* and no selection.json"),
    ],
)
def test_select_next_galaxies__refuses_before_an_image_is_read(
    night: Night, output: str, image_size_px: int, acquisition: str, message: str
) -> None:
    # Not even the manifest is looked for.
    settings = {
        "cutouts": CutoutConfig(image_size_px=image_size_px),
        "acquisition": AcquisitionConfig(acquisition),
    }
    with pytest.raises(Exception, match=message):
        select(night, output, manifest="nowhere.csv", **settings)
    assert not (night.root / "refused").exists()

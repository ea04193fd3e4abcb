"""What ``benchmarks.active_learning`` is played on: simulated galaxies, and EFIGI's with bars."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from galaxyloop import cutouts, surveys, vote_tables
from galaxyloop.active_learning.data import (
    LoopData,
    label_tree,
    open_loop,
    save_loop,
    votes_of_labels,
)
from galaxyloop.checkpoint import load_encoder
from galaxyloop.cutouts import CutoutConfig
from galaxyloop.decision_tree import DecisionTree, Question
from galaxyloop.finetuning.labels import read_labels
from galaxyloop.finetuning.start import encode_galaxies
from galaxyloop.finetuning.targets import Target
from galaxyloop.label_efficiency.arms import standard_arms as standard_encoders
from galaxyloop.label_efficiency.config import LabelEfficiencyConfig
from galaxyloop.label_efficiency.data import CutoutArray, StudyData, prepare_study
from galaxyloop.label_efficiency.pretraining import pretrain_arm, with_threads
from galaxyloop.shards import CutoutCollection, CutoutShard
from galaxyloop.splits import SplitConfig, split_galaxies
from galaxyloop.surveys import IngestConfig
from galaxyloop.synthetic import SimulationConfig, simulate_galaxies
from galaxyloop.training.config import SupervisedRun, TrainingConfig
from galaxyloop.training.pretraining import pretrain_supervised
from galaxyloop.vote_tables import VotesConfig, VoteSource

LEAST_BAR = 0.5
"""Bar lengths from here on are labelled as bars; of the others only those of 0 are labelled."""


@dataclass(frozen=True)
class Sizes:
    """How much is simulated."""

    n_pretrained: int = 2000
    n_epochs: int = 20
    n_pool: int = 3000
    n_test: int = 2000


QUICK = Sizes(n_pretrained=1000, n_epochs=12, n_pool=1000, n_test=1000)


@dataclass(frozen=True)
class Seeds:
    """Of two simulated surveys."""

    pretrained: int
    """Of the galaxies whose votes the encoder is trained on."""
    played: int
    """Of the pool and the test."""


SETTLED_ON = Seeds(21, 22)
"""Surveys that heads, batches and rounds were chosen on."""
JUDGED_ON = Seeds(31, 32)
"""Surveys that nothing was chosen on."""


@dataclass(frozen=True)
class RealEncoder:
    """What an encoder of real galaxies was trained on."""

    label_set: str
    """Galaxy Zoo 2's votes on other galaxies ("gz2"), or those and EFIGI's attributes of the pool
    ("gz2_efigi")."""
    withheld: tuple[str, ...] = ()
    """Words; it was trained on no question with one of them."""


def simulated_loop(sizes: Sizes, seeds: Seeds, place: Path) -> LoopData:
    """Features and votes of simulated galaxies, made once."""
    if not place.is_dir():
        others = simulate(sizes.n_pretrained, seeds.pretrained)
        votes = pd.DataFrame(others.votes, columns=list(others.tree.columns))
        votes.insert(0, "id_str", others.galaxies["id_str"])
        training = TrainingConfig(epochs=sizes.n_epochs, batch_size=64, n_threads=1)
        with tempfile.TemporaryDirectory() as scratch:
            checkpoint = pretrain_supervised(
                cutouts_of(others),
                votes,
                split_galaxies(others.galaxies, SplitConfig(test_share=0.01)),
                others.tree,
                SupervisedRun(training=training),
                Path(scratch) / "checkpoint",
            )
            encoder = load_encoder(checkpoint)
            seen = simulate(sizes.n_pool + sizes.n_test, seeds.played)
            features = encode_galaxies(encoder, cutouts_of(seen), np.arange(len(seen.images)))
        data = LoopData(
            seen.galaxies["id_str"].to_numpy(dtype=object),
            features,
            seen.votes.astype(np.float32),
            np.arange(len(features)) >= sizes.n_pool,
            seen.tree,
        )
        save_loop(data, place)
    return open_loop(place)


def simulate(n_galaxies: int, seed: int) -> Any:  # noqa: ANN401 - a SimulatedSurvey
    """Galaxies that all have votes, each imaged once."""
    sizes = {"n_galaxies": n_galaxies, "seed": seed, "image_size_px": 64, "n_broken_images": 0}
    return simulate_galaxies(
        SimulationConfig.from_dict({**sizes, "labelled_share": 1.0, "repeated_share": 0.0})
    )


def cutouts_of(survey: Any) -> CutoutArray:  # noqa: ANN401 - a SimulatedSurvey
    """Its images."""
    return CutoutArray(survey.images, survey.galaxies["id_str"].to_numpy(dtype=object))


def one_question(data: LoopData, name: str) -> LoopData:
    """The galaxies with votes on a question, as if that was all that is asked."""
    question = data.tree.question(name)
    votes = data.votes[:, data.tree.slices[name]]
    is_asked = votes.sum(axis=1) > 0
    tree = DecisionTree(name, (Question(question.name, question.answers),))
    rows = (array[is_asked] for array in (data.id_strs, data.features, votes, data.is_test))
    return LoopData(*rows, tree)


def labelled_mergers(data: LoopData, sizes: Sizes, seeds: Seeds) -> LoopData:
    """The same galaxies, of which an expert says without fail who merges; one in 20 does."""
    tree = label_tree(Target("binary", "merger", ["other", "merger"]))
    truth = simulate(sizes.n_pool + sizes.n_test, seeds.played)
    kind = pd.Series(truth.parameters["kind"].to_numpy(), index=truth.galaxies["id_str"])
    is_merger = (kind[data.id_strs] == "merger").to_numpy(dtype=np.float64)
    return replace(data, votes=votes_of_labels(is_merger, tree), tree=tree)


def real_loop(folder: Path, place: Path, encoder: RealEncoder) -> LoopData:
    """Features of EFIGI's galaxies and whether they have a bar, made once.

    Args:
        folder: of the real galaxies.
        place: where features are kept.
        encoder: what it learns from; the galaxies that test are never among it.
    """
    if not place.is_dir():
        name = f"supervised_{encoder.label_set}"
        arm = with_threads(next(arm for arm in standard_encoders() if arm.name == name), 1)
        config = LabelEfficiencyConfig(arms=[arm], withheld=list(encoder.withheld))
        with tempfile.TemporaryDirectory() as scratch:
            study = real_study(folder, Path(scratch), config)
            checkpoint = Path(scratch) / "checkpoint"
            pretrain_arm(arm, study, checkpoint)
            positions = study.labels["position"].to_numpy(np.int64)
            features = encode_galaxies(load_encoder(checkpoint), study.cutouts, positions)
        tree = label_tree(study.target)
        data = LoopData(
            study.labels["id_str"].to_numpy(dtype=object),
            features,
            votes_of_labels(study.labels["y"].to_numpy(np.float64), tree),
            (study.labels["split"] == "test").to_numpy(dtype=bool),
            tree,
        )
        save_loop(data, place)
    return open_loop(place)


def real_study(folder: Path, scratch: Path, config: LabelEfficiencyConfig) -> StudyData:
    """Cutouts of EFIGI's galaxies and of those with votes, all framed alike; votes and labels.

    The votes are those of the first arm's label set.
    """
    from examples.real_galaxies import EFIGI, efigi, framed, labelled
    from examples.real_rings import pseudo_votes, study_inputs
    from schemas.votes import judge_votes

    galaxies = pd.DataFrame([*framed(list(labelled(folder)), scratch / "images"), *efigi(folder)])
    galaxies.to_csv(scratch / "manifest.csv", index=False)
    attributes = pd.read_csv(folder / EFIGI / "attributes.csv")
    bar_labels(attributes).to_csv(scratch / "labels.csv", index=False)
    pseudo_votes(attributes).to_csv(scratch / "efigi_pseudo_votes.csv", index=False)
    inputs = study_inputs(folder, scratch)
    label_set = config.arms[0].label_set
    tables = inputs["votes"] + (inputs["further_votes"] if label_set == "gz2_efigi" else [])
    ingest = IngestConfig.from_dict(inputs["ingest"])
    manifest = surveys.read_manifest(inputs["manifest"], ingest)
    version = surveys.version_survey(manifest.galaxies, ingest, None, scratch / "survey")
    shards = []
    for digest in version.chunks:
        settings = CutoutConfig.from_dict(inputs["cutouts"])
        cutouts.cut_out_chunk(version.read_chunk(digest), settings, scratch / "shards" / digest)
        shards.append(CutoutShard.open(scratch / "shards" / digest))
    sources = [VoteSource.from_dict(table) for table in tables]
    vote_tables.read_vote_table(sources, VotesConfig(), scratch / "votes", judge_votes)
    votes = vote_tables.load_votes(scratch / "votes"), vote_tables.load_vote_tree(scratch / "votes")
    labels = read_labels(inputs["labels"])
    collection = CutoutCollection(shards, version.alive)
    return prepare_study(collection, version.galaxies, labels, {label_set: votes}, config)


def bar_labels(attributes: pd.DataFrame) -> pd.DataFrame:
    """``id_str`` and ``label`` of the galaxies that clearly have a bar, or clearly none."""
    length = attributes["Bar_Length"].to_numpy()
    names = np.where(length >= LEAST_BAR, "bar", "no-bar")
    table = pd.DataFrame({"id_str": attributes["PGCname"], "label": names})
    return pd.DataFrame(table[(length >= LEAST_BAR) | (length == 0)].reset_index(drop=True))

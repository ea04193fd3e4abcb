"""How many labels does it save to ask about the right galaxies?

Rounds of asking are played against votes or labels that are there already, several times from
other starts: by mutual information, by it with batches of unlike galaxies, by two baselines, and
at random. In each round a small head on frozen features is trained anew.

Simulated, the loop asks volunteers' votes on "is there anything odd?", the question about what is
rare: rings, mergers, dust lanes, clumps. Kinds of galaxies are as common as the simulation has
them. Whole-tree rounds are played as well, and told without a gate. The encoder was trained on the
votes on other simulated galaxies.

``--data FOLDER`` takes the folder of ``examples.real_galaxies`` and asks an expert whether EFIGI's
galaxies have a bar. The encoder was trained on the Galaxy Zoo 2 votes on other galaxies, once
without and once with the question about bars; it has seen no expert's label. Features are kept in
``--work``; finished cells are lines of a table, and a run goes on from what is there.
"""

import argparse
import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.harness import RESULTS, at_least, finish
from galaxyloop import cutouts, surveys, vote_tables
from galaxyloop.acquisition import InformationConfig
from galaxyloop.active_learning.config import ActiveLearningConfig, HeadConfig, standard_arms
from galaxyloop.active_learning.data import (
    LoopData,
    label_tree,
    open_loop,
    save_loop,
    votes_of_labels,
)
from galaxyloop.active_learning.report import write_report
from galaxyloop.active_learning.savings import tabulate_savings
from galaxyloop.active_learning.study import run_study
from galaxyloop.checkpoint import load_encoder
from galaxyloop.cutouts import CutoutConfig
from galaxyloop.decision_tree import DecisionTree, Question
from galaxyloop.finetuning.labels import read_labels
from galaxyloop.finetuning.start import encode_galaxies
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

WORK = Path(".galaxyloop") / "active_learning"
ODD = "something-odd-gz2"
BEST = "mutual_information_diverse"
"""What a round does by default: the arm that is judged."""
ENCODERS = {"bars_unseen": ["bar"], "bars": []}
"""Of EFIGI's galaxies: words of the Galaxy Zoo 2 questions that the encoder was not trained on. The
last is judged; its encoder knows which of other galaxies volunteers call barred."""
_ABOVE = 1e-9
LEAST_BAR = 0.5
"""Bar lengths from here on are labelled as bars; of the others only those of 0 are labelled."""
LEAST_SAVING = 0.35


@dataclass(frozen=True)
class Sizes:
    """How much is simulated."""

    n_pretrained: int = 2000
    n_epochs: int = 20
    n_pool: int = 3000
    n_test: int = 2000


QUICK = Sizes(n_pretrained=400, n_epochs=6, n_pool=700, n_test=400)


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a small simulated loop")
    parser.add_argument("--data", type=Path, help="folder of real galaxies")
    parser.add_argument("--work", type=Path, default=WORK, help=f"features (default {WORK})")
    parser.add_argument("--tree", action="store_true", help="play the whole tree too")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/<name>.json")
    options = parser.parse_args()
    if options.quick and (options.data or options.save):
        parser.error("--quick is simulated and is not kept: leave out --data and --save")
    torch.set_num_threads(1)
    return options


def simulated_loop(sizes: Sizes, place: Path) -> LoopData:
    """Features and votes of simulated galaxies, made once."""
    if not place.is_dir():
        others = simulate(sizes.n_pretrained, seed=21)
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
            seen = simulate(sizes.n_pool + sizes.n_test, seed=22)
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


def real_loop(folder: Path, place: Path, withheld: list[str]) -> LoopData:
    """Features of EFIGI's galaxies and whether they have a bar, made once.

    Args:
        folder: of the real galaxies.
        place: where features are kept.
        withheld: words; the encoder was trained on no question with one of them.
    """
    if not place.is_dir():
        (encoder,) = (arm for arm in standard_encoders() if arm.name == "supervised_gz2")
        arm = with_threads(replace(encoder, label_set="gz2"), 1)
        config = LabelEfficiencyConfig(arms=[arm], withheld=withheld)
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
    """Cutouts of EFIGI's galaxies and of those with votes, all framed alike; votes and labels."""
    from examples.real_galaxies import EFIGI, efigi, framed, labelled
    from examples.real_rings import study_inputs
    from schemas.votes import judge_votes

    galaxies = pd.DataFrame([*framed(list(labelled(folder)), scratch / "images"), *efigi(folder)])
    galaxies.to_csv(scratch / "manifest.csv", index=False)
    attributes = pd.read_csv(folder / EFIGI / "attributes.csv")
    bar_labels(attributes).to_csv(scratch / "labels.csv", index=False)
    inputs = study_inputs(folder, scratch)
    ingest = IngestConfig.from_dict(inputs["ingest"])
    manifest = surveys.read_manifest(inputs["manifest"], ingest)
    version = surveys.version_survey(manifest.galaxies, ingest, None, scratch / "survey")
    shards = []
    for digest in version.chunks:
        settings = CutoutConfig.from_dict(inputs["cutouts"])
        cutouts.cut_out_chunk(version.read_chunk(digest), settings, scratch / "shards" / digest)
        shards.append(CutoutShard.open(scratch / "shards" / digest))
    sources = [VoteSource.from_dict(source) for source in inputs["votes"]]
    vote_tables.read_vote_table(sources, VotesConfig(), scratch / "votes", judge_votes)
    votes = vote_tables.load_votes(scratch / "votes"), vote_tables.load_vote_tree(scratch / "votes")
    labels = read_labels(inputs["labels"])
    collection = CutoutCollection(shards, version.alive)
    study = prepare_study(collection, version.galaxies, labels, {"gz2": votes}, config)
    # The shards go with the scratch folder; the study is used before.
    return study


def bar_labels(attributes: pd.DataFrame) -> pd.DataFrame:
    """``id_str`` and ``label`` of the galaxies that clearly have a bar, or clearly none."""
    length = attributes["Bar_Length"].to_numpy()
    names = np.where(length >= LEAST_BAR, "bar", "no-bar")
    table = pd.DataFrame({"id_str": attributes["PGCname"], "label": names})
    return pd.DataFrame(table[(length >= LEAST_BAR) | (length == 0)].reset_index(drop=True))


def play(
    config: ActiveLearningConfig, data: LoopData, directory: Path
) -> tuple[pd.DataFrame, dict[str, object]]:
    """Play what is missing and write tables and figure; the savings, and figures to keep."""
    directory.mkdir(parents=True, exist_ok=True)
    results = run_study(config, data, directory / "played.csv")
    told, _ = write_report(results, config, directory)
    print(told)
    savings = tabulate_savings(results, config)
    own = savings[savings["measure"] == config.measure].set_index("arm")
    figures: dict[str, object] = {
        "n_pool": int((~data.is_test).sum()),
        "n_test": int(data.is_test.sum()),
        "n_labels": config.n_labels,
        "n_seeds": config.n_seeds,
        "measure": config.measure,
        "cpu_minutes_of_cells": float(results["cpu_seconds"].sum() / 60),
        "savings": json.loads(own.drop(columns="measure").round(4).to_json(orient="index")),
    }
    return own, figures


def odd_config(quick: bool) -> ActiveLearningConfig:
    """Rounds that ask whether anything is odd; 40 volunteers see a galaxy."""
    if quick:
        arms = [arm for arm in standard_arms() if arm.name in ("random", BEST)]
        head = HeadConfig(n_steps=100)
        return ActiveLearningConfig(arms, 40, 20, n_rounds=6, n_seeds=5, head=head)
    return ActiveLearningConfig(n_start=50, n_asked=25, n_rounds=10, n_seeds=6)


def tree_config() -> ActiveLearningConfig:
    """Rounds that ask the whole tree."""
    arms = [arm for arm in standard_arms() if arm.name in ("random", "mutual_information", BEST)]
    information = InformationConfig(expected_votes=10, n_monte_carlo=120)
    return ActiveLearningConfig(arms, 100, 100, n_rounds=6, information=information)


def bars_config() -> ActiveLearningConfig:
    """Rounds that ask an expert, whose answer is one vote."""
    return ActiveLearningConfig(
        n_start=50,
        n_asked=25,
        n_rounds=12,
        n_seeds=8,
        measure="ranking_error",
        information=InformationConfig(expected_votes=1),
    )


def judge_bars(options: argparse.Namespace) -> None:
    """Play both encoders' rounds on real galaxies, and judge those of the one that saw bars."""
    told: dict[str, object] = {}
    for name, withheld in ENCODERS.items():
        data = real_loop(options.data, options.work / name, withheld)
        own, told[name] = play(bars_config(), data, RESULTS / "active_learning" / name)
    gates = [
        at_least(f"area_low of {BEST}, {name}", own["area_low"][BEST], _ABOVE),
        at_least(f"saving of {BEST}, {name}", own["saving"][BEST], _ABOVE),
    ]
    finish("active_learning_bars", told, gates, options)


def main() -> None:
    """Play what is missing, report, judge."""
    options = parse()
    if options.data:
        judge_bars(options)
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch) if options.quick else options.work
        results = Path(scratch) / "results" if options.quick else RESULTS / "active_learning"
        data = simulated_loop(QUICK if options.quick else Sizes(), work / "simulated")
        odd, figures = play(
            odd_config(options.quick), one_question(data, ODD), results / "simulated_odd"
        )
        told: dict[str, object] = {ODD: figures}
        gates = [at_least(f"area_low of {BEST}, {ODD}", odd["area_low"][BEST], 0.0)]
        if not options.quick:
            gates.append(at_least(f"saving of {BEST}, {ODD}", odd["saving"][BEST], LEAST_SAVING))
        if options.tree:
            _, told["whole tree"] = play(tree_config(), data, results / "simulated_tree")
        finish("active_learning", told, gates, options)


if __name__ == "__main__":
    main()

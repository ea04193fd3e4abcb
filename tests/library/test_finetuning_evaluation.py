"""Label tables and evaluations: what is told is of galaxies that a model never saw."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from galaxyloop.config import ConfigError
from galaxyloop.errors import LabelError
from galaxyloop.finetuning.evaluation import (
    FinetuneStudy,
    LabelEvaluation,
    evaluate_finetuned,
    finetune_round,
)
from galaxyloop.finetuning.label_table import LabelTable, write_label_table
from galaxyloop.finetuning.labels import Labels
from galaxyloop.finetuning.metrics import LabelMetricsConfig, evaluate_labels
from galaxyloop.finetuning.page import describe_finetuning, say_results, write_results
from galaxyloop.finetuning.rounds import RoundsConfig
from galaxyloop.finetuning.targets import Target
from galaxyloop.shards import CutoutCollection, CutoutShard, CutoutWriter
from tests.library.finetuning_data import BRIGHT, SHADES, VALUE, make_data, make_run

N_GALAXIES = 48
METRICS = LabelMetricsConfig(n_bootstrap=20)


def make_cutouts(directory: Path, first_digest: str = "d0") -> CutoutCollection:
    """The toy galaxies as a shard; each two in a row are of one group."""
    data = make_data(n_galaxies=N_GALAXIES)
    images = data.cutouts.read(np.arange(N_GALAXIES))
    ids = [str(name) for name in data.cutouts.id_strs]
    digests = [first_digest, *(f"d{i}" for i in range(1, N_GALAXIES))]
    groups = [f"g{i // 2}" for i in range(N_GALAXIES)]
    directory.mkdir()
    with CutoutWriter(directory, 16, {"image_size_px": 16}) as writer:
        for row in zip(ids, digests, groups, images, strict=True):
            writer.append(*row)
    columns = {"id_str": ids, "group_id": groups, "image_digest": digests}
    index = pd.DataFrame(columns).assign(ra_deg=0.0, dec_deg=0.0, survey="s", image_uri="u")
    rejects = pd.DataFrame(columns=["row", "id_str", "image_digest", "column", "value", "reason"])
    writer.finish(index, rejects)
    return CutoutCollection([CutoutShard.open(directory)])


def make_labels(target: Target = BRIGHT) -> Labels:
    y = make_data(target, N_GALAXIES).labels
    label = y["y"] if target.kind == "regression" else y["y"].map(lambda n: target.classes[int(n)])
    table = y.assign(label=label).sort_values("id_str", ignore_index=True)
    return Labels(table[["id_str", "label", "y"]], target, {"n_read": N_GALAXIES}, "toy labels")


def groups_of(cutouts: CutoutCollection) -> pd.Series:
    """As when the cutouts were made."""
    return cutouts.index.set_index("id_str")["group_id"]


def make_table(directory: Path, cutouts: CutoutCollection, target: Target = BRIGHT) -> LabelTable:
    groups = groups_of(cutouts)
    write_label_table(make_labels(target), cutouts, groups, 0.0, RoundsConfig(n_folds=3), directory)
    return LabelTable.open(directory)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> FinetuneStudy:
    root = tmp_path_factory.mktemp("study")
    cutouts = make_cutouts(root / "shard")
    run = make_run(training={"epochs": 1})
    return FinetuneStudy(cutouts, make_table(root / "labels", cutouts), run, None)


@pytest.fixture(scope="module")
def evaluated(study: FinetuneStudy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("evaluated")
    checkpoints = [finetune_round(study, i, root / str(i)) for i in range(study.labels.n_rounds)]
    evaluate_finetuned(study, checkpoints, METRICS, root / "evaluation")
    return root


def test_write_label_table__its_digest_is_of_labels_images_and_rounds(tmp_path: Path) -> None:
    cutouts = make_cutouts(tmp_path / "shard")
    other_image = make_cutouts(tmp_path / "other", first_digest="changed")
    labels, config = make_labels(), RoundsConfig(n_folds=3)
    turned = replace(labels, table=labels.table.assign(y=1 - labels.table["y"]))
    told = replace(labels, told="read from elsewhere")
    digests = [
        write_label_table(some, images, groups_of(images), 0.0, rounds, tmp_path / str(number))
        for number, (some, images, rounds) in enumerate(
            [
                (labels, cutouts, config),
                (told, cutouts, config),
                (turned, cutouts, config),
                (labels, other_image, config),
                (labels, cutouts, replace(config, seed=1)),
            ]
        )
    ]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 4


def test_write_label_table__refuses_labels_without_images(tmp_path: Path) -> None:
    labels, cutouts = make_labels(), make_cutouts(tmp_path / "shard")
    foreign = replace(labels, table=labels.table.assign(id_str="x" + labels.table["id_str"]))
    with pytest.raises(LabelError, match="48 of 48 labelled galaxies have no image"):
        write_label_table(foreign, cutouts, groups_of(cutouts), 0.1, RoundsConfig(), tmp_path / "a")


def test_write_label_table__takes_groups_from_the_survey_as_it_is_now(tmp_path: Path) -> None:
    cutouts = make_cutouts(tmp_path / "shard")
    before = groups_of(cutouts)
    # The first and the last galaxy turn out to be one, of which the shard knows nothing.
    after = before.copy()
    after[[before.index[0], before.index[-1]]] = "same"
    config = RoundsConfig(n_folds=3)
    digests = [
        write_label_table(make_labels(), cutouts, groups, 0.0, config, tmp_path / name)
        for name, groups in (("before", before), ("after", after))
    ]
    assert digests[0] != digests[1]
    table = LabelTable.open(tmp_path / "after")
    found = table.table.set_index("id_str")["group_id"]
    pd.testing.assert_series_equal(found, after.loc[found.index])
    rounds = table.rounds.merge(table.table, on="id_str")
    assert (rounds.groupby(["round", "group_id"])["split"].nunique() == 1).all()


def test_write_label_table__says_how_many_have_no_image(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cutouts, labels = make_cutouts(tmp_path / "shard"), make_labels()
    lost = labels.table["id_str"].iloc[0]
    renamed = labels.table.assign(id_str=labels.table["id_str"].replace(lost, "lost"))
    config = RoundsConfig(n_folds=3)
    groups = groups_of(cutouts)
    with caplog.at_level("INFO", "galaxyloop"):
        told_by = replace(labels, table=renamed)
        write_label_table(told_by, cutouts, groups, 0.1, config, tmp_path / "a")
    told = LabelTable.open(tmp_path / "a").told
    assert "1 of 48 have no image and are left out, which leaves faint (" in told
    assert told in caplog.text


def test_evaluate_finetuned__every_model_predicts_every_galaxy_once(
    study: FinetuneStudy, evaluated: Path
) -> None:
    found = LabelEvaluation.open(evaluated / "evaluation")
    for model in ("finetuned", "probe", "baseline"):
        own = found.predictions[found.predictions["model"] == model]
        assert sorted(own["id_str"]) == study.labels.table["id_str"].tolist()
        truth = study.labels.table.set_index("id_str").loc[own["id_str"], "label"]
        assert own["label"].tolist() == truth.tolist()
    rounds = study.labels.rounds
    tested = rounds[rounds["split"] == "test"].set_index("id_str")["round"]
    assert (
        found.finetuned.set_index("id_str")["round"] == tested.reindex(found.finetuned.id_str)
    ).all()


def test_evaluate_finetuned__metrics_are_of_these_predictions(evaluated: Path) -> None:
    found = LabelEvaluation.open(evaluated / "evaluation")
    own = found.metrics[found.metrics["model"] == "finetuned"].reset_index(drop=True)
    expected = evaluate_labels(found.finetuned, found.target, METRICS)
    pd.testing.assert_frame_equal(own[list(expected.columns)], expected)
    by_model = found.metrics.set_index(["model", "metric"])["value"]
    # Brightness shows in any features, and shares tell nothing.
    assert by_model["probe", "auc"] > 0.6
    assert by_model["baseline", "auc"] == 0.5


def test_evaluate_finetuned__mistakes_come_with_their_images(
    study: FinetuneStudy, evaluated: Path
) -> None:
    found = LabelEvaluation.open(evaluated / "evaluation")
    assert len(found.images) == len(found.mistakes)
    assert (found.mistakes["label"] != found.mistakes["prediction"]).all()
    ids = study.cutouts.id_strs.tolist()
    if len(found.mistakes):
        place = ids.index(found.mistakes["id_str"].iloc[0])
        assert np.array_equal(found.images[0], study.cutouts.read(np.array([place]))[0])


def test_evaluate_finetuned__refuses_a_round_without_checkpoint(
    study: FinetuneStudy, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"a checkpoint for each of 4 rounds, got 1"):
        evaluate_finetuned(study, [tmp_path], METRICS, tmp_path / "a")


def test_write_results__leaves_page_tables_and_figures(
    study: FinetuneStudy, evaluated: Path, tmp_path: Path
) -> None:
    found = LabelEvaluation.open(evaluated / "evaluation")
    facts = {"registered as": "toy version 1", **describe_finetuning(evaluated / "3")}
    paths = write_results(found, study.labels, facts, tmp_path / "out")
    names = {path.name for path in paths}
    assert {"metrics.csv", "predictions.csv", "mistakes.csv", "report.html"} < names
    assert {"curves.png", "confusion.png"} < names
    page = (tmp_path / "out" / "report.html").read_text()
    for said in ("toy labels", "in 3 parts", "toy version 1", "48 galaxies", "average_precision"):
        assert said in page
    assert "http" not in page.replace("http-equiv", "")
    told = say_results(found, [str(path) for path in paths], "toy/1")
    assert "auc: finetuned 0." in told
    assert f"report      {tmp_path}/out/report.html" in told


@pytest.mark.parametrize("target", [SHADES, VALUE])
def test_evaluate_finetuned__serves_other_targets(target: Target, tmp_path: Path) -> None:
    cutouts = make_cutouts(tmp_path / "shard")
    run = make_run(trainable="head", head_start="probe", training={"epochs": 0})
    study = FinetuneStudy(cutouts, make_table(tmp_path / "labels", cutouts, target), run, None)
    checkpoints = [finetune_round(study, i, tmp_path / str(i)) for i in range(4)]
    evaluate_finetuned(study, checkpoints, METRICS, tmp_path / "evaluation")
    found = LabelEvaluation.open(tmp_path / "evaluation")
    first = found.metrics["metric"].iloc[0]
    by_model = found.metrics.set_index(["model", "metric", "class"])["value"]
    # Without a step the model is the probe.
    assert by_model["finetuned", first, ""] == pytest.approx(by_model["probe", first, ""], abs=0.05)
    facts = describe_finetuning(checkpoints[-1])
    names = {path.name for path in write_results(found, study.labels, facts, tmp_path / "out")}
    assert ("values.png" if target is VALUE else "confusion.png") in names

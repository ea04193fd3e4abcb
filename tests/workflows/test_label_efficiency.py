"""The study of few labels as a person runs it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from galaxyloop.errors import UnknownNameError
from galaxyloop.finetuning.labels import LabelConfig
from galaxyloop.label_efficiency.config import ArmConfig, LabelEfficiencyConfig
from galaxyloop.label_efficiency.simulated import simulated_config
from galaxyloop.synthetic import SimulationConfig, write_survey
from tasks.label_efficiency import check_study
from tests.workflows.place import Place

ARMS = ["direct", "random", "supervised_gz2", "byol"]


def write_inputs(root: Path, n_draws: int) -> str:
    study = simulated_config(1, ARMS, [20], [2], n_draws)
    inputs = {
        "manifest": str(root / "survey" / "manifest.csv"),
        "labels": str(root / "labels.csv"),
        "votes": [{"uri": str(root / "survey" / "votes.csv"), "campaign": "gz2"}],
        "output": str(root / "out"),
        "study": study.to_dict(),
        "cutouts": {"image_size_px": 32},
        "ingest": {"chunk_size": 60},
    }
    file = root / "inputs.yaml"
    file.write_text(yaml.safe_dump(inputs))
    return str(file)


@pytest.mark.slow
def test_label_efficiency__leaves_table_and_figure_and_repeats_no_pretraining(
    tmp_path: Path,
) -> None:
    config = SimulationConfig(n_galaxies=150, image_size_px=48, n_broken_images=0, n_broken_votes=0)
    write_survey(config, tmp_path / "survey", progress=False)
    truth = pd.read_parquet(tmp_path / "survey" / "truth.parquet")
    names = np.where(truth["arm_contrast"] > 0.3, "arms", "no-arms")
    labels = pd.DataFrame({"id_str": truth["id_str"], "label": names})
    labels.to_csv(tmp_path / "labels.csv", index=False)
    place = Place(tmp_path)
    made = []
    for n_draws in (1, 2):
        file = write_inputs(tmp_path, n_draws)
        done = place.run("label_efficiency", "label_efficiency", "--inputs-file", file)
        assert done.returncode == 0, done.stdout + done.stderr
        summary = pd.read_csv(tmp_path / "out" / "label_efficiency.csv")
        assert set(summary["arm"]) == set(ARMS)
        assert set(summary["n_draws"]) == {n_draws}
        assert (tmp_path / "out" / "label_efficiency.png").is_file()
        made.append({path.name for path in (tmp_path / "store" / "checkpoint").iterdir()})
    assert len(made[0]) == 3
    assert made[0] == made[1]


def test_label_efficiency__refuses_a_missing_label_set_before_images_are_read(
    tmp_path: Path,
) -> None:
    (tmp_path / "labels.csv").write_text("id_str,label\n")
    arms = [ArmConfig("joint", "votes", label_set="gz2_efigi")]
    with pytest.raises(UnknownNameError, match="no label set of arm 'joint' .*gz2_efigi.* gz2"):
        check_study(
            manifest="manifest.csv",
            labels=str(tmp_path / "labels.csv"),
            label_checks=LabelConfig(),
            further_votes=[],
            study=LabelEfficiencyConfig(arms=arms),
            output=str(tmp_path / "out"),
        )

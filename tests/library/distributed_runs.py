"""Small trainings that give the same whether one process or several share each batch.

``torchrun tests/library/distributed_runs.py FOLDER`` runs all of them on several processes; with
``normalised`` behind it the one that needs accelerators.
"""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn

TRAINING = {
    "epochs": 2,
    "batch_size": 22,
    "learning_rate": 5e-4,
    "save_every_steps": 2,
    "warmup_steps": 1,
    "precision": "float32",
    "device": "cpu",
    "n_threads": 1,
}
N_GALAXIES = 96
ENCODER = "test_convnext"
"""Without batch normalisation, which would know its own process's galaxies only."""
LABELLED_SHARE = 0.3
SMALL = {"hidden_size": 24, "projection_size": 12}


def votes(directory: Path, **hooks: object) -> None:
    from galaxyloop.training import SupervisedRun, pretrain_supervised
    from tests.library.training_data import TREE, toy_survey

    cutouts, table, splits = toy_survey(N_GALAXIES, image_size_px=32)
    told = {"encoder": ENCODER, "objective": {"dropout_rate": 0.0}, "training": TRAINING}
    run = SupervisedRun.from_dict(told)
    pretrain_supervised(cutouts, unevenly(table), splits, TREE, run, directory, **hooks)


def unevenly(table: pd.DataFrame) -> pd.DataFrame:
    """Votes of which two processes never hold equally many answered questions."""
    colours = [name for name in table.columns if name.startswith("colour")]
    table.loc[np.arange(len(table)) % 5 > 0, colours] = 0
    return table


def labels(directory: Path) -> None:
    from galaxyloop.finetuning.config import FinetuneRun
    from galaxyloop.finetuning.targets import Target
    from galaxyloop.finetuning.training import FinetuneData, finetune
    from tests.library.training_data import toy_survey

    cutouts, table, splits = toy_survey(N_GALAXIES, image_size_px=32)
    is_bright = table["bright-toy_yes"] > 13
    known = pd.DataFrame({"id_str": table["id_str"], "y": is_bright.astype(float)})
    told = {"encoder": ENCODER, "dropout_rate": 0.0, "class_weights": "balanced"}
    run = FinetuneRun.from_dict({**told, "training": TRAINING})
    target = Target("binary", "bright", ["no", "yes"])
    finetune(FinetuneData(cutouts, known, splits, target), run, directory)


def byol(directory: Path) -> None:
    from galaxyloop.objectives import ByolConfig, ByolObjective
    from galaxyloop.training import ByolRun
    from galaxyloop.training.data import select_images
    from galaxyloop.training.starting import new_encoder
    from tests.library.training_data import toy_survey

    cutouts, _, splits = toy_survey(N_GALAXIES, image_size_px=32)
    run = ByolRun.from_dict({"encoder": ENCODER, "training": TRAINING, "objective": SMALL})
    train, validation = (select_images(cutouts, splits, name) for name in ("train", "validation"))
    objective = ByolObjective(new_encoder(train, run), ByolConfig(**SMALL))
    go(objective, (train, validation), run, directory)


def hybrid(directory: Path) -> None:
    from galaxyloop.objectives import HybridConfig, HybridObjective
    from galaxyloop.training import HybridRun
    from galaxyloop.training.starting import new_model
    from tests.library.training_data import TREE

    train, validation = partly_labelled()
    config = HybridConfig(**SMALL, dropout_rate=0.0, labelled_share=LABELLED_SHARE)
    run = HybridRun.from_dict({"encoder": ENCODER, "training": TRAINING})
    objective = HybridObjective(new_model(train.galaxies, TREE, run, 0.0), config)
    go(objective, (train, validation), run, directory)


def partly_labelled() -> tuple:
    """Galaxies to train on, of which a third has votes, and to validate on."""
    from galaxyloop.training.data import select_split, select_with_votes
    from galaxyloop.training.mixing import MixedCutouts
    from tests.library.training_data import TREE, toy_survey

    cutouts, table, splits = toy_survey(N_GALAXIES, image_size_px=32)
    table = unevenly(table)[[i % 4 == 0 or i % 3 == 0 for i in range(N_GALAXIES)]]
    known = select_with_votes(cutouts, table, splits, TREE, "train")
    validation = select_split(cutouts, table, splits, TREE, "validation")
    return MixedCutouts(known, LABELLED_SHARE), validation


def go(objective: object, galaxies: tuple, run: object, directory: Path) -> None:
    """Train with layer normalisation in projector and predictor."""
    from galaxyloop.processes import is_first
    from galaxyloop.training.running import prepared, run_objective
    from galaxyloop.training.state import RunState

    for network in (objective.projector, objective.predictor, objective.target_projector):
        network[1] = nn.LayerNorm(SMALL["hidden_size"]).requires_grad_(
            network[0].weight.requires_grad
        )
    state = RunState("")
    with prepared(run.training):
        run_objective(objective, galaxies, run, state, {"shows_epochs": False})
        if is_first():
            directory.mkdir()
            pd.DataFrame(state.log).to_csv(directory / "log.csv")


def normalised(directory: Path) -> None:
    """With batch normalisation, of which accelerators share the statistics."""
    from galaxyloop.training import ByolRun, pretrain_byol
    from tests.library.training_data import toy_survey

    cutouts, _, splits = toy_survey(N_GALAXIES)
    run = ByolRun.from_dict({"training": {**TRAINING, "device": "cuda"}, "objective": SMALL})
    pretrain_byol(cutouts, splits, run, directory)


RUNS: dict[str, Callable[..., None]] = {
    "votes": votes,
    "labels": labels,
    "byol": byol,
    "hybrid": hybrid,
}


def cut_short_and_resumed(folder: Path) -> int:
    """The votes' training with its states, and again from its third; how often it was saved."""
    saved = []

    def keep_third(path: Path) -> None:
        saved.append(path)
        if len(saved) == 3:
            shutil.copytree(path.parent, folder / "kept")

    votes(folder / "whole", state_directory=folder / "states", on_saved=keep_third)
    votes(folder / "resumed", state_directory=folder / "kept")
    return len(saved)


CHECKED = ["galaxyloop.processes", "galaxyloop.training", "galaxyloop.objectives"]
"""What does more in several processes than in one; shapes are checked there too."""


def main() -> None:
    from jaxtyping import install_import_hook

    folder = Path(sys.argv[1])
    if sys.argv[2:] == ["normalised"]:
        normalised(folder / "normalised")
        return
    with install_import_hook(CHECKED, "beartype.beartype"):
        from galaxyloop.processes import joined, rank
        from galaxyloop.training.mixing import MixedCutouts

    seen: list[list[int]] = []
    read = MixedCutouts.read

    def watched(self: MixedCutouts, rows: np.ndarray) -> object:
        seen.append(rows.tolist())
        return read(self, rows)

    MixedCutouts.read = watched
    with joined("cpu"):
        for name, run in RUNS.items():
            run(folder / name)
        n_saved = cut_short_and_resumed(folder)
        told = {"n_saved": n_saved, "mixed_rows": seen}
        (folder / f"{rank()}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main()

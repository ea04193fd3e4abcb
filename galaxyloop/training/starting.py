"""The model a training starts from."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from galaxyloop.checkpoint import check_size, load_encoder
from galaxyloop.config import require
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.encoders import N_BANDS, build_encoder
from galaxyloop.heads import VoteHead
from galaxyloop.models import GalaxyEncoder, GalaxyModel, Normalisation
from galaxyloop.random_streams import seeded
from galaxyloop.training.config import PretrainingRun
from galaxyloop.training.data import LabelledCutouts, measure_normalisation
from galaxyloop.training.prior import fit_prior, start_at

_WEIGHTS_STREAM = 0
_HEAD_STREAM = 2


def new_encoder(
    galaxies: LabelledCutouts, run: PretrainingRun, start: Path | None = None
) -> GalaxyEncoder:
    """An encoder with first weights drawn from the seed and the data's normalisation.

    Args:
        galaxies: what it will be trained on.
        run: names the encoder.
        start: a checkpoint whose encoder, with its normalisation, is taken instead.

    Raises:
        ConfigError: the encoder does not take images of this size, or is not the checkpoint's.
        CheckpointError: the checkpoint is damaged, or was trained on another size.
    """
    image_size_px = galaxies.read(np.zeros(1, dtype=np.int64)).images.shape[1]
    if start is not None:
        model = load_encoder(start)
        require(
            model.encoder.name == run.encoder,
            f"{start} holds the encoder '{model.encoder.name}', the run names '{run.encoder}'; "
            f"set encoder to '{model.encoder.name}'",
        )
        check_size(model, image_size_px)
        return model.train()
    with seeded(run.training.seed, _WEIGHTS_STREAM):
        encoder = build_encoder(run.encoder, run.pretrained)
    normalisation = measure_normalisation(galaxies)
    if run.pretrained:
        published: Any = encoder.network.pretrained_cfg
        normalisation = Normalisation(list(published["mean"]), list(published["std"]))
    model = GalaxyEncoder(encoder, image_size_px, normalisation)
    check_takes_images(model)
    return model


def new_model(
    galaxies: LabelledCutouts,
    tree: DecisionTree,
    run: PretrainingRun,
    dropout_rate: float,
    start: Path | None = None,
) -> GalaxyModel:
    """The same with a vote head that starts at the votes' prior.

    Args:
        galaxies: what it will be trained on; those without votes have zeros.
        tree: the questions.
        run: names the encoder.
        dropout_rate: of the head.
        start: as for ``new_encoder``.

    Raises:
        ConfigError: as for ``new_encoder``.
        CheckpointError: as for ``new_encoder``.
    """
    base = new_encoder(galaxies, run, start)
    with seeded(run.training.seed, _HEAD_STREAM):
        head = VoteHead(base.encoder.n_features, len(tree.columns), dropout_rate)
    start_at(head, fit_prior(galaxies.labels, tree))
    return GalaxyModel(base.encoder, head, tree, base.image_size_px, base.normalisation).train()


@torch.no_grad()
def check_takes_images(model: GalaxyEncoder) -> None:
    """Run one black image through, so that what does not fit is said before anything is read.

    Raises:
        ConfigError: the encoder does not take images of the model's size.
    """
    side = model.image_size_px
    model.eval()
    problem = ""
    try:
        model.features(torch.zeros(1, N_BANDS, side, side))
    except (AssertionError, RuntimeError, ValueError) as error:
        problem = str(error).strip() or type(error).__name__
    model.train()
    require(
        not problem,
        f"encoder '{model.encoder.name}' does not take images of {side} x {side} px: {problem}; "
        "choose an encoder for that size, or set image_size_px in CutoutConfig to its size",
    )

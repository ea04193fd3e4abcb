"""After training: what the galaxies that a model was trained on look like to its encoder."""

import math

import numpy as np
import torch
from jaxtyping import Float, Integer
from torch import Tensor

from galaxyloop.augment import plain_views
from galaxyloop.devices import predicting
from galaxyloop.feature_reference import fit_reference
from galaxyloop.models import GalaxyEncoder, GalaxyModel
from galaxyloop.training.data import EpochBatches, LabelledCutouts, TrainingGalaxies

_MAX_GALAXIES = 32_768
"""Of so many galaxies the axes, and the distance of one in a thousand, are known well enough."""
_GALAXIES_AT_ONCE = 256
_HELD_OUT_EVERY = 10


def add_reference(
    model: GalaxyEncoder, train: TrainingGalaxies, validation: LabelledCutouts
) -> None:
    """Fit the reference of a model that is finished, if it is one that answers a decision tree.

    The encoder looks once at the training galaxies, evenly spread ones if there are more than
    32,768, and at as many validation galaxies; without validation galaxies every tenth training
    galaxy is held out in their place, which sets the unit a little too small. Weights, galaxies,
    machine, build and threads fix every byte.

    Args:
        model: with the weights that are kept.
        train: what it was trained on.
        validation: galaxies it was not trained on; may be empty.

    Raises:
        RepresentationError: a feature is not finite.
    """
    if not isinstance(model, GalaxyModel):
        return
    if len(validation):
        features = encode_plainly(model, train, _spread(len(train)))
        held_out = encode_plainly(model, validation, _spread(len(validation)))
    else:
        rows = _spread(len(train))
        is_held_out = np.arange(len(rows)) % _HELD_OUT_EVERY == _HELD_OUT_EVERY - 1
        every = encode_plainly(model, train, rows)
        features, held_out = every[~is_held_out], every[is_held_out]
    model.reference = fit_reference(features, held_out)


@torch.no_grad()
def encode_plainly(
    model: GalaxyEncoder, galaxies: TrainingGalaxies, rows: Integer[np.ndarray, " galaxy"]
) -> Float[Tensor, "galaxy feature"]:
    """Features of unchanged cutouts, on the CPU in float32; the model is left as it was."""
    parts = [torch.zeros(0, model.encoder.n_features)]
    was_training = model.training
    n_batches = max(1, math.ceil(len(rows) / _GALAXIES_AT_ONCE))
    with predicting(model.eval(), None):
        device = next(model.parameters()).device
        for batch in EpochBatches(galaxies, np.array_split(rows, n_batches)):
            parts.append(model.features(plain_views(batch.images.to(device))).float().cpu())
    model.train(was_training)
    return torch.cat(parts)


def _spread(n_galaxies: int) -> Integer[np.ndarray, " galaxy"]:
    """Rows of evenly spread galaxies, all of them if they are not too many."""
    n_taken = min(n_galaxies, _MAX_GALAXIES)
    return np.linspace(0, n_galaxies - 1, n_taken).astype(np.int64)

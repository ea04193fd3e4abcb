"""After training: what the galaxies that a model was trained on look like to its encoder."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from galaxyloop.devices import predicting
from galaxyloop.encoding import encode_batches
from galaxyloop.feature_reference import fit_reference
from galaxyloop.flags import image_flags
from galaxyloop.models import GalaxyEncoder, GalaxyModel
from galaxyloop.training.data import LabelledCutouts, TrainingGalaxies

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
    galaxy is held out in their place, which sets the unit a little too small. Images that raise a
    flag themselves do not count, unless most do, as where a survey's sky is black. Weights,
    galaxies, machine, build and threads fix every byte.

    Args:
        model: with the weights that are kept.
        train: what it was trained on.
        validation: galaxies it was not trained on; may be empty.

    Raises:
        RepresentationError: a feature is not finite.
    """
    if not isinstance(model, GalaxyModel):
        return
    features = _sound_features(model, train)
    if len(validation):
        held_out = _sound_features(model, validation)
    else:
        is_held_out = torch.arange(len(features)) % _HELD_OUT_EVERY == _HELD_OUT_EVERY - 1
        features, held_out = features[~is_held_out], features[is_held_out]
    model.reference = fit_reference(features, held_out)


def _sound_features(
    model: GalaxyModel, galaxies: TrainingGalaxies
) -> Float[Tensor, "galaxy feature"]:
    """Features of cutouts without a flag, in float32 on the CPU; the model is left as it was."""
    n_taken = min(len(galaxies), _MAX_GALAXIES)
    rows = np.linspace(0, len(galaxies) - 1, n_taken).astype(np.int64)
    is_sound: list[np.ndarray] = []

    def batches() -> Iterator[UInt8[np.ndarray, "galaxy y x band"]]:
        for part in np.array_split(rows, math.ceil(n_taken / _GALAXIES_AT_ONCE)):
            images = galaxies.read(part).images.numpy()
            is_sound.append(image_flags(images) == 0)
            yield images

    with predicting(model, None):
        features = torch.cat([part.cpu() for part in encode_batches(model, batches())])
    taken = torch.from_numpy(np.concatenate(is_sound))
    return features[taken] if 2 * int(taken.sum()) >= n_taken else features

"""Encoders with published weights: fetched by name, or read from a local file."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor, nn

from galaxyloop.checkpoint import CheckpointRecords, checkpoint_digest, save_checkpoint
from galaxyloop.config import require
from galaxyloop.encoders import build_encoder
from galaxyloop.errors import PretrainedWeightsError
from galaxyloop.finetuning.config import FinetuneRun
from galaxyloop.models import GalaxyEncoder, Normalisation
from galaxyloop.random_streams import seeded
from galaxyloop.storage import FileReader, file_digest, local_path
from galaxyloop.training.starting import check_takes_images

_MAX_SHOWN = 3
_MAX_BYTES = 4_000_000_000


def published_encoder(run: FinetuneRun, image_size_px: int) -> GalaxyEncoder:
    """The encoder whose published weights a run names, in evaluation mode.

    Args:
        run: names the encoder, and its weights by ``pretrained`` or ``weights``.
        image_size_px: side of the cutouts to come.

    Raises:
        UnknownNameError: there is no such encoder.
        PretrainedWeightsError: the weights cannot be fetched or read, or are another encoder's.
        ConfigError: the encoder does not take images of this size, or it is not known how its
            weights want images normalised.
    """
    # All weights are replaced; the seed only keeps torch's own random numbers as they were.
    with seeded(0):
        encoder = build_encoder(run.encoder, run.pretrained)
    network: Any = encoder.network
    published: dict[str, Any] = getattr(network, "pretrained_cfg", None) or {}
    if run.weights:
        path = Path(run.weights)
        _fill(network, _read(path), _classifier_names(published), f"{path} for '{encoder.name}'")
    model = GalaxyEncoder(encoder, image_size_px, _normalisation(run, published))
    check_takes_images(model)
    return model.eval()


def save_published(run: FinetuneRun, image_size_px: int, directory: Path) -> str:
    """Write the encoder as a checkpoint, so that what follows depends on weights, not on names.

    Args:
        run: as for ``published_encoder``.
        image_size_px: side of the cutouts to come.
        directory: of the checkpoint.

    Returns:
        The checkpoint's digest.

    Raises:
        As ``published_encoder`` does.
    """
    model = published_encoder(run, image_size_px)
    told = {"published": run.encoder}
    if run.weights:
        told = {"weights_digest": file_digest(Path(run.weights))}
    return checkpoint_digest(save_checkpoint(model, directory, CheckpointRecords(data=told)))


def fetch_weights(run: FinetuneRun, directory: Path) -> FinetuneRun:
    """The run with its file of weights on this machine's disk.

    Args:
        run: ``weights`` may be an address.
        directory: receives the file if it is.

    Raises:
        PretrainedWeightsError: there is no such file, or it is too large.
        StorageError: the network failed; it may work later.
    """
    if not run.weights or local_path(run.weights) is not None:
        return run
    try:
        content = FileReader(_MAX_BYTES).read(run.weights)
    except (FileNotFoundError, PermissionError) as error:
        raise PretrainedWeightsError(
            f"weights '{run.weights}' cannot be read: {error}; name a safetensors file"
        ) from error
    if len(content) > _MAX_BYTES:
        raise PretrainedWeightsError(
            f"weights '{run.weights}' has more than the {_MAX_BYTES} bytes allowed; name the "
            "safetensors file of an encoder"
        )
    path = directory / "model.safetensors"
    path.write_bytes(content)
    return replace(run, weights=str(path))


def without_weights(run: FinetuneRun) -> FinetuneRun:
    """The run beside a checkpoint that holds its published weights."""
    return replace(run, encoder="", pretrained=False, weights="", weights_mean=[], weights_std=[])


def _normalisation(run: FinetuneRun, published: dict[str, Any]) -> Normalisation:
    """How the weights want images: as the run says, else as is published with the encoder."""
    if run.weights_mean:
        return Normalisation(run.weights_mean, run.weights_std)
    require(
        bool(published.get("mean")),
        f"nothing is published on how '{run.encoder}' wants images normalised; set weights_mean "
        "and weights_std to what its weights were trained with",
    )
    return Normalisation(list(published["mean"]), list(published["std"]))


def _read(path: Path) -> dict[str, Tensor]:
    """The tensors of a file; nothing in it is executed."""
    try:
        return dict(safetensors.torch.load_file(path))
    except (OSError, safetensors.SafetensorError) as error:
        raise PretrainedWeightsError(
            f"{path} cannot be read as safetensors: {error}; give the model.safetensors of a timm "
            "encoder, and never a pickled file"
        ) from error


def _classifier_names(published: dict[str, Any]) -> tuple[str, ...]:
    """Beginnings of the names of a classifier's weights, which an encoder has none of."""
    named = published.get("classifier") or ()
    names = (named,) if isinstance(named, str) else tuple(named)
    return tuple(f"{name}." for name in (*names, "fc", "classifier", "head.fc"))


def _fill(
    network: nn.Module, weights: dict[str, Tensor], classifiers: tuple[str, ...], what: str
) -> None:
    """Put weights into a network; all but a classifier's must fit."""
    wanted = network.state_dict()
    own = {
        name: weight
        for name, weight in weights.items()
        if name in wanted or not name.startswith(classifiers)
    }
    odd = sorted(wanted.keys() ^ own.keys())
    odd += [name for name in wanted.keys() & own.keys() if wanted[name].shape != own[name].shape]
    if odd:
        raise PretrainedWeightsError(
            f"{what}: {len(odd)} of {len(wanted)} weights are missing, too many or of another "
            f"shape, such as {odd[:_MAX_SHOWN]}; set encoder to the name the weights are of"
        )
    if not all(bool(weight.isfinite().all()) for weight in own.values()):
        raise PretrainedWeightsError(f"{what}: weights are not finite; fetch the file again")
    network.load_state_dict(own)

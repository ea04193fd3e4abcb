"""What a finetuning can be refused for before any image is read."""

from pathlib import Path

from galaxyloop.checkpoint import check_size, load_encoder
from galaxyloop.config import require
from galaxyloop.encoders import build_encoder
from galaxyloop.finetuning.config import FinetuneRun
from galaxyloop.finetuning.model import load_label_model
from galaxyloop.finetuning.published import published_encoder
from galaxyloop.finetuning.start import check_start, freeze_as_asked
from galaxyloop.models import GalaxyEncoder, Normalisation
from galaxyloop.random_streams import seeded
from galaxyloop.training.starting import check_takes_images


def check_inputs(run: FinetuneRun, start: Path | None, image_size_px: int) -> None:
    """Refuse a start that does not fit the run or the cutouts, by building what would be trained.

    Args:
        run: names an encoder, or leaves that to the checkpoint.
        start: a checkpoint of any kind, or None.
        image_size_px: side of the cutouts to come.

    Raises:
        ConfigError: no encoder is named, or another than the checkpoint's; it does not take
            images of this size, or has fewer layers than are to be trained.
        UnknownNameError: there is no such encoder.
        CheckpointError: the checkpoint is damaged or foreign, or was trained on another size.
        PretrainedWeightsError: the weights cannot be fetched or read, or do not fit.
    """
    check_start(run, start)
    if start is not None:
        model = load_encoder(start)
        require(
            run.encoder in ("", model.encoder.name),
            f"{start} holds the encoder '{model.encoder.name}', the run names '{run.encoder}'; "
            "leave encoder empty to take the checkpoint's",
        )
        check_size(model, image_size_px)
    elif run.pretrained or run.weights:
        model = published_encoder(run, image_size_px)
    else:
        with seeded(run.training.seed):
            model = GalaxyEncoder(build_encoder(run.encoder), image_size_px, Normalisation())
    check_takes_images(model)
    freeze_as_asked(model, run)


def check_model(checkpoint: Path, image_size_px: int) -> None:
    """Refuse a model that predicts no labels, or none of cutouts of this size.

    Raises:
        CheckpointError: it is of another kind, damaged, or was trained on another size.
    """
    check_size(load_label_model(checkpoint), image_size_px)

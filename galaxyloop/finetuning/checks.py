"""What a finetuning can be refused for before any image is read."""

from pathlib import Path

from galaxyloop.checkpoint import check_size, load_encoder
from galaxyloop.config import require
from galaxyloop.finetuning.config import FinetuneRun
from galaxyloop.finetuning.start import check_start


def check_inputs(run: FinetuneRun, start: Path | None, image_size_px: int) -> None:
    """Refuse a start that does not fit the run or the cutouts.

    Args:
        run: names an encoder, or leaves that to the checkpoint.
        start: a checkpoint of any kind, or None.
        image_size_px: side of the cutouts to come.

    Raises:
        ConfigError: no encoder is named, or another than the checkpoint's.
        UnknownNameError: there is no such encoder.
        CheckpointError: the checkpoint is damaged or foreign, or was trained on another size.
    """
    check_start(run, start)
    if start is None:
        return
    model = load_encoder(start)
    require(
        run.encoder in ("", model.encoder.name),
        f"{start} holds the encoder '{model.encoder.name}', the run names '{run.encoder}'; leave "
        "encoder empty to take the checkpoint's",
    )
    check_size(model, image_size_px)

"""A checkpoint in other programs' formats: timm's weights, and torch's exported programs."""

import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from galaxyloop.checkpoint import load_encoder
from galaxyloop.serving import load_any_model
from galaxyloop.storage import whole_directory

TIMM_WEIGHTS, TIMM_CONFIG = "model.safetensors", "config.json"
"""Files of an encoder as timm and the Hugging Face Hub keep it."""


def export_encoder(checkpoint: Path, directory: Path) -> Path:
    """Write a checkpoint's encoder as timm reads it: ``timm.create_model("local-dir:FOLDER")``.

    Names and shapes are timm's own, so a state dict of the same architecture takes them; the
    head is left out. ``finetuning.published`` reads such a file back. The encoders of
    ``encoders.ENCODERS`` are none of timm's: their weights load into ``build_encoder`` alone.

    Args:
        checkpoint: of any kind.
        directory: appears complete or not at all.

    Returns:
        The directory.

    Raises:
        CheckpointError: the checkpoint is damaged.
        StorageError: the directory exists already.
    """
    model = load_encoder(checkpoint)
    network: Any = model.encoder.network
    weights = {name: weight.contiguous() for name, weight in network.state_dict().items()}
    side = model.image_size_px
    config = {
        "architecture": model.encoder.name,
        "num_classes": 0,
        "num_features": model.encoder.n_features,
        "pretrained_cfg": {
            "input_size": [3, side, side],
            "mean": model.normalisation.mean,
            "std": model.normalisation.std,
            "num_classes": 0,
        },
    }
    with whole_directory(directory) as draft:
        safetensors.torch.save_file(weights, draft / TIMM_WEIGHTS, {"format": "pt"})
        (draft / TIMM_CONFIG).write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")
    return directory


def export_program(checkpoint: Path, path: Path) -> Path:
    """Write a model as a program that runs with torch alone, for any number of galaxies.

    It takes uint8 ``[galaxy, band, y, x]`` and gives what the model's ``forward`` gives without
    dropout: concentrations, logits or a standardised value, or features.

    The archive holds a pickled sample of its input beside the program: load only those that come
    from where you trust.

    Args:
        checkpoint: of any kind.
        path: the archive, by custom with the ending ``.pt2``.

    Returns:
        The path.

    Raises:
        CheckpointError: the checkpoint is damaged.
    """
    model = load_any_model(checkpoint)
    side = model.image_size_px
    images = torch.zeros(2, 3, side, side, dtype=torch.uint8)
    shapes = ({0: torch.export.Dim("galaxy", min=1, max=65_536)},)
    with torch.no_grad():
        program = torch.export.export(model, (images,), dynamic_shapes=shapes)
    torch.export.save(program, path)
    return path

"""The card of a model: what it says, what it learnt from, how good it is, its limits."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from galaxyloop.checkpoint import ENVIRONMENT, checkpoint_digest, load_checkpoint_config
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.markdown import markdown_number, markdown_table
from galaxyloop.serving import ServedModel

_LIMITS = (
    "The model knows the images of its training survey. Another survey, depth, colour scheme or "
    "size on the sky is another question: finetune, and judge it on labels there.",
    "Fractions and classes are what the people who labelled the training galaxies would say of "
    "such an image, not what the galaxy is.",
    "feature_distance above 1 and flags other than 0 mark images to look at before their row is "
    "believed; an image that raises none can still be wrong.",
)


def write_model_card(
    checkpoint: Path,
    served: ServedModel,
    metrics: pd.DataFrame | None,
    tags: Mapping[str, str],
    path: Path,
) -> None:
    """Write a model's card as Markdown; every number is from its files.

    Args:
        checkpoint: the model's folder.
        served: the same model.
        metrics: on galaxies held out from its training; None if it was not judged.
        tags: what its training run says besides, by name.
        path: the file.
    """
    config = load_checkpoint_config(checkpoint)
    environment = checkpoint / ENVIRONMENT
    told = json.loads(environment.read_text()) if environment.is_file() else {}
    sections = [
        (f"# {_title(config)}", [*_summary(config, checkpoint)]),
        ("## What it answers", [*_answers(config)]),
        ("## Images", [*_items({"cut out": served.cutouts.to_dict(), **_images(config)})]),
        ("## Training data", [*_items({**_data(config), **tags})]),
        ("## How good it is", [*_metrics(metrics)]),
        ("## Known limits", [f"- {limit}" for limit in _LIMITS]),
        ("## Settings of the training", [*_items(config.get("run", {}))]),
        ("## Environment of the training", [*_items(told)]),
    ]
    text = "\n\n".join("\n".join([title, "", *lines]) for title, lines in sections)
    path.write_text(text + "\n", encoding="utf-8")


def _title(config: Mapping[str, Any]) -> str:
    """What the model is, in a few words."""
    if "tree" in config:
        return f"Votes on {config['tree'].get('name', 'galaxies')}"
    if "target" in config:
        return f"{config['target'].get('name', 'Labels')} of galaxies"
    return "Representations of galaxies"


def _summary(config: Mapping[str, Any], checkpoint: Path) -> Iterator[str]:
    """Which network, and which weights."""
    size = config["image_size_px"]
    yield f"Encoder {config['encoder']} for cutouts of {size} x {size} pixels in red, green, blue."
    yield f"Digest of weights and config: {checkpoint_digest(checkpoint)}."


def _answers(config: Mapping[str, Any]) -> Iterator[str]:
    """The questions, the target, or what there is instead."""
    if "tree" in config:
        tree = DecisionTree.from_json(json.dumps(config["tree"]))
        yield "Posterior vote fractions; the columns are described in columns.csv."
        yield ""
        rows = [
            (question.name, ", ".join(question.answers), " or ".join(question.asked_after) or "-")
            for question in tree.questions
        ]
        yield from markdown_table(("question", "answers", "asked after"), rows)
    elif "target" in config:
        yield from _items(config["target"])
    else:
        yield "It has no head: it gives the features of images. Finetune it to get answers."


def _images(config: Mapping[str, Any]) -> dict[str, Any]:
    """How pixels reach the network."""
    return {"normalisation": config["normalisation"]}


def _data(config: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers and digests of what was learnt from; how it was cut out stands above."""
    own = ("cutouts", "calibration")
    return {name: told for name, told in config.get("data", {}).items() if name not in own}


def _metrics(metrics: pd.DataFrame | None) -> Iterator[str]:
    """The table of metrics, whichever columns it has."""
    if metrics is None or metrics.empty:
        yield "Not known: it was not judged on galaxies held out from its training."
        return
    yield "On galaxies held out from its training."
    yield ""
    names = [str(name) for name in metrics.columns]
    rows = ([_cell(value) for value in row] for row in metrics.itertuples(index=False))
    yield from markdown_table(names, rows)


def _cell(value: object) -> str:
    """A number with three digits, or the text."""
    return markdown_number(value) if isinstance(value, float) else str(value)


def _items(told: Mapping[str, Any]) -> Iterator[str]:
    """A line for each setting."""
    for name, value in told.items():
        yield f"- {name}: {value if isinstance(value, str) else json.dumps(value, sort_keys=True)}"
    if not told:
        yield "Not known."

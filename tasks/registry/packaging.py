"""The folder that MLflow loads a registered model from: checkpoint, code, signature, card."""

import importlib.metadata
import json
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galaxyloop.errors import RegistryError
from tasks.registry.runs import DIGEST_TAG

if TYPE_CHECKING:
    import pandas as pd
    from mlflow.entities import Run
    from mlflow.models import ModelSignature
    from mlflow.tracking import MlflowClient

    from galaxyloop.serving import ServedModel

IMAGES, ARRAYS = "model", "model-array"
"""Artifacts of a run: the model that takes encoded images, and the one that takes cutouts."""
CHECKPOINT = "artifacts/checkpoint"
"""Where the checkpoint lies in a model's folder."""
ARRAY_ENDING = "-array"
"""Of the name of the registered model that takes cutouts."""
CARD = "MODEL_CARD.md"
_SERVING_CODE = Path(__file__).resolve().parents[1] / "serving_model.py"
_PYFUNC = "python_function"


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a model beside its checkpoint."""

    metrics: "pd.DataFrame | None" = None
    """On galaxies held out from its training; None if it was not judged."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """What its training's run says: digests of the survey, votes or labels, code version."""


def package_run(client: "MlflowClient", run: "Run", digest: str) -> None:
    """Put both models of a logged training beside its checkpoint.

    Args:
        client: of the registry.
        run: of the training.
        digest: of its checkpoint.

    Raises:
        RegistryError: the run's checkpoint is another one.
    """
    from mlflow.artifacts import download_artifacts

    from galaxyloop.checkpoint import check_digest
    from galaxyloop.errors import CheckpointError

    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    run_id = run.info.run_id
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        checkpoint = Path(
            download_artifacts(artifact_uri=f"runs:/{run_id}/checkpoint", dst_path=name)
        )
        try:
            check_digest(checkpoint, digest)
        except CheckpointError as error:
            raise RegistryError(f"run {run_id} cannot be registered: {error}") from error
        facts = ModelFacts(_fetch_metrics(client, run_id, scratch), _tags(run))
        for place in (ARRAYS, IMAGES):
            write_model(checkpoint, scratch / place, facts, takes_arrays=place == ARRAYS)
            client.log_artifacts(run_id, str(scratch / place), place)


def find_array_version(client: "MlflowClient", name: str, digest: str) -> str | None:
    """The version of ``NAME-array`` that holds a checkpoint."""
    for version in client.search_model_versions(f"name = '{name}{ARRAY_ENDING}'"):
        if version.tags.get(DIGEST_TAG) == digest:
            return str(version.version)
    return None


def mirror_aliases(client: "MlflowClient", name: str) -> None:
    """Let the aliases of ``NAME-array`` stand for the checkpoints that those of ``NAME`` do.

    An alias of a version that was registered before there were models for arrays has no like.
    """
    array_name = f"{name}{ARRAY_ENDING}"
    if not client.search_registered_models(f"name = '{array_name}'"):
        return
    stale = dict(client.get_registered_model(array_name).aliases)
    for alias, version in client.get_registered_model(name).aliases.items():
        digest = client.get_model_version(name, version).tags.get(DIGEST_TAG, "")
        found = find_array_version(client, name, digest)
        if found is not None:
            client.set_registered_model_alias(array_name, alias, found)
            stale.pop(alias, None)
    for alias in stale:
        client.delete_registered_model_alias(array_name, alias)


def write_model(
    checkpoint: Path,
    directory: Path,
    facts: ModelFacts = ModelFacts(),
    takes_arrays: bool = False,
) -> None:
    """Write a model's folder; it holds no pickle, and no path of this machine.

    Args:
        checkpoint: folder of a model of any kind.
        directory: what ``mlflow.pyfunc.load_model`` takes; does not exist yet.
        facts: for the card.
        takes_arrays: give the model cutouts in an array, instead of encoded images in a frame.

    Raises:
        CheckpointError: the checkpoint is damaged.
    """
    import mlflow.pyfunc

    import galaxyloop
    from galaxyloop.checkpoint import checkpoint_digest
    from galaxyloop.posterior import PosteriorConfig
    from galaxyloop.serving import MAX_IMAGE_PX, ServedModel

    digest = checkpoint_digest(checkpoint)
    settings = {"max_image_px": MAX_IMAGE_PX, **PosteriorConfig().to_dict()}
    served = ServedModel.open(checkpoint, expected_digest=digest)
    example = _example(served, takes_arrays)
    with tempfile.TemporaryDirectory() as scratch:
        # MLflow calls the artifact's folder as the checkpoint's own is called.
        named = Path(scratch) / Path(CHECKPOINT).name
        shutil.copytree(checkpoint, named)
        mlflow.pyfunc.save_model(
            str(directory),
            python_model=str(_SERVING_CODE),
            artifacts={named.name: str(named)},
            code_paths=[str(Path(galaxyloop.__file__).parent)],
            signature=_signature(served, example),
            input_example=example,
            pip_requirements=_requirements(),
            model_config={"checkpoint_digest": digest, **settings},
            metadata={"galaxyloop_checkpoint_digest": digest, **facts.tags},
        )
    _scrub(directory)
    _write_facts(checkpoint, served, facts, directory)


def _write_facts(
    checkpoint: Path, served: "ServedModel", facts: ModelFacts, directory: Path
) -> None:
    """The card, and what programs read of it."""
    from galaxyloop.catalogue.columns import write_column_descriptions
    from galaxyloop.checkpoint import load_checkpoint_config
    from galaxyloop.model_card import write_model_card
    from galaxyloop.models import GalaxyModel

    write_model_card(checkpoint, served, facts.metrics, facts.tags, directory / CARD)
    config = load_checkpoint_config(checkpoint)
    told = {
        "columns.json": list(served.columns),
        "cutouts.json": served.cutouts.to_dict(),
        "training_data.json": {**config.get("data", {}), **facts.tags},
    }
    for name in ("tree", "target"):
        if name in config:
            told[{"tree": "decision_tree.json", "target": "labels.json"}[name]] = config[name]
    for name, content in told.items():
        (directory / name).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    if isinstance(served.model, GalaxyModel):
        write_column_descriptions(served.model.tree, directory / "columns.csv")
    if facts.metrics is not None:
        facts.metrics.to_csv(directory / "metrics.csv", index=False)


def _example(served: "ServedModel", takes_arrays: bool) -> Any:  # noqa: ANN401 - of either kind
    """A request that the model answers: a round blur on a dark sky."""
    import cv2
    import numpy as np
    import pandas as pd

    side = max(served.model.image_size_px, served.cutouts.min_side_px)
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    light = 200 * np.exp(-(x**2 + y**2) / (2 * (side / 8) ** 2))
    pixels = np.stack([light, 0.9 * light, 0.8 * light], axis=2).astype(np.uint8) + np.uint8(10)
    if takes_arrays:
        size = served.model.image_size_px
        return np.ascontiguousarray(pixels[None, :size, :size])
    png = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes()
    return pd.DataFrame({"image": [png], "id_str": ["a galaxy"]})


def _signature(served: "ServedModel", example: Any) -> "ModelSignature":  # noqa: ANN401 - see above
    """What goes in and what comes out, found by answering the example."""
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    from galaxyloop.serving import IMAGE

    if isinstance(example, np.ndarray):
        inputs = Schema([TensorSpec(np.dtype(np.uint8), (-1, *example.shape[1:]))])
        return ModelSignature(inputs, _output_schema(served.predict_cutouts(example)))
    optional = {"id_str": "string", "ra_deg": "double", "dec_deg": "double"}
    columns = [ColSpec(kind, name, required=False) for name, kind in optional.items()]
    inputs = Schema([ColSpec("binary", IMAGE), *columns])
    return ModelSignature(inputs, _output_schema(served.predict_images(example)))


def _output_schema(answer: "pd.DataFrame") -> Any:  # noqa: ANN401 - mlflow is untyped
    """The types of the columns that the model gives."""
    import numpy as np
    from mlflow.types import ColSpec, DataType, Schema
    from mlflow.types.schema import Array

    names = {"float64": "double", "float32": "float", "int32": "integer"}

    def kind(name: str) -> Any:  # noqa: ANN401 - see above
        if isinstance(answer[name].iloc[0], np.ndarray):
            return Array(DataType.float)
        return names.get(str(answer[name].dtype), "string")

    return Schema([ColSpec(kind(name), name) for name in answer.columns])


def _requirements() -> list[str]:
    """What the library asks for, and MLflow, in the versions that are installed here."""
    asked = importlib.metadata.requires("galaxyloop") or []
    names = [found[0] for one in asked if "extra ==" not in one and (found := _NAME.match(one))]
    versions = {name: importlib.metadata.version(name) for name in ("mlflow", *names)}
    # A build's own mark, as in 2.11.0+cpu, is on no package index.
    return [f"{name}=={version.split('+')[0]}" for name, version in versions.items()]


_NAME = re.compile(r"[A-Za-z0-9._-]+")


def _scrub(directory: Path) -> None:
    """Take this machine's paths out of MLmodel, which loading does not read."""
    import yaml

    path = directory / "MLmodel"
    told = yaml.safe_load(path.read_text())
    flavour = told["flavors"][_PYFUNC]
    flavour["model_code_path"] = _SERVING_CODE.name
    for artifact in flavour["artifacts"].values():
        artifact["uri"] = artifact["path"]
    flavour.pop("cloudpickle_version", None)
    path.write_text(yaml.safe_dump(told))


def _tags(run: "Run") -> dict[str, str]:
    """What a run says of the making of its model."""
    return {name: value for name, value in run.data.tags.items() if name.startswith("galaxyloop.")}


def _fetch_metrics(client: "MlflowClient", run_id: str, scratch: Path) -> "pd.DataFrame | None":
    """The run's metrics on held-out galaxies, if it was judged."""
    import pandas as pd
    from mlflow.artifacts import download_artifacts

    name = "evaluation/metrics.parquet"
    if name not in {found.path for found in client.list_artifacts(run_id, "evaluation")}:
        return None
    uri = f"runs:/{run_id}/{name}"
    return pd.read_parquet(download_artifacts(artifact_uri=uri, dst_path=str(scratch)))

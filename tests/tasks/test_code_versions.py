"""No cached task computes something else under an old version.

After a change of the modules below: raise the task's number in ``tasks/resources.py`` if the same
inputs may now give another result, then run ``python -m tests.tasks.test_code_versions``.
"""

import ast
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.resources import CODE_VERSIONS

LIBRARY = Path(__file__).resolve().parents[2] / "galaxyloop"
SEEN = Path(__file__).with_name("code_versions.json")
NETWORK = (
    *("checkpoint", "decision_tree", "devices", "dirichlet", "encoders", "encoding", "feeding"),
    *("feature_reference", "heads", "layout", "models"),
)
TRAINING = (
    *NETWORK,
    *("augment", "flags", "objectives", "random_streams", "shards", "splits", "training"),
)
MODULES: dict[str, tuple[str, ...]] = {
    "cut_out_chunk": ("cutouts", "image_files", "images", "shards", "surveys/fingerprints"),
    "pretrain_supervised": TRAINING,
    "pretrain_byol": TRAINING,
    "pretrain_hybrid": TRAINING,
    "calibrate": (*NETWORK, "calibration", "metrics", "posterior", "shards", "training/data"),
    "evaluate": (*NETWORK, "evaluation", "metrics", "posterior", "shards", "training/data"),
    "predict_shard": (
        *NETWORK,
        *("acquisition/information", "flags", "inference", "posterior", "predictions"),
        *("shard_streams", "shard_summary", "shards"),
    ),
    "finetune": (*TRAINING, "finetuning"),
    "evaluate_finetuned": (*TRAINING, "finetuning"),
    "predict_labels": (*NETWORK, "finetuning"),
    "represent_shard": (*NETWORK, "representations"),
    "join_representations": ("devices", "random_streams", "representations"),
    "make_random_encoder": (*TRAINING, "label_efficiency"),
    "run_cells": (*TRAINING, "finetuning", "label_efficiency"),
    "run_scaling_cell": (
        *TRAINING,
        *("metrics/evaluation", "posterior"),
        *("scaling/cells", "scaling/config", "scaling/held_out"),
    ),
    "play_loop_cell": (
        *("acquisition", "active_learning", "dirichlet", "posterior", "random_streams"),
        "training/prior",
    ),
}
"""What each cached task's result depends on: modules, or packages with all of theirs."""


def sources(name: str) -> list[Path]:
    path = LIBRARY / name
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def outline(node: object) -> Iterator[str]:
    """The syntax tree as text: no comments, docstrings, line numbers or empty fields."""
    if isinstance(node, ast.AST):
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if not is_text:
            yield f"({type(node).__name__}"
            for field, value in ast.iter_fields(node):
                if value not in (None, []):
                    yield field
                    yield from outline(value)
            yield ")"
    elif isinstance(node, list):
        for item in node:
            yield from outline(item)
    else:
        yield repr(node)


def digest(task_name: str) -> str:
    content = hashlib.sha256()
    for path in (path for name in MODULES[task_name] for path in sources(name)):
        content.update(path.relative_to(LIBRARY).as_posix().encode())
        content.update(" ".join(outline(ast.parse(path.read_text()))).encode())
    return content.hexdigest()


def current() -> dict[str, dict[str, str]]:
    return {name: {"version": CODE_VERSIONS[name], "digest": digest(name)} for name in MODULES}


@pytest.mark.parametrize("task_name", CODE_VERSIONS)
def test_code_versions__are_those_of_the_code(task_name: str) -> None:
    seen = json.loads(SEEN.read_text())[task_name]
    assert current()[task_name] == seen, (
        f"the code behind '{task_name}' or its number has changed since {SEEN.name} was written "
        f"for version {seen['version']}, now {CODE_VERSIONS[task_name]}; {__doc__}"
    )


if __name__ == "__main__":
    SEEN.write_text(json.dumps(current(), indent=1) + "\n")

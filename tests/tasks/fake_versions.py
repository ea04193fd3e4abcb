"""Registered versions and scores that nobody trained: what a promotion looks at, without torch."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from mlflow import MlflowClient

from galaxyloop.decision_tree import DecisionTree, Question
from galaxyloop.promotion import HeldOutScores
from schemas.artefacts import EvaluationDirectory
from schemas.model_version import ModelVersion
from tasks.registry.client import address_of, experiment_id
from tasks.registry.runs import DIGEST_TAG

TREE = DecisionTree("toy", (Question("bar-toy", ("yes", "no")),))
N_GALAXIES = 60


def scores(nats: float, held_out: str = "1", tree: DecisionTree = TREE) -> HeldOutScores:
    """Scores whose mean is higher the larger ``nats``; NaN where that is."""
    rng = np.random.default_rng(0)
    names = [f"g{number}" for number in range(N_GALAXIES)]
    table = pd.DataFrame(
        {
            "id_str": names,
            "group_id": names,
            "question": tree.question_names[0],
            "log_likelihood": rng.normal(-3, 1, N_GALAXIES) + nats,
            "coverage": (np.arange(N_GALAXIES) % 10 > 0).astype(float),
        }
    )
    return HeldOutScores(table, tree, held_out * 64, 32)


def evaluation(found: HeldOutScores) -> EvaluationDirectory:
    """An evaluation that holds scores alone."""
    directory = Path(tempfile.mkdtemp()) / "e"
    directory.mkdir()
    found.write(directory)
    return EvaluationDirectory(uri=str(directory), digest=directory.name)


def logged_run(client: MlflowClient, seed: int) -> str:
    """A finished training of a checkpoint with that seed's digest, without files."""
    digest = f"{seed:064d}"
    run = client.create_run(experiment_id(client), tags={DIGEST_TAG: digest})
    client.set_terminated(run.info.run_id, "FINISHED")
    return str(run.info.run_id)


def fake_version(client: MlflowClient, name: str, seed: int) -> ModelVersion:
    """A new version under the alias challenger, made past ``register_model``."""
    run_id = logged_run(client, seed)
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    digest = f"{seed:064d}"
    source = f"{client.get_run(run_id).info.artifact_uri}/checkpoint"
    made = client.create_model_version(name, source, run_id, tags={DIGEST_TAG: digest})
    client.set_registered_model_alias(name, "challenger", made.version)
    return ModelVersion(name, str(made.version), digest, run_id, address_of(client))

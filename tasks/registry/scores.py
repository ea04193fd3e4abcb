"""Scores on held-out galaxies, kept with the run of a version, so that none is predicted twice."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from galaxyloop.errors import CatalogueError
from galaxyloop.promotion.scores import SCORE_FILES, HeldOutScores
from tasks.resources import CODE_VERSIONS

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

SCORED_TAG = "galaxyloop.held_out"
"""Tag of a version: the key of the held-out galaxies that it was scored on last."""
_FOLDER = "held_out"


def key_of(scores: HeldOutScores) -> str:
    """What scores are kept under: held-out galaxies, and the version of the code that scores."""
    return f"{scores.digest}-{CODE_VERSIONS['evaluate']}"


def open_scores(evaluation: Path) -> HeldOutScores:
    """The scores that an evaluation holds.

    Raises:
        CatalogueError: it is of a time before there were any.
    """
    if not (evaluation / SCORE_FILES[1]).is_file():
        raise CatalogueError(
            f"the evaluation {evaluation} holds no scores by galaxy; evaluate the model again"
        )
    return HeldOutScores.open(evaluation)


def keep_scores(client: "MlflowClient", run_id: str, scores: HeldOutScores) -> None:
    """Put scores beside the training of their model; those that are there stay."""
    if has_scores(client, run_id, key_of(scores)):
        return
    with tempfile.TemporaryDirectory() as scratch:
        scores.write(Path(scratch))
        # The file that is asked for comes last: what is there is whole.
        for name in SCORE_FILES:
            client.log_artifact(run_id, str(Path(scratch) / name), f"{_FOLDER}/{key_of(scores)}")


def has_scores(client: "MlflowClient", run_id: str, key: str) -> bool:
    """Whether a run keeps scores of these galaxies."""
    place = f"{_FOLDER}/{key}"
    return f"{place}/{SCORE_FILES[1]}" in {
        found.path for found in client.list_artifacts(run_id, place)
    }


def fetch_scores(client: "MlflowClient", run_id: str, key: str) -> HeldOutScores | None:
    """Scores that a run keeps; None if it has none of these galaxies."""
    from mlflow.artifacts import download_artifacts

    if not has_scores(client, run_id, key):
        return None
    with tempfile.TemporaryDirectory() as scratch:
        uri = f"runs:/{run_id}/{_FOLDER}/{key}"
        return HeldOutScores.open(Path(download_artifacts(artifact_uri=uri, dst_path=scratch)))

"""What a model's catalogues are compared with, and how they compared; never cached."""

import tempfile
from pathlib import Path

from flytekit import task

from schemas.artefacts import Catalogue, SurveyVersion
from schemas.model_version import ModelVersion
from tasks.registry.client import experiment_id, open_client
from tasks.registry.runs import circumstances, metric_name, new_run
from tasks.resources import CPU_IMAGE, RETRIES, TABLES

CATALOGUE_TAG = "galaxyloop.catalogue_digest"
_HELD_OUT = "evaluation/held_out.npz"


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def fetch_reference(model: ModelVersion) -> str:
    """Histograms of what a model predicted for its held-out galaxies, as JSON.

    Empty if it was not evaluated, or its run is gone: no catalogue waits for that.
    """
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    from galaxyloop.drift import count_fractions
    from galaxyloop.evaluation import Evaluation

    client = open_client()
    try:
        names = {found.path for found in client.list_artifacts(model.run_id, "evaluation")}
        if _HELD_OUT not in names:
            return ""
        with tempfile.TemporaryDirectory() as scratch:
            uri = f"runs:/{model.run_id}/evaluation"
            held_out = Evaluation.open(Path(download_artifacts(uri, dst_path=scratch)))
            return count_fractions(held_out.fractions, held_out.tree).to_json()
    except MlflowException:
        return ""


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def log_drift(model: ModelVersion, survey: SurveyVersion, catalogue: Catalogue) -> str:
    """Log how unlike what came before a catalogue is; one run a catalogue. The run's id.

    Empty if there was nothing to compare with.
    """
    import pandas as pd
    from mlflow.entities import Metric

    path = catalogue.download() / "drift.csv"
    if not path.is_file():
        return ""
    client = open_client()
    is_the_same = f"tags.`{CATALOGUE_TAG}` = '{catalogue.digest}'"
    is_whole = "attributes.status = 'FINISHED'"
    found = client.search_runs(
        [experiment_id(client)], f"{is_the_same} and {is_whole}", max_results=1
    )
    if found:
        return str(found[0].info.run_id)
    tags = {
        CATALOGUE_TAG: catalogue.digest,
        "galaxyloop.survey_digest": survey.digest,
        "galaxyloop.model": f"{model.name}/{model.version}",
        **circumstances("catalogue"),
    }
    table = pd.read_csv(path)
    with new_run(client, tags) as run:
        run_id, start = str(run.info.run_id), run.info.start_time
        metrics = [
            Metric(metric_name(row[:3]), float(row[3]), start, 0)
            for row in table[["against", "measure", "quantity", "value"]].itertuples(index=False)
        ]
        metrics.append(Metric("flagged", float(table["is_flagged"].sum()), start, 0))
        for first in range(0, len(metrics), 1000):
            client.log_batch(run_id, metrics=metrics[first : first + 1000])
        for file in (path, path.with_suffix(".png")):
            client.log_artifact(run_id, str(file), "drift")
    return run_id

"""From a catalogue back to the models, trainings, votes and images that made it; never cached."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flytekit import task

from galaxyloop.lineage import Origin, describe_origin, read_provenance, trace_file, trace_survey
from tasks.local_run import is_in_pod, store_directory
from tasks.registry.client import open_client
from tasks.registry.runs import DIGEST_TAG, INPUTS
from tasks.resources import CPU_IMAGE, RETRIES, TABLES, retrying_storage

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

_OWN = "galaxyloop."
_SOURCES = ("survey", "votes", "labels")
"""What a run's tags give the digests of."""
_NOT_HERE = "not in this registry: set MLFLOW_TRACKING_URI to the one that it was registered in"


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def trace_lineage(product: str, id_str: str, output: str) -> str:
    """Trace a catalogue, labels or representations, and write what was found beside each other.

    Args:
        product: path or address of the parquet file.
        id_str: of the row to trace; empty for the whole file.
        output: folder or address that receives lineage.txt, lineage.json and lineage.png.

    Returns:
        The tree as text.
    """
    from galaxyloop.outputs import check_output
    from galaxyloop.plots.lineage import save_lineage
    from galaxyloop.storage import publish_file

    check_output(output, must_be_remote=is_in_pod())
    with tempfile.TemporaryDirectory() as scratch, retrying_storage():
        origin = _trace(product, id_str, Path(scratch))
        text = describe_origin(origin)
        files = {name: Path(scratch) / f"lineage.{name}" for name in ("txt", "json", "png")}
        files["txt"].write_text(f"{text}\n", encoding="utf-8")
        files["json"].write_text(json.dumps(origin.to_dict(), indent=1) + "\n")
        save_lineage(origin, files["png"])
        for path in files.values():
            publish_file(path, f"{output.rstrip('/')}/{path.name}")
    return text


def _trace(product: str, id_str: str, scratch: Path) -> Origin:
    """The whole tree of a product."""
    from galaxyloop.publishing import fetch, survey_place

    path = fetch(product, scratch / "product.parquet")
    told = read_provenance(path)
    client = open_client()
    models = tuple(_trace_model(client, *model) for model in _models(told))
    digest = told["survey_digest"]
    beside = survey_place(product.rpartition("/")[0] or ".", digest)
    place = _find_survey(beside, digest, scratch)
    survey = trace_survey(digest, place, id_str if place else "")
    return trace_file(path, product, id_str, (survey, *models))


def _models(told: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Name, version and digest of each model that a footer names."""
    yield told["model_name"], told["model_version"], told["checkpoint_digest"]
    for member in filter(None, told.get("members", "").split("; ")):
        model, digest = member.rsplit(" ", 1)
        name, version = model.rsplit("/", 1)
        yield name, version, digest


def _find_survey(beside: str, digest: str, scratch: Path) -> Path | None:
    """A copy of the survey version that lies beside a catalogue, or in the local store."""
    from galaxyloop.publishing import fetch

    stored = store_directory() / "survey-version" / digest
    if (stored / "survey.json").is_file():
        return stored
    try:
        place = fetch(beside, scratch / "survey")
    except OSError:
        return None
    return place if (place / "survey.json").is_file() else None


def _trace_model(client: "MlflowClient", name: str, version: str, digest: str) -> Origin:
    """A registered model: the version of that name that holds these weights."""
    found = [
        one
        for one in client.search_model_versions(f"name = '{name}'")
        if one.tags.get(DIGEST_TAG) == digest
    ]
    facts = {"checkpoint": digest}
    if not found:
        facts["registry"] = _NOT_HERE
        return Origin("model", f"{name} version {version}", facts)
    entry = next((one for one in found if str(one.version) == version), found[0])
    entry = client.get_model_version(name, str(entry.version))
    facts |= {"registered": _at(entry.creation_timestamp)}
    facts |= {"aliases": ", ".join(entry.aliases)} if entry.aliases else {}
    facts |= {
        key.removeprefix(_OWN): text
        for key, text in entry.tags.items()
        if key.startswith(f"{_OWN}promotion")
    }
    training = _trace_run(client, client.get_run(str(entry.run_id)), {digest})
    return Origin("model", f"{name} version {entry.version}", facts, (training,))


def _trace_run(client: "MlflowClient", run: Any, above: set[str]) -> Origin:  # noqa: ANN401
    """A training: which code and image ran, when, on what."""
    tags, params = run.data.tags, run.data.params
    facts = {
        "trained": _at(run.info.start_time),
        **{name: tags[f"{_OWN}{name}"] for name in _CIRCUMSTANCES if f"{_OWN}{name}" in tags},
        **{name: params[name] for name in ("encoder", "training.seed") if name in params},
        "settings": f"{len(params)} parameters of the run in MLflow",
    }
    made_of = [
        Origin(name, tags[f"{_OWN}{name}_digest"])
        for name in _SOURCES
        if f"{_OWN}{name}_digest" in tags
    ]
    for dataset in run.inputs.dataset_inputs:
        name = dataset.dataset.name.removesuffix("_digest")
        digest = json.loads(dataset.dataset.source)["sha256"]
        if name == "start" and digest not in above:
            made_of.append(_trace_start(client, digest, above | {digest}))
        elif name not in (*_SOURCES, "start"):
            made_of.append(Origin(f"{name} cutouts and labels", digest))
    made_of += [Origin("shard", digest) for digest in _read_shards(run)]
    return Origin("training", str(run.info.run_id), facts, tuple(made_of))


_CIRCUMSTANCES = ("purpose", "code_version", "image", "execution")


def _trace_start(client: "MlflowClient", digest: str, above: set[str]) -> Origin:
    """The checkpoint that a training started from, with its own training if that was logged."""
    found = client.search_runs(
        [one.experiment_id for one in client.search_experiments()],
        f"tags.`{DIGEST_TAG}` = '{digest}' and attributes.status = 'FINISHED'",
        max_results=1,
    )
    trainings = tuple(_trace_run(client, run, above) for run in found)
    return Origin("start", digest, {} if found else {"training": _NOT_HERE}, trainings)


def _read_shards(run: Any) -> list[str]:  # noqa: ANN401
    """Digests of the shards that a run read; none of runs from before they were noted."""
    import mlflow
    from mlflow.exceptions import MlflowException

    try:
        noted = mlflow.artifacts.load_dict(f"{run.info.artifact_uri.rstrip('/')}/{INPUTS}")
    except (MlflowException, OSError):
        return []
    return [str(digest) for digest in noted["shards"]]


def _at(milliseconds: int) -> str:
    """A time of MLflow's as a person reads it."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")

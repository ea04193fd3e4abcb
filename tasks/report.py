"""The page a person looks at, and the files a round leaves where they were asked for."""

import sys
import tempfile
from pathlib import Path

from flytekit import Deck, task

from schemas.artefacts import (
    Acquisition,
    Catalogue,
    Checkpoint,
    CutoutShard,
    Evaluation,
    Report,
    ReportDirectory,
    SurveyVersion,
    VoteTable,
)
from schemas.model_version import ModelVersion
from tasks.local_run import keep, new_directory
from tasks.opening import open_shards, open_survey
from tasks.resources import CPU_IMAGE, RETRIES, TABLES, retrying_storage


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES, enable_deck=True)
def write_report(
    survey: SurveyVersion,
    shards: list[CutoutShard],
    votes: VoteTable,
    checkpoint: Checkpoint,
    evaluation: Evaluation,
    folds: list[Evaluation],
    catalogue: Catalogue,
    acquisition: Acquisition,
) -> Report:
    """One self-contained HTML page of the round; also the task's deck."""
    from galaxyloop.evaluation import Evaluation as HeldOut
    from galaxyloop.evaluation import pool_folds
    from galaxyloop.report import write_report as write
    from galaxyloop.report.gathering import RoundResults, gather_report
    from galaxyloop.storage import file_digest

    held_out = [HeldOut.open(fold.download()) for fold in folds]
    results = RoundResults(
        survey=open_survey(survey),
        shards=open_shards(shards),
        votes=votes.download(),
        checkpoint=checkpoint.download(),
        evaluation=HeldOut.open(evaluation.download()),
        cross_validation=pool_folds(held_out) if held_out else None,
        catalogue=catalogue.download() / "catalogue.parquet",
        acquisition=acquisition.download() / "acquisition.parquet",
    )
    directory = new_directory("report")
    directory.mkdir()
    path = directory / "report.html"
    write(gather_report(results), path)
    Deck("report", path.read_text())
    return keep(directory, ReportDirectory, file_digest(path))


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def publish(
    output: str,
    catalogue: Catalogue,
    acquisition: Acquisition,
    report: Report,
    model: ModelVersion,
    promoted: str,
    evaluation: Evaluation,
    folds: list[Evaluation],
) -> str:
    """Put a round's results where they were asked for; says how to look at them.

    ``promoted`` is what came of the model's promotion.
    """
    from galaxyloop.evaluation import Evaluation as HeldOut
    from galaxyloop.evaluation import write_metrics
    from galaxyloop.storage import publish_file

    held_out = [HeldOut.open(one.download()) for one in (evaluation, *folds)]
    with tempfile.TemporaryDirectory() as scratch, retrying_storage():
        files = {
            "catalogue": catalogue.download() / "catalogue.parquet",
            "acquisition": acquisition.download() / "acquisition.parquet",
            "report": report.download() / "report.html",
            "metrics": write_metrics(held_out[0], held_out[1:], Path(scratch) / "metrics.csv"),
        }
        placed = {
            name: publish_file(path, f"{output.rstrip('/')}/{path.name}")
            for name, path in files.items()
        }
    return _say(placed, model, promoted)


def _say(placed: dict[str, str], model: ModelVersion, promoted: str) -> str:
    """Where things are and how to look at them."""
    programs = Path(sys.executable).parent
    registry = model.registry
    if not registry.startswith("http"):
        registry = f"{_short(programs)}/mlflow ui --backend-store-uri {registry}"
    return "\n".join(
        (
            f"catalogue   {placed['catalogue']}",
            f"ask next    {placed['acquisition']}",
            f"report      {placed['report']}",
            f"metrics     {placed['metrics']}",
            f"model       {model.name} version {model.version}",
            f"promotion   {promoted}",
            "To look: open the report in a browser; then",
            f"  {_short(programs)}/galaxyloop provenance {placed['catalogue']}",
            f"  {registry}",
        )
    )


def _short(directory: Path) -> Path:
    """The path relative to where the person stands, if it is below."""
    here = Path.cwd()
    return directory.relative_to(here) if directory.is_relative_to(here) else directory

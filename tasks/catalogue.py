"""A catalogue in its place: whether what stands there will do, and what is put there if not."""

import json
from collections import Counter
from datetime import datetime
from pathlib import Path

from flytekit import task

from galaxyloop.acquisition import InformationConfig
from galaxyloop.catalogue import ProductsConfig
from galaxyloop.cutouts import CutoutConfig
from galaxyloop.posterior import PosteriorConfig
from galaxyloop.publishing import CatalogueRecord
from galaxyloop.surveys.missing import MissingChunk
from schemas.artefacts import Catalogue, Checkpoint, SurveyVersion
from schemas.model_version import ModelVersion
from tasks.local_run import is_in_pod
from tasks.opening import open_survey
from tasks.resources import CODE_VERSIONS, CPU_IMAGE, RETRIES, TABLES, retrying_storage

CATALOGUE_CODE = 2
"""Raised when catalogues or their products come out otherwise: what stands is then made again."""


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def check_catalogue(
    manifest: str,
    checkpoints: list[Checkpoint],
    cutouts: CutoutConfig,
    products: ProductsConfig,
    output: str,
    previous: str,
) -> tuple[str, str, str]:
    """Refuse before an image is read what would fail after; find the versions before this one.

    Returns:
        The manifest, and addresses of two survey versions, empty where there is none: the one to
        grow from, and the one that changes are listed against. Both are ``previous`` if that is
        given; else the one that the last run left at the output, finished or not, and that of the
        last finished catalogue there.
    """
    from galaxyloop.catalogue import check_products
    from galaxyloop.checkpoint import check_size, load_checkpoint
    from galaxyloop.errors import CheckpointError
    from galaxyloop.outputs import check_output
    from galaxyloop.publishing import find_surveys

    with retrying_storage():
        check_output(output, must_be_remote=is_in_pod())
    trees = []
    for checkpoint in checkpoints:
        model = load_checkpoint(checkpoint.download())
        check_size(model, cutouts.image_size_px)
        trees.append(model.tree)
    if any(tree.to_json() != trees[0].to_json() for tree in trees):
        names = ", ".join(tree.name for tree in trees)
        raise CheckpointError(
            f"models of one catalogue must answer the same questions, got the trees {names}; "
            "name only models of one campaign in further_models"
        )
    check_products(products, trees[0])
    if previous:
        return manifest, previous, previous
    with retrying_storage():
        return manifest, *find_surveys(output)


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def begin_catalogue(
    output: str,
    survey: SurveyVersion,
    checkpoints: list[Checkpoint],
    models: list[ModelVersion],
    cutouts: CutoutConfig,
    posterior: PosteriorConfig,
    information: InformationConfig,
    products: ProductsConfig,
) -> tuple[str, CatalogueRecord]:
    """Say that the catalogue at the output is what would be made; else keep the survey version.

    It is kept at the output before an image is cut out, so that after a failure the next run finds
    its chunks again, however the manifest has grown since. Refused are galaxies that an export
    could not hold.

    Returns:
        Why there is nothing to do, empty if there is; and the record of what is wanted.
    """
    from galaxyloop import publishing
    from galaxyloop.catalogue import check_galaxies

    settings = {
        "cutouts": cutouts.to_dict(),
        "posterior": posterior.to_dict(),
        "information": information.to_dict(),
        "products": products.to_dict(),
        "code": {name: CODE_VERSIONS[name] for name in ("cut_out_chunk", "predict_shard")},
        "catalogue_code": CATALOGUE_CODE,
    }
    wanted = CatalogueRecord(
        survey_digest=survey.digest,
        checkpoint_digests=[checkpoint.digest for checkpoint in checkpoints],
        settings=json.dumps(settings, sort_keys=True),
        models=[f"{model.name} version {model.version}" for model in models],
    )
    with retrying_storage():
        found = publishing.find_standing(output, wanted)
        if found is None:
            check_galaxies(products.formats, open_survey(survey))
            publishing.keep_survey(survey.download(), survey.digest, output)
            return "", wanted
    return (
        f"nothing to do: the catalogue of {found.date} stands and nothing was written\n"
        f"catalogue  {output.rstrip('/')}/{publishing.CATALOGUE} ({found.n_galaxies} galaxies)\n"
        f"survey     no galaxy was added, changed or removed (version {survey.digest[:12]})\n"
        f"model      {', '.join(found.models)}, with the same settings"
    ), wanted


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def publish_catalogue(
    output: str,
    catalogue: Catalogue,
    survey: SurveyVersion,
    missing: list[MissingChunk],
    record: CatalogueRecord,
) -> str:
    """Put a catalogue, its products and its survey version where they were asked for."""
    import dataclasses

    import pyarrow.parquet as pq

    from galaxyloop import publishing
    from galaxyloop.catalogue import read_catalogue_provenance

    directory = catalogue.download()
    path = directory / publishing.CATALOGUE
    complete = dataclasses.replace(
        record,
        date=read_catalogue_provenance(path).date,
        n_galaxies=int(pq.read_metadata(path).num_rows),
        n_missing=sum(chunk.n_galaxies for chunk in missing),
        missing_chunks=[chunk.chunk for chunk in missing],
    )
    with retrying_storage():
        place = publishing.publish_products(directory, survey.download(), output, complete)
    column = pq.read_table(directory / "changes.parquet", columns=["change"])["change"]
    changes = Counter({one["values"]: one["counts"] for one in column.value_counts().to_pylist()})
    told = _say(place, complete, missing, open_survey(survey).n_galaxies, changes)
    return "\n".join((told, *_say_drift(directory)))


@task(container_image=CPU_IMAGE, resources=TABLES)
def tell_night(kickoff: datetime, told: str) -> str:
    """What a night's run did, with the time it was due."""
    return f"night of {kickoff.isoformat(timespec='minutes')}\n{told}"


def _say_drift(directory: Path) -> list[str]:
    """What of the galaxies is unlike before; nothing if nothing is."""
    import pandas as pd

    from galaxyloop.drift import describe_drift

    path = directory / "drift.csv"
    flagged = describe_drift(pd.read_csv(path)) if path.is_file() else []
    return [f"DRIFT      {line}" for line in flagged]


def _say(
    place: str,
    record: CatalogueRecord,
    missing: list[MissingChunk],
    n_in_survey: int,
    changes: Counter[str],
) -> str:
    """Where the catalogue is, what is new in it and what is not in it."""
    lines = [
        f"catalogue  {place} ({record.n_galaxies} of {n_in_survey} galaxies)",
        f"survey     {changes['added']} galaxies added, {changes['changed']} changed, "
        f"{changes['removed']} removed (version {record.survey_digest[:12]})",
        f"model      {', '.join(record.models)}",
    ]
    if missing:
        lines.append(
            f"MISSING    {record.n_missing} galaxies of {len(missing)} chunks that failed; "
            f"{Path(place).name} says so in its footer, missing.parquet lists them; run again to "
            "do these chunks alone"
        )
        lines += [f"  chunk {one.chunk[:12]}, {one.step}: {one.reason}" for one in missing[:3]]
    return "\n".join(lines)

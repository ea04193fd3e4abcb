"""From positions on the sky to packed cutouts: images from a service, then ingestion."""

from flytekit import workflow

from galaxyloop.cutout_services import CutoutServiceConfig
from galaxyloop.cutouts import CutoutConfig
from galaxyloop.surveys import IngestConfig
from schemas.artefacts import CutoutShard, SurveyVersion
from tasks.fetch import fetch_cutouts
from workflows.ingest import ingest_survey


@workflow
def fetch_survey(
    galaxies: str,
    service: CutoutServiceConfig,
    output: str,
    ingest: IngestConfig = IngestConfig(),
    cutouts: CutoutConfig = CutoutConfig(),
    previous: str = "",
) -> tuple[SurveyVersion, list[CutoutShard]]:
    """Fetch a survey's images from a cutout service and pack its cutouts.

    Args:
        galaxies: table with id_str, ra_deg and dec_deg.
        service: which service is asked, for what, how gently.
        output: folder or address for the images; a later run asks only for what is missing there.
        ingest: how the manifest and images are read, and cut into chunks.
        cutouts: how images become cutouts.
        previous: directory of the survey version this one grows from; empty for a new survey.
    """
    manifest = fetch_cutouts(galaxies=galaxies, service=service, output=output)
    survey, shards = ingest_survey(
        manifest=manifest, ingest=ingest, cutouts=cutouts, previous=previous
    )
    return survey, shards

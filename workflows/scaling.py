"""How much do more votes help, and a larger encoder? Every cell trained once, and the laws."""

from flytekit import dynamic, workflow

from galaxyloop.cutouts import CutoutConfig
from galaxyloop.scaling.cells import list_cells
from galaxyloop.scaling.config import ScalingConfig
from galaxyloop.splits import SplitConfig
from galaxyloop.surveys import IngestConfig
from galaxyloop.vote_tables.settings import VotesConfig, VoteSource
from schemas.artefacts import CutoutShard, SurveyVersion, VoteTable
from schemas.splits import KeyedSplits
from tasks.pretrain import digest_labels
from tasks.resources import CPU_IMAGE, WIRING
from tasks.scaling import check_scaling, publish_scaling, run_scaling_cell
from tasks.votes import read_votes, split_galaxies
from workflows.fan_out import fan_out
from workflows.ingest import ingest_survey


@dynamic(container_image=CPU_IMAGE, resources=WIRING)
def run_scaling_cells(
    study: ScalingConfig,
    data_digest: str,
    survey: SurveyVersion,
    shards: list[CutoutShard],
    votes: VoteTable,
    splits: KeyedSplits,
) -> tuple[list[str | None], list[str]]:
    """One task a cell; those run before are cache hits. Says why a row is missing."""
    shared = {
        "data_digest": data_digest,
        "survey": survey,
        "shards": shards,
        "votes": votes,
        "splits": splits,
    }
    return fan_out(run_scaling_cell, {"cell": list_cells(study)}, shared)


@workflow
def scaling_study(
    manifest: str,
    votes: list[VoteSource],
    output: str = "scaling",
    study: ScalingConfig = ScalingConfig(),
    ingest: IngestConfig = IngestConfig(),
    cutouts: CutoutConfig = CutoutConfig(),
    vote_checks: VotesConfig = VotesConfig(),
    split: SplitConfig = SplitConfig(),
) -> str:
    """Train encoders on fractions of the votes, and foretell what the next doubling gains.

    All cells are judged by the same test galaxies. A cell that fails is a row with its reason.

    Args:
        manifest: table with id_str and image_uri (csv, Parquet, FITS, VOTable; path or address).
        votes: published vote tables, each with its campaign.
        output: folder or address that receives scaling.csv, .png, .json, the cells and the laws.
        study: encoders, fractions, seeds, training and how laws are fitted.
        ingest: how the manifest is read and cut into chunks.
        cutouts: how images become cutouts.
        vote_checks: how much disorder a vote table may have.
        split: shares of galaxies that validate and test.
    """
    checked = check_scaling(manifest=manifest, votes=votes, study=study, output=output)
    survey, shards = ingest_survey(manifest=checked, ingest=ingest, cutouts=cutouts)
    table = read_votes(sources=votes, checks=vote_checks)
    splits = split_galaxies(survey=survey, votes=table, config=split)
    digest = digest_labels(survey=survey, shards=shards, votes=table, splits=splits)
    rows, reasons = run_scaling_cells(
        study=study,
        data_digest=digest,
        survey=survey,
        shards=shards,
        votes=table,
        splits=splits,
    )
    told: str = publish_scaling(output=output, rows=rows, reasons=reasons, study=study)
    return told

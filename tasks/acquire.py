"""The list of galaxies to ask volunteers about next."""

from flytekit import task

from galaxyloop.acquisition import AcquisitionConfig
from schemas.artefacts import (
    Acquisition,
    AcquisitionDirectory,
    Checkpoint,
    Prediction,
    SurveyVersion,
    VoteTable,
)
from tasks.local_run import keep, new_directory
from tasks.opening import open_survey, prediction_files
from tasks.resources import CPU_IMAGE, RETRIES, TABLES


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def rank_galaxies(
    survey: SurveyVersion,
    predictions: list[Prediction],
    votes: VoteTable,
    checkpoint: Checkpoint,
    config: AcquisitionConfig,
) -> Acquisition:
    """Rank the galaxies without votes by what the model would learn from theirs."""
    from galaxyloop import acquisition
    from galaxyloop.checkpoint import load_checkpoint_tree
    from galaxyloop.judgement import check_table
    from galaxyloop.storage import file_digest
    from galaxyloop.vote_tables import load_votes
    from schemas.acquisition import judge_acquisition

    tree = load_checkpoint_tree(checkpoint.download())
    candidates = acquisition.read_candidates(
        prediction_files(predictions),
        tree,
        open_survey(survey).galaxies,
        load_votes(votes.download()),
        config.name,
    )
    ranked = acquisition.rank_galaxies(candidates, tree, config)
    check_table(ranked, tree, judge_acquisition, "the acquisition list")
    directory = new_directory("acquisition")
    directory.mkdir()
    path = directory / "acquisition.parquet"
    ranked.to_parquet(path, index=False)
    return keep(directory, AcquisitionDirectory, file_digest(path))

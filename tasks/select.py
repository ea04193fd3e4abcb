"""Which galaxies volunteers are asked about next, as a set of subjects for Zooniverse."""

from datetime import UTC, datetime

from flytekit import task

from galaxyloop.acquisition import AcquisitionConfig, BatchConfig, RetirementConfig
from galaxyloop.cutouts import CutoutConfig
from galaxyloop.vote_tables.settings import VoteSource
from galaxyloop.zooniverse.config import SubjectSetConfig
from schemas.artefacts import (
    Acquisition,
    AcquisitionDirectory,
    Checkpoint,
    CutoutShard,
    Prediction,
    Representations,
    SurveyVersion,
    VoteTable,
)
from schemas.model_version import ModelVersion
from tasks.embed import FILE, shards_of
from tasks.lineage import code_version
from tasks.local_run import is_in_pod, keep, new_directory
from tasks.opening import open_cutouts, open_survey, prediction_files
from tasks.resources import CPU_IMAGE, RETRIES, TABLES, VECTORS, retrying_storage


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def check_selection(
    manifest: str,
    votes: list[VoteSource],
    checkpoint: Checkpoint,
    cutouts: CutoutConfig,
    acquisition: AcquisitionConfig,
    retirement: RetirementConfig,
    asked_before: list[str],
    output: str,
) -> str:
    """Refuse before an image is read what would fail after; gives the manifest."""
    from galaxyloop.checkpoint import check_size, load_checkpoint
    from galaxyloop.outputs import check_output
    from galaxyloop.zooniverse.checks import check_rules
    from galaxyloop.zooniverse.earlier import read_asked_ids
    from galaxyloop.zooniverse.output import check_apart, check_place

    with retrying_storage():
        check_output(output, must_be_remote=is_in_pod())
        check_place(output)
        read_asked_ids(asked_before)
        check_apart(output, asked_before)
    model = load_checkpoint(checkpoint.download())
    check_size(model, cutouts.image_size_px)
    check_rules([source.campaign for source in votes], model.tree, acquisition, retirement)
    return manifest


@task(container_image=CPU_IMAGE, resources=VECTORS, retries=RETRIES)
def select_galaxies(
    survey: SurveyVersion,
    predictions: list[Prediction],
    representations: list[Representations],
    votes: list[VoteTable],
    checkpoint: Checkpoint,
    acquisition: AcquisitionConfig,
    batch: BatchConfig,
    retirement: RetirementConfig,
    asked_before: list[str],
) -> Acquisition:
    """Rank the galaxies that have not votes enough, and choose a batch; refuses foreign votes.

    ``votes`` may be empty.
    """
    from galaxyloop.checkpoint import load_checkpoint_tree
    from galaxyloop.judgement import check_table
    from galaxyloop.vote_tables import load_closed_ids, load_vote_tree, load_votes
    from galaxyloop.zooniverse import selection
    from galaxyloop.zooniverse.earlier import read_asked_ids
    from galaxyloop.zooniverse.votes import check_votes
    from schemas.acquisition import judge_acquisition
    from schemas.selection import judge_selection

    with retrying_storage():
        asked = read_asked_ids(asked_before)
    tree = load_checkpoint_tree(checkpoint.download())
    galaxies, tables = open_survey(survey).galaxies, [table.download() for table in votes]
    for table in tables:
        check_votes(galaxies["id_str"], table)
    sources = selection.SelectionSources(
        tree=tree,
        galaxies=galaxies,
        predictions=prediction_files(predictions),
        representations=[part.download() / FILE for part in representations],
        votes=load_votes(tables[0]) if tables else None,
        vote_tree=load_vote_tree(tables[0]) if tables else None,
        closed=load_closed_ids(tables[0]) if tables else set(),
        asked=asked,
    )
    rules = selection.SelectionRules(acquisition, batch, retirement)
    selected = selection.select_galaxies(sources, rules)
    check_table(selected.ranked, tree, judge_acquisition, "the ranked list")
    check_table(selected.chosen, tree, judge_selection, "the batch")
    directory = new_directory("selection")
    directory.mkdir()
    return keep(directory, AcquisitionDirectory, selected.save(directory))


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def publish_selection(
    output: str,
    selection: Acquisition,
    survey: SurveyVersion,
    votes: list[VoteTable],
    shards: list[CutoutShard],
    checkpoint: Checkpoint,
    model: ModelVersion,
    cutouts: CutoutConfig,
    subject_set: SubjectSetConfig,
) -> str:
    """Write tables, gallery, page and subject set where they were asked for; says what to do."""
    from galaxyloop.checkpoint import load_checkpoint_tree
    from galaxyloop.zooniverse.output import whole_selection
    from galaxyloop.zooniverse.selection import Selection
    from galaxyloop.zooniverse.votes import list_exports
    from galaxyloop.zooniverse.writing import (
        Origin,
        SurveyImages,
        say_selection,
        write_selection,
    )

    selected = Selection.load(selection.download())
    facts = {
        "model": f"{model.name}/{model.version}",
        "checkpoint_digest": checkpoint.digest,
        "survey_digest": survey.digest,
        "code_version": code_version(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    exports = [export for table in votes for export in list_exports(table.download())]
    with retrying_storage(), whole_selection(output) as draft:
        galaxies, tree = open_survey(survey).galaxies, load_checkpoint_tree(checkpoint.download())
        own = shards_of(selected.chosen["id_str"].tolist(), shards, survey)
        images = SurveyImages(galaxies, open_cutouts(own, survey), cutouts)
        origin = Origin(facts, exports)
        told = write_selection(selected, images, tree, subject_set, origin, draft)
    return say_selection(selected, told, output, exports)

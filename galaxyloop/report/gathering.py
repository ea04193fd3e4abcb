"""Gathers what one round left behind into the content of its report."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from galaxyloop.catalogue import read_catalogue_provenance
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.evaluation import Evaluation
from galaxyloop.report.content import (
    GalaxyImage,
    GalaxyPosterior,
    HeldOutGalaxies,
    Image,
    ReportContent,
)
from galaxyloop.shards import CutoutCollection, CutoutShard
from galaxyloop.surveys import SurveyVersion
from galaxyloop.vote_tables import VoteSummary, load_vote_rejects, load_vote_summary

_N_IN_GROUP = 6
_N_GROUPS = 8
_N_ASKED_NEXT = 24


@dataclass(frozen=True)
class RoundResults:
    """Where a round's results lie."""

    survey: SurveyVersion
    shards: Sequence[CutoutShard]
    votes: Path
    """Directory of the vote table."""
    checkpoint: Path
    """Directory of the checkpoint."""
    evaluation: Evaluation
    cross_validation: pd.DataFrame | None
    catalogue: Path
    """The parquet file."""
    acquisition: Path
    """The parquet file."""


def gather_report(results: RoundResults) -> ReportContent:
    """Everything the report shows, read from the files of the round."""
    evaluation = results.evaluation
    tree = evaluation.tree
    cutouts = CutoutCollection(results.shards, results.survey.alive)
    catalogue = pd.read_parquet(results.catalogue)
    provenance = read_catalogue_provenance(results.catalogue)
    ranked = pd.read_parquet(results.acquisition).head(_N_ASKED_NEXT)
    images = _Images(cutouts)
    votes = load_vote_summary(results.votes)
    return ReportContent(
        title=f"{results.survey.name}: {tree.name}",
        survey=results.survey.name,
        tree=tree,
        model=f"{provenance.model_name} version {provenance.model_version}",
        intake=count_intake(results.survey, cutouts, votes),
        rejects=_rejects(results, cutouts),
        learning_log=pd.read_parquet(results.checkpoint / "log.parquet"),
        n_catalogue_rows=len(catalogue),
        metrics=evaluation.metrics,
        cross_validation=results.cross_validation,
        held_out=HeldOutGalaxies(
            evaluation.fractions,
            evaluation.votes,
            evaluation.config.min_votes,
            evaluation.config.confident_fraction,
        ),
        calibration=evaluation.calibration,
        pit=evaluation.pit,
        galaxies=_posteriors(evaluation, images),
        gallery=_gallery(catalogue, tree, images),
        acquisition=ranked,
        acquisition_images={id_str: images[id_str] for id_str in ranked["id_str"]},
        provenance={
            **provenance.as_texts(),
            "votes_digest": votes.digest,
            "settings": json.dumps(_run_settings(results.checkpoint)),
        },
    )


class _Images(Mapping[str, Image]):
    """Cutouts by id, read when they are asked for."""

    def __init__(self, cutouts: CutoutCollection) -> None:
        self._cutouts = cutouts
        self._place = {id_str: i for i, id_str in enumerate(cutouts.id_strs.tolist())}

    def __getitem__(self, id_str: str) -> Image:
        image: Image = self._cutouts.read(np.array([self._place[id_str]]))[0]
        return image

    def __iter__(self) -> Iterator[str]:
        return iter(self._place)

    def __len__(self) -> int:
        return len(self._place)


def count_intake(
    survey: SurveyVersion, cutouts: CutoutCollection, votes: VoteSummary
) -> pd.DataFrame:
    """What was read, used and rejected at each step; images first.

    Read, used and rejected are counted each by itself, so that galaxies lost on the way show.
    Of a survey that has grown only the living count: old shards still hold the others. Of votes
    the galaxies that the campaign did not show, or that an earlier table has, do not count.

    Args:
        survey: the version the round was played on.
        cutouts: all its shards, read with ``survey.alive``.
        votes: the vote table's own counts.

    Returns:
        ``step, n_read, n_used, n_rejected``; ``ReportContent`` refuses a row that does not add up.
    """
    n_votes = votes.n_read - votes.n_absent - votes.n_known
    steps = [
        ("images", len(survey.alive), len(cutouts), len(cutouts.rejects)),
        ("rows of the manifest", survey.n_read, len(survey.galaxies), len(survey.rejects)),
        ("rows of votes", n_votes, votes.n_accepted, votes.n_rejected),
    ]
    # Those set aside are no part of it: of another workflow, unfinished, a volunteer's second.
    counted = [source.classifications for source in votes.sources if source.classifications]
    steps += [
        ("classifications", one.n_used + one.n_rejected, one.n_used, one.n_rejected)
        for one in counted
    ]
    return pd.DataFrame(steps, columns=["step", "n_read", "n_used", "n_rejected"])


def _rejects(results: RoundResults, cutouts: CutoutCollection) -> dict[str, pd.DataFrame]:
    """Every rejected row, by what it is a row of."""
    return {
        "images": cutouts.rejects,
        "manifest": results.survey.rejects,
        "votes": load_vote_rejects(results.votes),
    }


def _posteriors(evaluation: Evaluation, images: Mapping[str, Image]) -> list[GalaxyPosterior]:
    """The held-out galaxies whose concentrations were kept."""
    return [
        GalaxyPosterior(id_str, images[id_str], evaluation.concentrations[:, i], votes)
        for i, (id_str, votes) in enumerate(
            zip(
                evaluation.id_strs[evaluation.shown].tolist(),
                evaluation.votes[evaluation.shown],
                strict=True,
            )
        )
    ]


def _gallery(
    catalogue: pd.DataFrame, tree: DecisionTree, images: Mapping[str, Image]
) -> list[GalaxyImage]:
    """The galaxies surest to be given some answers."""
    columns = list(_telling_columns(tree))
    gallery = []
    for column in columns[:_N_GROUPS]:
        question = tree.questions[tree.question_of_answer[tree.columns.index(column)]]
        fraction = catalogue[f"{column}_fraction"]
        surest = (fraction * catalogue[f"{question.name}_asked"]).nlargest(_N_IN_GROUP).index
        gallery += [
            GalaxyImage(id_str, images[id_str], f"{fraction[i]:.0%}", column)
            for i, id_str in catalogue.loc[surest, "id_str"].items()
        ]
    return gallery


def _telling_columns(tree: DecisionTree) -> Iterator[str]:
    """Of each campaign in turn: all answers of the first question, then the others' first."""
    turns = itertools.zip_longest(
        *(
            (*part.questions[0].columns, *(one.columns[0] for one in part.questions[1:]))
            for part in tree.parts
        )
    )
    return (column for turn in turns for column in turn if column is not None)


def _run_settings(checkpoint: Path) -> dict[str, object]:
    """The settings of the training."""
    settings: dict[str, object] = json.loads((checkpoint / "config.json").read_text())["run"]
    return settings

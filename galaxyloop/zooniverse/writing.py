"""A selection as a person gets it: tables, gallery, page and subject set in one folder."""

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from galaxyloop.cutouts import CutoutConfig
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.shards import CutoutCollection
from galaxyloop.vote_tables import SourceSummary
from galaxyloop.zooniverse.config import SubjectSetConfig
from galaxyloop.zooniverse.output import RECORD
from galaxyloop.zooniverse.page import draw_gallery, render_page
from galaxyloop.zooniverse.pictures import read_pictures
from galaxyloop.zooniverse.selection import ASKED, Selection
from galaxyloop.zooniverse.subject_set import SubjectSetSummary, write_subject_set
from galaxyloop.zooniverse.votes import record_exports, say_exports

SUBJECT_SET = "subject_set"


@dataclass(frozen=True)
class SurveyImages:
    """Where galaxies' images are."""

    galaxies: pd.DataFrame
    """The survey as it is now, with ``image_uri`` and ``image_digest``."""
    cutouts: CutoutCollection
    """Of the chosen galaxies at least."""
    how: CutoutConfig
    """How the cutouts were made."""


@dataclass(frozen=True)
class Origin:
    """Where a selection comes from."""

    facts: Mapping[str, str]
    """By name; ``model`` is needed."""
    exports: Sequence[SourceSummary] = ()
    """Exports of classifications among the votes."""


def write_selection(
    selection: Selection,
    images: SurveyImages,
    tree: DecisionTree,
    config: SubjectSetConfig,
    origin: Origin,
    directory: Path,
) -> SubjectSetSummary:
    """Write ranked.parquet, ask_next.parquet and .csv, .png and .html, and subject_set/.

    Args:
        selection: what was chosen.
        images: of the galaxies.
        tree: the model's questions.
        config: what volunteers are shown.
        origin: where it comes from.
        directory: is there.

    Raises:
        SubjectSetError: a galaxy has no cutout, or Zooniverse would refuse the set.
        StorageError: the network failed while images were read.
    """
    chosen, facts = selection.chosen, origin.facts
    wanted = images.galaxies.set_index("id_str").loc[chosen["id_str"]].reset_index()
    with closing(read_pictures(wanted, images.cutouts, images.how, config)) as pictures:
        told = write_subject_set(chosen, pictures, config, facts["model"], directory / SUBJECT_SET)
    selection.ranked.to_parquet(directory / "ranked.parquet", index=False)
    chosen.to_parquet(directory / "ask_next.parquet", index=False)
    chosen.to_csv(directory / "ask_next.csv", index=False, lineterminator="\n")
    gallery = draw_gallery(selection, images.cutouts, tree)
    gallery.savefig(directory / "ask_next.png")
    page = render_page(selection, gallery, tree, facts)
    (directory / "ask_next.html").write_text(page, encoding="utf-8")
    numbers = {
        "n_ranked": len(selection.ranked),
        "n_retired": int(selection.own["is_retired"].sum()),
        "n_foreign": selection.n_foreign,
        "classifications": record_exports(origin.exports),
        "subject_set": asdict(told),
    }
    record = json.dumps({**facts, **numbers}, indent=1)
    (directory / RECORD).write_text(record + "\n", encoding="utf-8")
    return told


def say_selection(
    selection: Selection,
    told: SubjectSetSummary,
    output: str,
    exports: Sequence[SourceSummary] = (),
) -> str:
    """Where things are, and what to do with them."""
    place = output.rstrip("/")
    retired, n_chosen, n_ranked = selection.own, len(selection.chosen), len(selection.ranked)
    is_waiting = retired["reason"] == ASKED
    n_retired = int((retired["is_retired"] & ~is_waiting).sum())
    n_voted, n_waiting = int((retired["n_votes"] > 0).sum()), int(is_waiting.sum())
    waiting = [f"waiting      {n_waiting} galaxies of earlier batches"] if n_waiting else []
    foreign = [f"foreign      {selection.n_foreign} galaxies with votes are not in the survey"]
    images = f"{told.n_originals} original images, {told.n_cutouts} cutouts"
    return "\n".join(
        (
            f"ask next     {place}/ask_next.csv ({n_chosen} of {n_ranked} galaxies)",
            f"not again    {n_retired} of {n_voted} galaxies with votes",
            *(foreign if selection.n_foreign else []),
            *say_exports(exports),
            *waiting,
            f"page         {place}/ask_next.html",
            f"subject set  {place}/{SUBJECT_SET} ({images}, {told.n_bytes / 1e6:.1f} MB)",
            f"To upload: as {place}/{SUBJECT_SET}/README.md says; then name the workflow's",
            "classifications export among the votes of the next round or selection.",
        )
    )

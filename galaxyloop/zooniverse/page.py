"""A page of the galaxies that are asked about, and why."""

import base64
import io
from collections.abc import Mapping
from importlib import resources

import jinja2
import numpy as np
import pandas as pd
from jaxtyping import UInt8
from matplotlib.figure import Figure

from galaxyloop.decision_tree import DecisionTree
from galaxyloop.plots.selection import plot_asked_galaxy
from galaxyloop.plots.style import LIGHT, new_figure, paint
from galaxyloop.report.tables import question_titles
from galaxyloop.shards import CutoutCollection
from galaxyloop.zooniverse.selection import Selection

N_DRAWN = 24
"""Galaxies in the gallery, the best ranked."""
N_LISTED = 200
"""Galaxies in the table of the page; ask_next.csv has all."""
_IN_ROW = 3


def draw_gallery(selection: Selection, cutouts: CutoutCollection, tree: DecisionTree) -> Figure:
    """The best ranked of the batch, each beside the fractions of its most informative question.

    Args:
        selection: the batch.
        cutouts: of these galaxies at least.
        tree: the model's questions.
    """
    drawn = selection.chosen.head(N_DRAWN)
    n_rows = -(-len(drawn) // _IN_ROW)
    figure, axes = new_figure(3.4 * _IN_ROW, 1.45 * n_rows, n_rows, 2 * _IN_ROW)
    for ax in axes[2 * len(drawn) :]:
        ax.set_axis_off()
    titles = question_titles(tree)
    places = pd.Index(cutouts.id_strs).get_indexer(drawn["id_str"].tolist())
    for number, row in enumerate(drawn.to_dict("records")):
        image: UInt8[np.ndarray, "y x band"] = cutouts.read(places[number : number + 1])[0]
        title = f"{row['rank']}. {titles[row['most_informative_question']]}"
        own = selection.fractions[selection.fractions["id_str"] == row["id_str"]]
        caption = str(row["id_str"])
        plot_asked_galaxy(image, own, title, caption, axes[2 * number : 2 * number + 2])
    return paint(figure, LIGHT)


def render_page(
    selection: Selection, gallery: Figure, tree: DecisionTree, facts: Mapping[str, str]
) -> str:
    """One self-contained HTML page: what is asked, of whom, why, and where it comes from.

    Args:
        selection: the batch.
        gallery: from ``draw_gallery``.
        tree: the model's questions.
        facts: where it comes from, by name.
    """
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    package = resources.files("galaxyloop")
    template = (package / "zooniverse" / "page.html").read_text("utf-8")
    picture = io.BytesIO()
    gallery.savefig(picture, format="png")
    titles = question_titles(tree)
    chosen = selection.chosen
    counts = chosen["most_informative_question"].map(titles).value_counts()
    return environment.from_string(template).render(
        style=(package / "report" / "style.css").read_text("utf-8"),
        n_chosen=len(chosen),
        n_ranked=len(selection.ranked),
        n_retired=int(selection.own["is_retired"].sum()),
        n_begun=int((chosen["n_votes"] > 0).sum()),
        n_wanted=int(chosen["votes_wanted"].sum()),
        n_drawn=min(N_DRAWN, len(chosen)),
        gallery=f"data:image/png;base64,{base64.b64encode(picture.getvalue()).decode()}",
        questions=list(counts.items()),
        rows=chosen.head(N_LISTED)
        .assign(question=lambda rows: rows["most_informative_question"].map(titles))
        .to_dict("records"),
        facts=list(facts.items()),
    )

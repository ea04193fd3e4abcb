"""Draw galaxies beside what a checkpoint expects volunteers to say about them.

The figure of Walmsley et al. (2020, arXiv:1905.07424): each grey line is one network of the
dropout ensemble, the coloured area their mixture, the dashed line what volunteers said. The
directories are those of a round: see docs/how_to/find_the_local_store.md.

python examples/posterior_panel.py CHECKPOINT SHARD --votes VOTES --out posterior_panel.png
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Int64
from matplotlib.figure import Figure

from galaxyloop import plots
from galaxyloop.checkpoint import load_checkpoint
from galaxyloop.errors import GalaxyloopError
from galaxyloop.models import GalaxyModel
from galaxyloop.posterior import PosteriorConfig, predict_concentrations
from galaxyloop.shards import CutoutShard
from galaxyloop.vote_tables import load_votes


def draw_panel(
    model: GalaxyModel, shard: CutoutShard, votes: pd.DataFrame | None, column: str, n_galaxies: int
) -> Figure:
    """One row a galaxy; with votes, the galaxies that were most often asked the question."""
    tree = model.tree
    place = next(part for part in tree.slices.values() if column in tree.columns[part])
    counts = count_votes(shard, votes, tree.columns[place])
    chosen = np.argsort(-counts.sum(axis=1), kind="stable")[:n_galaxies]
    images = np.asarray(shard.images[chosen])
    concentrations = predict_concentrations(model, images, PosteriorConfig()).numpy()[..., place]
    answer = tree.columns[place].index(column)
    figure, axes = plots.new_figure(4.6, 1.6 * len(chosen), len(chosen), 2)
    for row, galaxy in enumerate(chosen):
        pair = (axes[2 * row], axes[2 * row + 1])
        plots.plot_vote_posterior_panel(
            images[row], concentrations[:, row], counts[galaxy], answer, pair
        )
    figure.suptitle(column, fontsize=9)
    return figure


def count_votes(
    shard: CutoutShard, votes: pd.DataFrame | None, columns: tuple[str, ...]
) -> Int64[np.ndarray, "galaxy answer"]:
    """The votes on one question's answers, 0 where nobody was asked."""
    if votes is None:
        return np.zeros((len(shard.index), len(columns)), dtype=np.int64)
    known = votes.set_index("id_str")[list(columns)].reindex(shard.index["id_str"])
    return known.fillna(0).to_numpy(dtype=np.int64)


def main() -> None:
    """Read the arguments, write the figure, say where."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("checkpoint", type=Path, help="directory of a checkpoint")
    parser.add_argument("shard", type=Path, help="directory of a shard of cutouts")
    parser.add_argument("--votes", type=Path, help="directory of a vote table; default: no votes")
    parser.add_argument("--answer", help="answer column; default: the first question's second")
    parser.add_argument("--galaxies", type=int, default=6, help="rows of the figure")
    parser.add_argument("--out", type=Path, default=Path("posterior_panel.png"))
    options = parser.parse_args()
    try:
        model = load_checkpoint(options.checkpoint)
        shard = CutoutShard.open(options.shard)
        votes = load_votes(options.votes) if options.votes else None
    except GalaxyloopError as error:
        parser.error(str(error))
    column = options.answer or model.tree.columns[1]
    if column not in model.tree.columns:
        parser.error(f"there is no answer {column}; choose one of {', '.join(model.tree.columns)}")
    draw_panel(model, shard, votes, column, options.galaxies).savefig(options.out)
    print(f"{min(options.galaxies, len(shard.index))} galaxies: {options.out.resolve()}")


if __name__ == "__main__":
    main()

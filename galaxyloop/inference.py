"""From a shard of cutouts to what the catalogue and the acquisition say of each galaxy."""

from pathlib import Path

import torch
from tqdm import tqdm

from galaxyloop.acquisition import InformationConfig, expected_information
from galaxyloop.checkpoint import check_size
from galaxyloop.devices import predicting
from galaxyloop.models import GalaxyModel
from galaxyloop.posterior import (
    PosteriorConfig,
    PosteriorSummary,
    predict_concentrations,
    summarise,
)
from galaxyloop.predictions import write_predictions
from galaxyloop.shards import CutoutShard

_GALAXIES_AT_ONCE = 1024


def predict_shard(
    model: GalaxyModel,
    shard: CutoutShard,
    posterior: PosteriorConfig,
    information: InformationConfig,
    path: Path,
) -> int:
    """Write the predictions of one shard; the encoder runs once a galaxy.

    Memory holds the concentrations of a thousand galaxies at a time and the summaries of one
    shard. A galaxy's row depends on its pixels and the configs alone.

    Args:
        model: from ``load_checkpoint``; it runs on an accelerator if there is one.
        shard: cutouts of the size the model was trained on.
        posterior: dropout samples, grid of the intervals.
        information: volunteers expected.
        path: the parquet file.

    Returns:
        Number of galaxies.

    Raises:
        CheckpointError: the model was trained on cutouts of another size.
    """
    check_size(model, shard.summary.image_size_px)
    summaries, nats = [], []
    starts = range(0, len(shard.index), _GALAXIES_AT_ONCE)
    with predicting(model, posterior.n_threads):
        for first in tqdm(starts, "predict", unit="k galaxies", leave=False):
            images = shard.images[first : first + _GALAXIES_AT_ONCE]
            concentrations = predict_concentrations(model, images, posterior)
            summary = summarise(concentrations, model.tree, posterior)
            summaries.append(summary)
            nats.append(
                expected_information(concentrations, summary.asked, model.tree, information)
            )
    columns = _joined(summaries, model), _stacked(nats, model)
    write_predictions(shard.index, *columns, model.tree, path)
    return len(shard.index)


def _joined(summaries: list[PosteriorSummary], model: GalaxyModel) -> PosteriorSummary:
    """The summaries one below the other; of no galaxies if there are none."""
    n_answers, n_questions = len(model.tree.columns), len(model.tree.questions)
    if not summaries:
        answers, questions = torch.zeros(0, n_answers), torch.zeros(0, n_questions)
        return PosteriorSummary(answers, answers, answers, questions)
    return PosteriorSummary(
        *(
            torch.cat([getattr(summary, field) for summary in summaries])
            for field in ("fraction", "p05", "p95", "asked")
        )
    )


def _stacked(nats: list[torch.Tensor], model: GalaxyModel) -> torch.Tensor:
    """The information one below the other."""
    return torch.cat([torch.zeros(0, len(model.tree.questions)), *nats])

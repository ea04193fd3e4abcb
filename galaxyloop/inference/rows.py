"""Rows of predictions: posteriors summarised where the features are, galaxies named beside."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import torch
from jaxtyping import Float, Int32
from torch import Tensor

from galaxyloop.acquisition import InformationConfig, expected_information
from galaxyloop.flags import distance_flags
from galaxyloop.models import GalaxyModel
from galaxyloop.posterior import PosteriorConfig, PosteriorSummary, summarise
from galaxyloop.posterior.sampling import PosteriorSampler, Views
from galaxyloop.predictions import ImageQuality, prediction_table

_PLACE_COLUMNS = ["id_str", "ra_deg", "dec_deg", "image_digest"]


class RowMaker:
    """Makes rows of predictions from what the encoders gave.

    Args:
        members: models of one tree.
        posterior: samples, views and grid.
        information: volunteers expected.
    """

    def __init__(
        self,
        members: Sequence[GalaxyModel],
        posterior: PosteriorConfig,
        information: InformationConfig,
    ) -> None:
        """Keep what the rows depend on."""
        self._members = members
        self._tree = members[0].tree
        self._posterior = posterior
        self._information = information
        self._samplers = [PosteriorSampler(member, posterior) for member in members]

    @torch.no_grad()
    def make(
        self, batches: Sequence[Views], flags: Int32[np.ndarray, " galaxy"], places: pd.DataFrame
    ) -> pa.Table:
        """Rows of the batches' galaxies.

        Args:
            batches: one or more.
            flags: what these galaxies' images are like.
            places: id, position and image digest, in the same order.
        """
        features = [torch.cat(parts, dim=1) for parts in zip(*batches, strict=True)]
        concentrations = torch.cat(
            [sampler(views) for sampler, views in zip(self._samplers, features, strict=True)]
        )
        summary = summarise(concentrations, self._tree, self._posterior)
        nats = expected_information(concentrations, summary.asked, self._tree, self._information)
        distance = self._distance(features).cpu().numpy()
        quality = ImageQuality(distance, flags | distance_flags(distance))
        return prediction_table(places, _on_cpu(summary), nats.cpu(), self._tree, quality)

    def _distance(
        self, features: Sequence[Float[Tensor, "view galaxy _feature"]]
    ) -> Float[Tensor, " galaxy"]:
        """Mean over members of the distance of the images as they are; NaN if one knows none."""
        pairs = zip(self._members, features, strict=True)
        return torch.stack([member.reference.distance(views[0]) for member, views in pairs]).mean(0)


class PlaceReader:
    """Reads a shard's index in order, as many rows at a time as are asked for."""

    def __init__(self, index: pyarrow.parquet.ParquetFile, rows_at_once: int) -> None:
        """Read nothing yet."""
        self._parts: Iterator[pa.RecordBatch] = index.iter_batches(
            rows_at_once, columns=_PLACE_COLUMNS
        )
        self._waiting = index.schema_arrow.empty_table().select(_PLACE_COLUMNS)

    def take(self, n_galaxies: int) -> pd.DataFrame:
        """Id, position and image digest of the next galaxies."""
        while len(self._waiting) < n_galaxies:
            part = pa.Table.from_batches([next(self._parts)])
            self._waiting = pa.concat_tables([self._waiting, part.cast(self._waiting.schema)])
        taken = self._waiting.slice(0, n_galaxies)
        self._waiting = self._waiting.slice(n_galaxies)
        places: pd.DataFrame = taken.to_pandas()
        return places


def _on_cpu(summary: PosteriorSummary) -> PosteriorSummary:
    """The summary where it is written from."""
    return PosteriorSummary(
        summary.fraction.cpu(), summary.p05.cpu(), summary.p95.cpu(), summary.asked.cpu()
    )

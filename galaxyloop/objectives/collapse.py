"""Whether representations still differ from galaxy to galaxy: what goes wrong without negatives."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from galaxyloop.processes import summed

_SMALLEST_SPREAD = 1e-6
"""Of vectors of length 1: what is less than this along a direction is rounding of float32."""


class CollapseMonitor:
    """Sums over batches from which spread and rank of the representations follow.

    Both are of representations scaled to length 1, taken from their mean:

    - ``feature_std``: standard deviation of each feature over galaxies, averaged over features,
      times the root of their number: 1 if they fill the sphere evenly, 0 if all are equal
      (Chen & He 2021, arXiv:2011.10566).
    - ``effective_rank``: exp of the entropy of the normalised singular values (Roy & Vetterli
      2007; Garrido et al. 2023, arXiv:2210.02885): how many directions are used; 1 if none is.
    """

    def __init__(self) -> None:
        """Start from nothing."""
        self._n = 0
        self._sum: Tensor | None = None
        self._products: Tensor | None = None

    def add(self, features: Float[Tensor, "galaxy feature"]) -> None:
        """Take in a batch; nothing waits for the device."""
        unit = torch.nn.functional.normalize(features.detach().double(), dim=1)
        if self._sum is None or self._products is None:
            self._sum = unit.sum(dim=0)
            self._products = unit.T @ unit
        else:
            self._sum += unit.sum(dim=0)
            self._products += unit.T @ unit
        self._n += len(unit)

    def values(self) -> dict[str, float]:
        """Both measures, NaN if a feature was; none before two galaxies were seen.

        Over the batches of all processes, each of which must have seen one.
        """
        if self._sum is None or self._products is None:
            return {}
        n = int(summed(torch.tensor(self._n)))
        if n < 2:
            return {}
        mean = summed(self._sum) / n
        covariance = (summed(self._products) / n - torch.outer(mean, mean)).cpu()
        if not covariance.isfinite().all():
            return {"feature_std": math.nan, "effective_rank": math.nan}
        spread = covariance.diagonal().clamp(min=0).sqrt().mean() * math.sqrt(len(mean))
        singular = torch.linalg.eigvalsh(covariance).clamp(min=0).sqrt()
        singular = singular[singular > _SMALLEST_SPREAD]
        shares = singular / singular.sum()
        rank = torch.special.entr(shares).sum().exp()
        return {"feature_std": float(spread), "effective_rank": float(rank)}

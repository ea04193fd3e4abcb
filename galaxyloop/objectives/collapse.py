"""Whether representations still differ from galaxy to galaxy: what goes wrong without negatives."""

import math

import torch
from jaxtyping import Float
from torch import Tensor


class CollapseMonitor:
    """Sums over batches from which spread and rank of the representations follow.

    - ``feature_std``: standard deviation of each feature over galaxies, representations scaled to
      length 1, times the root of their number: 1 if they fill the sphere evenly, 0 if all are
      equal (Chen & He 2021, arXiv:2011.10566).
    - ``effective_rank``: exp of the entropy of the normalised singular values of the centred
      representations (Roy & Vetterli 2007; Garrido et al. 2023, arXiv:2210.02885): how many
      directions are used.
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
        """Both measures; none before two galaxies were seen."""
        if self._n < 2 or self._sum is None or self._products is None:
            return {}
        mean = self._sum / self._n
        covariance = self._products / self._n - torch.outer(mean, mean)
        spread = covariance.diagonal().clamp(min=0).sqrt().mean() * math.sqrt(len(mean))
        singular = torch.linalg.eigvalsh(covariance.cpu()).clamp(min=0).sqrt()
        total = singular.sum()
        rank = 1.0
        if total > 0:
            shares = singular / total
            rank = float(torch.special.entr(shares).sum().exp())
        return {"feature_std": float(spread), "effective_rank": rank}

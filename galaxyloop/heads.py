"""Heads: from features to the parameters of a distribution over answers."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

MIN_CONCENTRATION = 1.0
CONCENTRATION_RANGE = 100.0
LARGEST_FREE_LOGIT = 5.0
"""Logits up to this size, concentrations from 1.7 to 100.3, cost nothing in training."""
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 2.0
"""What concentrations may be divided by: they stay within (0.5, 2020), where
``posterior.mixture_interval`` is exact."""
_FIRST_CONCENTRATION = 4.0


class VoteHead(nn.Module):
    """Dirichlet concentrations for every answer from one dropped-out linear layer.

    ``1 + 100 * sigmoid(linear(features))`` lies in (1, 101), so that every density is bounded
    (the scaled sigmoid of Walmsley et al. 2022, arXiv:2102.08414). Dropout is the only
    randomness of the whole network: one set of masks is one network drawn from the posterior
    (Gal & Ghahramani 2016, arXiv:1506.02142).

    Attributes:
        temperatures: what each answer's concentration is divided by after training, the same for
            all answers to a question, so that fractions stay as they are; 1 unless calibrated
            (see ``galaxyloop.calibration``). The training loss does not see them.
    """

    def __init__(self, n_features: int, n_answers: int, dropout_rate: float = 0.2) -> None:
        """Make the linear layer; it starts at concentrations near 4.

        Args:
            n_features: width of the encoder's output.
            n_answers: answers of the whole decision tree.
            dropout_rate: share of features dropped, in [0, 1).

        Raises:
            ValueError: dropout_rate is outside [0, 1).
        """
        super().__init__()
        if not 0 <= dropout_rate < 1:
            raise ValueError(f"dropout_rate must be in [0, 1), got {dropout_rate}; try 0.2")
        self.dropout_rate = dropout_rate
        self.linear = nn.Linear(n_features, n_answers)
        share = (_FIRST_CONCENTRATION - MIN_CONCENTRATION) / CONCENTRATION_RANGE
        nn.init.constant_(self.linear.bias, math.log(share / (1 - share)))
        self.temperatures: Tensor
        # Kept in a checkpoint's description and not among the weights, which stay as trained.
        self.register_buffer("temperatures", torch.ones(n_answers), persistent=False)

    def forward(
        self,
        features: Float[Tensor, "galaxy feature"],
        masks: Float[Tensor, "sample feature"] | None = None,
    ) -> Float[Tensor, "*sample galaxy answer"]:
        """Concentrations over their temperatures, always in float32; each in (1, 101) at 1.

        Args:
            features: the encoder's output.
            masks: scaled dropout masks, 0 or 1 / (1 - rate); all galaxies share each one.
                Without them, dropout is on in training and off in evaluation.

        Returns:
            ``[galaxy, answer]``, or ``[sample, galaxy, answer]`` with masks.
        """
        return concentrations_of(self.logits(features, masks)) / self.temperatures

    def logits(
        self,
        features: Float[Tensor, "galaxy feature"],
        masks: Float[Tensor, "sample feature"] | None = None,
    ) -> Float[Tensor, "*sample galaxy answer"]:
        """What the sigmoid is taken of, always in float32; arguments as for ``forward``."""
        with torch.autocast(features.device.type, enabled=False):
            features = features.float()
            if masks is None:
                features = nn.functional.dropout(features, self.dropout_rate, self.training)
            else:
                features = features * masks.float().unsqueeze(1)
            logits: Tensor = self.linear(features)
            return logits


def concentrations_of(logits: Float[Tensor, "*batch answer"]) -> Float[Tensor, "*batch answer"]:
    """``1 + 100 * sigmoid``, which lies in (1, 101)."""
    return MIN_CONCENTRATION + CONCENTRATION_RANGE * torch.sigmoid(logits)

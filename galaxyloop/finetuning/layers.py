"""An encoder's layers from the image to the features: what is trained, and how fast."""

from collections.abc import Iterable, Sequence
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from galaxyloop.config import require
from galaxyloop.encoders import Encoder
from galaxyloop.models import GalaxyEncoder

_JOIN_PREVIOUS = 99999
"""timm's mark for what belongs to the layer before it."""


def layer_numbers(encoder: Encoder) -> dict[str, int]:
    """The layer of each parameter of an encoder's network, by name.

    Layer 0 is the stem; each further one is a stage of a convolutional network or a block of a
    transformer, as timm groups them. What comes after the last one belongs to it.
    """
    from timm.models import group_parameters

    network: Any = encoder.network
    if not hasattr(network, "group_matcher"):
        parts = [name for name, _ in network.named_children()]
        names = [name for name, _ in network.named_parameters()]
        return {name: parts.index(name.split(".")[0]) for name in names}
    matcher = network.group_matcher(coarse=True)
    if isinstance(matcher, dict):
        matcher = {**matcher, "after": [(r".*", (_JOIN_PREVIOUS,))]}
    return dict(group_parameters(network, matcher, reverse=True))


def count_layers(encoder: Encoder) -> int:
    """Layers of an encoder, with its stem."""
    return max(layer_numbers(encoder).values()) + 1


class PartlyFrozenEncoder(Encoder):
    """An encoder of which some modules stay in evaluation mode whatever is asked for.

    Normalisations in them keep their statistics, and dropout in them is off; without it, running
    means and variances of layers that are not trained would still drift.
    """

    def __init__(self, encoder: Encoder, frozen: Sequence[nn.Module]) -> None:
        """Share the network of an encoder; the frozen modules are parts of it."""
        super().__init__(encoder.name, encoder.network, encoder.n_features)
        self._frozen = tuple(frozen)

    def train(self, mode: bool = True) -> "PartlyFrozenEncoder":
        """As always, except for what is frozen."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self


def freeze_layers(model: GalaxyEncoder, n_trained: int, frozen_normalisation: bool) -> None:
    """Keep the lower layers of a model's encoder as they are, weights, statistics and all.

    Args:
        model: its encoder is changed in place.
        n_trained: layers that are trained, counted from the features down; the stem is the last.
        frozen_normalisation: batch normalisations of the trained layers keep their statistics,
            scales and shifts as well.

    Raises:
        ConfigError: the encoder has fewer layers.
    """
    encoder = model.encoder
    numbers = layer_numbers(encoder)
    n_layers = max(numbers.values()) + 1
    require(
        0 <= n_trained <= n_layers,
        f"the encoder '{encoder.name}' has {n_layers} layers with its stem, got {n_trained} to "
        f"train; set n_blocks to at most {n_layers}",
    )
    kept = {name for name, number in numbers.items() if number < n_layers - n_trained}
    frozen = _modules_of(encoder.network, kept)
    if frozen_normalisation:
        frozen += [part for part in encoder.network.modules() if isinstance(part, _BatchNorm)]
    for name, parameter in encoder.network.named_parameters():
        if name in kept:
            parameter.requires_grad_(False)
    for module in frozen:
        module.requires_grad_(False)
    model.encoder = PartlyFrozenEncoder(encoder, frozen).train(encoder.training)


def layer_groups(
    model: GalaxyEncoder, weight_decay: float, layer_decay: float
) -> list[dict[str, Any]]:
    """Parameter groups whose learning rate falls with the distance from the head.

    The head learns at the full rate, the encoder's last layer at ``layer_decay`` times it, the
    one before at its square and so on (Howard & Ruder 2018, arXiv:1801.06146; Bao et al. 2022,
    arXiv:2106.08254). Matrices and kernels are decayed, biases and scales are not.

    Args:
        model: what is trained; parameters without gradient are left out.
        weight_decay: of matrices and kernels.
        layer_decay: above 0 and at most 1, where all layers learn alike.
    """
    numbers = layer_numbers(model.encoder)
    n_layers = max(numbers.values()) + 1
    own = {id(p): numbers[name] for name, p in model.encoder.network.named_parameters()}
    by_layer: dict[int, list[nn.Parameter]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            by_layer.setdefault(own.get(id(parameter), n_layers), []).append(parameter)
    groups = []
    for number in sorted(by_layer):
        share = layer_decay ** (n_layers - number)
        groups += _split_decay(by_layer[number], weight_decay, share)
    return groups


def _split_decay(
    parameters: Sequence[nn.Parameter], weight_decay: float, share: float
) -> list[dict[str, Any]]:
    """One group that is decayed and one that is not, where they are not empty."""
    kinds = (
        ([p for p in parameters if p.ndim > 1], weight_decay),
        ([p for p in parameters if p.ndim <= 1], 0.0),
    )
    return [
        {"params": group, "weight_decay": decay, "learning_rate_share": share}
        for group, decay in kinds
        if group
    ]


def _modules_of(network: nn.Module, kept: Iterable[str]) -> list[nn.Module]:
    """The modules all of whose parameters are kept, and that have any."""
    kept = set(kept)
    found = []
    for prefix, module in network.named_modules():
        start = f"{prefix}." if prefix else ""
        own = [name for name, _ in module.named_parameters()]
        if own and all(f"{start}{name}" in kept for name in own):
            found.append(module)
    return found

"""Batch normalisation done by the convolution before it, in networks that only predict."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

_NORMALISATIONS = (nn.BatchNorm2d, BatchNormAct2d)


@contextlib.contextmanager
def normalisations_folded(network: nn.Module) -> Iterator[int]:
    """Inside, convolutions do the work of the normalisations that follow them.

    With fixed statistics a normalisation is a factor and a summand for each band, and both can be
    part of the convolution whose output it takes (Jacob et al. 2018, arXiv:1712.05877, section
    3.2): one pass less over all activations, and features that are equal but for rounding. Which
    follows which is read off the network's graph. Afterwards the network has the parts it had.

    Args:
        network: in evaluation mode. One whose graph depends on its input is left as it is.

    Yields:
        How many normalisations are folded.
    """
    with contextlib.ExitStack() as changes:
        pairs = _find_pairs(network)
        for convolution, normalisation in pairs:
            _fold(network, convolution, normalisation, changes)
        yield len(pairs)


class _Tracer(fx.Tracer):
    """Looks into everything but the layers that are folded."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return type(m) in _NORMALISATIONS or super().is_leaf_module(m, module_qualified_name)


def _find_pairs(network: nn.Module) -> list[tuple[str, str]]:
    """Names of convolutions, and of the normalisations that alone take what they give."""
    if not any(_is_foldable(layer) for layer in network.modules()):
        return []
    try:
        nodes = list(_Tracer().trace(network).nodes)
    except (fx.proxy.TraceError, TypeError, ValueError, RuntimeError, AttributeError):
        return []  # what is done depends on the input: no one graph holds for all
    calls = Counter(node.target for node in nodes if node.op == "call_module")
    pairs = []
    for node in nodes:
        source = node.args[0] if node.args else None
        if node.op != "call_module" or not isinstance(source, fx.Node):
            continue
        names = (str(source.target), str(node.target))
        is_pair = source.op == "call_module" and all(calls[name] == 1 for name in names)
        if is_pair and len(source.users) == 1 and _fits(network, *names):
            pairs.append(names)
    return pairs


def _fits(network: nn.Module, convolution: str, normalisation: str) -> bool:
    """Whether these two are layers that can be folded into one."""
    is_convolution = isinstance(network.get_submodule(convolution), nn.Conv2d)
    return is_convolution and _is_foldable(network.get_submodule(normalisation))


def _is_foldable(layer: nn.Module) -> bool:
    """Whether it is a normalisation by fixed statistics, perhaps with an activation after it."""
    is_known = type(layer) in _NORMALISATIONS
    return is_known and not layer.training and layer.running_mean is not None


def _fold(
    network: nn.Module, convolution: str, normalisation: str, changes: contextlib.ExitStack
) -> None:
    """Fold one; what undoes it is left with the changes."""
    parent_name, _, child = normalisation.rpartition(".")
    parent = network.get_submodule(parent_name)
    before: Any = network.get_submodule(convolution)
    layer: Any = network.get_submodule(normalisation)
    has_more = isinstance(layer, BatchNormAct2d)
    rest = nn.Sequential(layer.drop, layer.act) if has_more else nn.Identity()
    statistics = layer.running_mean, layer.running_var, layer.eps, layer.weight, layer.bias
    weight, bias = before.weight, before.bias
    setattr(parent, child, rest.eval())
    with torch.no_grad():
        before.weight, before.bias = fuse_conv_bn_weights(weight, bias, *statistics)
    changes.callback(setattr, parent, child, layer)
    changes.callback(setattr, before, "weight", weight)
    changes.callback(setattr, before, "bias", bias)

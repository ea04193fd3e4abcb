"""Encoders: networks that turn a galaxy's image into features."""

import contextlib
import difflib
import sys
from collections.abc import Callable, Iterator
from typing import Any, cast

from jaxtyping import Float
from torch import Tensor, nn

from galaxyloop.errors import PretrainedWeightsError, UnknownNameError

N_BANDS = 3
"""Bands of an image, in the order red, green, blue."""


class Encoder(nn.Module):
    """A network without a classifier: images in, one vector of features out.

    Attributes:
        name: a name that ``build_encoder`` rebuilds offline.
        n_features: length of the feature vector.
    """

    def __init__(self, name: str, network: nn.Module, n_features: int) -> None:
        """Wrap a network whose output is pooled features."""
        super().__init__()
        self.name = name
        self.network = network
        self.n_features = n_features

    def forward(self, images: Float[Tensor, "galaxy band y x"]) -> Float[Tensor, "galaxy feature"]:
        """The features of normalised images."""
        features: Tensor = self.network(images)
        return features


def _resnet_mini() -> nn.Module:
    """A residual network of 1.2 million weights for 64-pixel cutouts and no accelerator.

    One block a stage, a stem of stride 2 and no pooling after it, so that a 64-pixel image
    still has 4 x 4 positions before the average.
    """
    from timm.models import resnet

    # timm starts each block's last normalisation at 0, which in short runs leaves the blocks
    # nearly unused: 20 epochs on 650 real galaxies left the fractions' error a fifth larger.
    network: nn.Module = resnet.ResNet(
        cast(Any, resnet.BasicBlock),
        (1, 1, 1, 1),
        num_classes=0,
        in_chans=N_BANDS,
        channels=(32, 64, 128, 256),
        zero_init_last=False,
    )
    network.maxpool = nn.Identity()
    return network


ENCODERS: dict[str, Callable[[], nn.Module]] = {
    "resnet_mini": _resnet_mini,
}
"""Our own encoders; every timm name works beside them."""


def build_encoder(name: str, pretrained: bool = False) -> Encoder:
    """An encoder by name: one of ``ENCODERS``, or any timm model (``hf-hub:`` names too).

    Args:
        name: ``resnet_mini``, ``efficientnet_b0``, ``hf-hub:mwalmsley/zoobot-encoder-...``
        pretrained: fetch the published weights; names in ``ENCODERS`` have none.

    Raises:
        UnknownNameError: neither we nor timm know the name; close names are shown.
        PretrainedWeightsError: the weights do not exist or cannot be fetched from here.
    """
    import timm

    if name in ENCODERS:
        if pretrained:
            raise PretrainedWeightsError(
                f"encoder '{name}' has no published weights, got pretrained=True; "
                "set pretrained=False or choose a timm model"
            )
        network: Any = ENCODERS[name]()
    else:
        check_encoder_name(name)
        is_fetched = pretrained or ":" in name
        with _fetching(name, pretrained) if is_fetched else contextlib.nullcontext():
            network = timm.create_model(
                name, pretrained=pretrained, num_classes=0, in_chans=N_BANDS
            )
        if ":" in name:
            # A checkpoint must be rebuilt offline, so it keeps the architecture, not the address.
            name = str(network.pretrained_cfg["architecture"])
    return Encoder(name, network, _count_features(network))


def check_encoder_name(name: str) -> None:
    """Refuse a name that neither we nor timm know, with the nearest ones.

    Raises:
        UnknownNameError: there is no such encoder. An address (``hf-hub:...``) is let through.
    """
    import timm

    known = [*ENCODERS, *timm.list_models()]
    if ":" not in name and name.split(".")[0] not in known:
        close = difflib.get_close_matches(name, known, n=5, cutoff=0.5)
        raise UnknownNameError("encoder", name, {*ENCODERS, *close})


def _count_features(network: Any) -> int:  # noqa: ANN401 - timm's networks share no base class
    """Width of the pooled output; some timm networks widen it before the classifier."""
    return int(getattr(network, "head_hidden_size", None) or network.num_features)


@contextlib.contextmanager
def _fetching(name: str, pretrained: bool) -> Iterator[None]:
    """Turn a failed download into one error that says what to do."""
    try:
        yield
    except _fetch_errors() as error:
        raise PretrainedWeightsError(
            f"encoder '{name}' (pretrained={pretrained}) cannot be fetched: "
            f"{str(error).splitlines()[0] if str(error) else type(error).__name__}; "
            "go online once to fill the Hugging Face cache, or take a name without 'hf-hub:' "
            "and pretrained=False"
        ) from error


def _fetch_errors() -> tuple[type[Exception], ...]:
    """What a failed fetch raises; newer huggingface_hub lets its HTTP client's errors through."""
    httpx = sys.modules.get("httpx")
    own = () if httpx is None else (cast(type[Exception], httpx.HTTPError),)
    return (OSError, RuntimeError, ValueError, *own)

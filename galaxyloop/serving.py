"""A model that answers single images: from encoded images, or cutouts, to the catalogue's rows."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from jaxtyping import UInt8

from galaxyloop.acquisition import InformationConfig
from galaxyloop.catalogue.writing import catalogue_columns
from galaxyloop.checkpoint import (
    check_digest,
    load_checkpoint,
    load_checkpoint_config,
    load_encoder,
)
from galaxyloop.cutouts import CutoutConfig, cut_out_image
from galaxyloop.devices import predicting
from galaxyloop.errors import CheckpointError, ConfigError, RequestError
from galaxyloop.feeding import slices
from galaxyloop.finetuning.catalogue import label_columns
from galaxyloop.finetuning.model import LabelModel, load_label_model
from galaxyloop.finetuning.training import predict_labels
from galaxyloop.flags import image_flags
from galaxyloop.image_files import ImagePart
from galaxyloop.images import Cutout, ImageRejectedError
from galaxyloop.images.pictures import is_picture
from galaxyloop.inference.rows import RowMaker
from galaxyloop.models import GalaxyEncoder, GalaxyModel
from galaxyloop.posterior import PosteriorConfig
from galaxyloop.posterior.sampling import encode_views
from galaxyloop.representations.config import RepresentationConfig
from galaxyloop.representations.encoding import represent
from galaxyloop.representations.table import VECTOR

IMAGE = "image"
"""Column of a request that holds the bytes of a JPEG or PNG."""
PLACE_COLUMNS = ("id_str", "ra_deg", "dec_deg")
"""Columns that a request may have besides; they come back as they are."""
MAX_IMAGE_PX = 25_000_000
"""Pixels that may be unpacked for a stranger: a PNG of a megabyte can hold many more."""
_NO_INFORMATION = InformationConfig(expected_votes=1)
"""It is not in a catalogue, so the least is computed."""
_SHOWN = 5


@dataclass(frozen=True)
class ServedModel:
    """A model with what it takes to answer as the catalogue's job does; safe among threads."""

    model: GalaxyEncoder
    """With a vote head, a head for labels, or none."""
    cutouts: CutoutConfig
    """How the images it was trained on were cut out."""
    posterior: PosteriorConfig = PosteriorConfig()
    """Samples, intervals and precision."""
    max_image_px: int = MAX_IMAGE_PX
    """An image of more pixels is refused before it is decoded, even if ``cutouts`` allows it."""
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @classmethod
    def open(
        cls,
        checkpoint: Path,
        posterior: PosteriorConfig = PosteriorConfig(),
        expected_digest: str = "",
        max_image_px: int = MAX_IMAGE_PX,
    ) -> "ServedModel":
        """Load a checkpoint of any kind.

        Args:
            checkpoint: its folder.
            posterior: for a model that answers a decision tree.
            expected_digest: what ``checkpoint_digest`` must give; empty for any.
            max_image_px: the largest image that is decoded [px].

        Raises:
            CheckpointError: it is damaged, or another than expected.
        """
        if expected_digest:
            check_digest(checkpoint, expected_digest)
        model = load_any_model(checkpoint)
        return cls(model, cutout_settings(checkpoint), posterior, max_image_px)

    @property
    def columns(self) -> tuple[str, ...]:
        """What every answer has, in order: the columns of the catalogue of such a model."""
        if isinstance(self.model, GalaxyModel):
            return catalogue_columns(self.model.tree)
        if isinstance(self.model, LabelModel):
            return (*PLACE_COLUMNS, "prediction", *self.model.target.probability_columns)
        return (*PLACE_COLUMNS, VECTOR)

    def predict_images(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The catalogue's row of each image.

        Args:
            frame: ``image`` holds the bytes of a JPEG or PNG; it may have ``id_str``, ``ra_deg``
                and ``dec_deg``, which come back. Without ids the rows are numbered.

        Raises:
            RequestError: a column is missing or unknown, or a row's image cannot be cut out; no
                row is answered then.
        """
        known = (IMAGE, *PLACE_COLUMNS)
        unknown = [str(name) for name in frame.columns if name not in known]
        if IMAGE not in frame.columns or unknown:
            raise RequestError(
                f"a request needs the column '{IMAGE}' and may have {', '.join(PLACE_COLUMNS)}; "
                f"got the columns {[str(name) for name in frame.columns][:10]}"
            )
        max_image_px = min(self.max_image_px, self.cutouts.max_image_px)
        limited = replace(self.cutouts, max_image_px=max_image_px)
        places = _places(frame)
        with self._turn:  # one at a time, so that memory holds one large image
            cutouts = _cut_out(frame[IMAGE].tolist(), limited)
        return self._predict(cutouts, places)

    def predict_cutouts(self, cutouts: np.ndarray) -> pd.DataFrame:
        """The catalogue's row of each cutout; rows are numbered.

        Args:
            cutouts: as a shard holds them, uint8 ``[galaxy, y, x, band]`` in red, green, blue.

        Raises:
            RequestError: another type or shape.
        """
        side = self.model.image_size_px
        if cutouts.dtype != np.uint8 or cutouts.shape[1:] != (side, side, 3):
            raise RequestError(
                f"cutouts must be uint8 of the shape (galaxy, {side}, {side}, 3), got "
                f"{cutouts.dtype} of the shape {cutouts.shape}; for images of other sizes take "
                "the model that is given encoded images"
            )
        _check_light(cutouts)
        return self._predict(cutouts, _places(pd.DataFrame(index=range(len(cutouts)))))

    def _predict(
        self, cutouts: UInt8[np.ndarray, "galaxy y x band"], places: pd.DataFrame
    ) -> pd.DataFrame:
        """Rows in the order of the cutouts; one request at a time: torch's settings are global."""
        with self._turn:
            if isinstance(self.model, GalaxyModel):
                rows = _predict_votes(self.model, cutouts, places, self.posterior)
                return rows[list(self.columns)]
            table = places[list(PLACE_COLUMNS)]
            if isinstance(self.model, LabelModel):
                predicted = predict_labels(self.model, cutouts, self.posterior.n_threads)
                return table.assign(**label_columns(predicted, self.model.target))
            config = RepresentationConfig(n_threads=self.posterior.n_threads)
            return table.assign(**{VECTOR: list(represent(self.model, cutouts, config))})


def load_any_model(checkpoint: Path) -> GalaxyEncoder:
    """A checkpoint's model with its head, whatever kind it is of.

    Raises:
        CheckpointError: it is damaged, or of an unknown kind.
    """
    kind = load_checkpoint_config(checkpoint).get("kind", GalaxyModel.kind)
    loaders = {
        GalaxyModel.kind: load_checkpoint,
        LabelModel.kind: load_label_model,
        GalaxyEncoder.kind: load_encoder,
    }
    if kind not in loaders:
        raise CheckpointError(
            f"{checkpoint} holds a model of kind '{kind}', known are {', '.join(loaders)}; it was "
            "written by a newer galaxyloop: install that"
        )
    return loaders[kind](checkpoint)


def cutout_settings(checkpoint: Path) -> CutoutConfig:
    """How the images that a checkpoint was trained on were cut out.

    A checkpoint that does not say so, as it is old or several ways were mixed, is given the
    defaults, with its own size.

    Raises:
        CheckpointError: it is none, or describes impossible settings.
    """
    config = load_checkpoint_config(checkpoint)
    try:
        told = CutoutConfig.from_dict(config.get("data", {}).get("cutouts", {}))
        return replace(told, image_size_px=config["image_size_px"])
    except (ConfigError, AttributeError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{checkpoint}/config.json does not describe how images are cut out: {error}"
        ) from error


def _cut_out(
    images: Sequence[object], config: CutoutConfig
) -> UInt8[np.ndarray, "galaxy y x band"]:
    """Cutouts of encoded images, or a refusal that names the rows at fault."""
    cutouts = np.zeros((len(images), config.image_size_px, config.image_size_px, 3), np.uint8)
    faults: dict[int, str] = {}
    for row, image in enumerate(images):
        try:
            cutouts[row] = _cut_out_one(image, config)
        except ImageRejectedError as rejection:
            faults[row] = str(rejection)
    if faults:
        told = "; ".join(f"row {row}: {fault}" for row, fault in list(faults.items())[:_SHOWN])
        raise RequestError(
            f"{len(faults)} of {len(images)} images cannot be cut out ({told}); mend these or "
            "leave them out, and ask again",
            tuple(faults),
        )
    return cutouts


def _cut_out_one(image: object, config: CutoutConfig) -> Cutout:
    """The cutout of an image that came as bytes; nothing is opened by its name.

    Raises:
        ImageRejectedError: it is no such image, or out of bounds.
    """
    if not isinstance(image, bytes | bytearray | memoryview):
        raise ImageRejectedError(
            "no bytes; give the content of the file, not its name", type(image).__name__
        )
    content = bytes(image)
    if len(content) > config.max_image_bytes:
        raise ImageRejectedError(
            f"more than max_image_bytes={config.max_image_bytes} bytes", f"{len(content)} bytes"
        )
    if not is_picture(content):
        raise ImageRejectedError("neither JPEG nor PNG", repr(content[:16]))
    return cut_out_image([ImagePart("", content)], config)


def _check_light(cutouts: UInt8[np.ndarray, "galaxy y x band"]) -> None:
    """Refuse blank cutouts, and those that were numbers from 0 to 1 before they became bytes.

    Raises:
        RequestError: there are some.
    """
    pixels = cutouts.reshape(len(cutouts), -1)
    span = np.ptp(pixels, axis=1) if len(cutouts) else np.zeros(0)
    blank = np.flatnonzero(span <= 1).tolist()
    if blank:
        raise RequestError(
            f"{len(blank)} of {len(cutouts)} cutouts are blank, their values differ by no more "
            f"than 1 (row {', '.join(map(str, blank[:_SHOWN]))}); leave them out, and give values "
            "from 0 to 255, not from 0 to 1",
            blank,
        )


def _places(frame: pd.DataFrame) -> pd.DataFrame:
    """Id and position of each row, as far as they are given."""
    n_galaxies = len(frame)
    ids = frame["id_str"].tolist() if "id_str" in frame else range(n_galaxies)
    places = pd.DataFrame({"id_str": [str(one) for one in ids]})
    for name in PLACE_COLUMNS[1:]:
        given = frame[name].tolist() if name in frame else [None] * n_galaxies
        try:
            places[name] = np.array([np.nan if one is None else one for one in given], np.float64)
        except (TypeError, ValueError) as error:
            raise RequestError(f"{name} must be numbers of degrees: {error}") from error
    return places.assign(image_digest="")


@torch.no_grad()
def _predict_votes(
    model: GalaxyModel,
    cutouts: UInt8[np.ndarray, "galaxy y x band"],
    places: pd.DataFrame,
    posterior: PosteriorConfig,
) -> pd.DataFrame:
    """Rows of predictions, as ``inference.predict_shard`` makes them."""
    rows = RowMaker([model], posterior, _NO_INFORMATION)
    tables: list[pa.Table] = []
    with predicting(model, posterior.n_threads):
        first = 0
        for views in encode_views([model], slices(cutouts, posterior.batch_size), posterior):
            here = slice(first, first + views[0].shape[1])
            tables.append(rows.make([views], image_flags(cutouts[here]), places.iloc[here]))
            first = here.stop
    if not tables:
        return pd.DataFrame(columns=list(catalogue_columns(model.tree)))
    table: pd.DataFrame = pa.concat_tables(tables).to_pandas()
    return table

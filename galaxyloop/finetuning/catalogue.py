"""What a finetuned model says of every galaxy of a survey."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from galaxyloop.checkpoint import check_size
from galaxyloop.finetuning.footer import write_labels
from galaxyloop.finetuning.model import LabelModel
from galaxyloop.finetuning.targets import Predicted, Target
from galaxyloop.finetuning.training import predict_labels
from galaxyloop.shards import CutoutShard

_POSITION = ["ra_deg", "dec_deg"]


def predict_label_shard(model: LabelModel, shard: CutoutShard, path: Path) -> int:
    """Write the predictions of one shard as parquet; returns the number of galaxies.

    The columns are ``id_str, ra_deg, dec_deg, image_digest, prediction`` and for classes
    ``probability-<class>`` of each.

    Raises:
        CheckpointError: the model was trained on cutouts of another size.
    """
    check_size(model, shard.summary.image_size_px)
    predicted = predict_labels(model, shard.images)
    table = shard.index[["id_str", *_POSITION, "image_digest"]].reset_index(drop=True)
    table = table.assign(**label_columns(predicted, model.target))
    table.to_parquet(path, index=False)
    return len(table)


def join_label_predictions(
    files: Sequence[Path],
    alive: Mapping[str, str],
    positions: pd.DataFrame,
    provenance: Mapping[str, str],
    path: Path,
) -> int:
    """Put shards' predictions together, a row a galaxy; returns the number of galaxies.

    Args:
        files: what ``predict_label_shard`` wrote, oldest shard first; of several predictions of
            a galaxy the last counts.
        alive: the fingerprint that each galaxy's image has now, by id; others are left out.
        positions: ``ra_deg`` and ``dec_deg`` by ``id_str`` as the survey has them now; a shard
            keeps those of the day it was cut out.
        provenance: which model, survey and code; goes into the parquet footer.
        path: the file to write.
    """
    table = pd.concat([pd.read_parquet(file) for file in files], ignore_index=True)
    current = table["id_str"].map(dict(alive)) == table["image_digest"]
    table = table[current].drop_duplicates("id_str", keep="last")
    table = table.drop(columns="image_digest").sort_values("id_str", ignore_index=True)
    table[_POSITION] = positions.loc[table["id_str"], _POSITION].to_numpy()
    write_labels(table, provenance, path)
    return len(table)


def label_columns(predicted: Predicted, target: Target) -> dict[str, np.ndarray]:
    """Predictions by column."""
    if not target.is_classification:
        return {"prediction": predicted}
    names = np.array(target.classes, dtype=object)
    said = names[target.decide(predicted)]
    shares = dict(zip(target.probability_columns, predicted.T, strict=True))
    return {"prediction": said, **shares}

"""What decides a training and its evaluation beside their configs, as one digest."""

import hashlib
import json

import pandas as pd

from galaxyloop.decision_tree import DecisionTree
from galaxyloop.shards import CutoutCollection
from galaxyloop.training.data import match_labels


def digest_labels(
    cutouts: CutoutCollection, votes: pd.DataFrame, splits: pd.DataFrame, tree: DecisionTree
) -> str:
    """SHA-256 over the galaxies with a cutout, votes and a split, in order of id.

    Each counts with its image's fingerprint, its votes, its split and its group, beside the tree
    and the settings that cutouts were made with. No pixel is read, and galaxies without votes
    change nothing.

    Args:
        cutouts: of the galaxies that are in the survey now.
        votes: ``id_str`` and the tree's answers.
        splits: ``id_str``, ``split``, and ``group_id`` if galaxies have several images.
        tree: the questions.

    Raises:
        VoteTableError: the votes lack an answer of the tree.
    """
    table = match_labels(cutouts.id_strs, votes, splits, tree).dropna(subset="split")
    settings = {json.dumps(shard.summary.config, sort_keys=True) for shard in cutouts.shards}
    digest = hashlib.sha256(json.dumps([tree.to_json(), sorted(settings)]).encode())
    names = table["id_str"].tolist()
    images = cutouts.index["image_digest"].iloc[table["position"]].tolist()
    groups = table["id_str"]
    if "group_id" in splits:
        groups = table["id_str"].map(splits.astype({"id_str": str}).set_index("id_str")["group_id"])
    rows = zip(names, images, table["split"], groups.astype(str), strict=True)
    digest.update(json.dumps(list(rows)).encode())
    digest.update(table[list(tree.columns)].to_numpy("<f8").tobytes())
    return digest.hexdigest()


def digest_images(cutouts: CutoutCollection, splits: pd.DataFrame) -> str:
    """SHA-256 over the galaxies with a cutout and a split, in order of id, for what needs no votes.

    Each counts with its image's fingerprint and its split, beside the settings that cutouts were
    made with.

    Args:
        cutouts: of the galaxies that are in the survey now.
        splits: ``id_str`` and ``split``.
    """
    images = cutouts.index[["id_str", "image_digest"]].astype(str)
    table = images.merge(splits[["id_str", "split"]].astype(str), on="id_str")
    settings = {json.dumps(shard.summary.config, sort_keys=True) for shard in cutouts.shards}
    rows = table.sort_values("id_str").to_numpy().tolist()
    return hashlib.sha256(json.dumps([sorted(settings), rows]).encode()).hexdigest()

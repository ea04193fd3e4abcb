"""Which galaxies look like a given one."""

import difflib
import os
from bisect import bisect_left

import numpy as np
import pandas as pd
from jaxtyping import Float32, Float64

from galaxyloop.config import require
from galaxyloop.errors import RepresentationError, UnknownNameError
from galaxyloop.representations.preparation import ROWS_AT_ONCE, Preparation
from galaxyloop.representations.table import Representations

_NEAR_IDS = 100
_LEAST_LIKENESS = 0.5


def find_similar(
    representations: Representations,
    query: str | Float32[np.ndarray, " feature"],
    n: int = 10,
    preparation: str = "centred",
) -> pd.DataFrame:
    """The galaxies whose representations point most nearly the same way, the nearest first.

    Every galaxy is compared, in blocks, so the answer is exact (similarity search on
    representations learnt from votes: Walmsley et al. 2022, arXiv:2110.12735). The query's own
    group is left out, and of another group with several images only the most similar one comes.

    Args:
        representations: from ``read_representations``.
        query: a galaxy's ``id_str``, or a representation by the same encoder.
        n: how many neighbours; fewer come if there are no more.
        preparation: "plain", "centred" or "whitened"; see ``Preparation``.

    Returns:
        ``rank`` from 1, ``id_str``, ``ra_deg``, ``dec_deg``, ``similarity`` (a cosine, 1 for the
        same direction, about 0 for galaxies that have nothing in common).

    Raises:
        UnknownNameError: no galaxy has that id; those with nearly that id are named.
        RepresentationError: the vector is of another length, or holds values that are not finite.
        ConfigError: ``n`` is below 1 or the preparation unknown.
    """
    require(n >= 1, f"n must be >= 1, got {n}")
    vectors, groups = representations.vectors, representations.galaxies["group_id"].to_numpy()
    vector, own_group = query, None
    if isinstance(vector, str):
        position = find_galaxy(representations.galaxies["id_str"], vector)
        vector, own_group = vectors[position], groups[position]
    _check_vector(vector, vectors.shape[1])
    prepared = Preparation.of(vectors, preparation)
    direction = prepared.directions(vector[None])[0]
    similarities = np.concatenate(
        [
            prepared.directions(vectors[first : first + ROWS_AT_ONCE]) @ direction
            for first in range(0, len(vectors), ROWS_AT_ONCE)
        ]
    ).astype(np.float64)
    nearest = _nearest_groups(similarities, groups, own_group, n)
    found = representations.galaxies.loc[nearest, ["id_str", "ra_deg", "dec_deg"]]
    found = found.assign(similarity=np.clip(similarities[nearest], -1, 1))
    found = found.sort_values(["similarity", "id_str"], ascending=[False, True]).head(n)
    found.insert(0, "rank", np.arange(1, len(found) + 1))
    return found.reset_index(drop=True)


def find_galaxy(id_strs: "pd.Series[str]", id_str: str) -> int:
    """The row of a galaxy.

    Raises:
        UnknownNameError: there is no such galaxy; those with nearly that id are named.
    """
    rows = np.flatnonzero((id_strs == id_str).to_numpy())
    if not len(rows):
        raise UnknownNameError("galaxy", id_str, _close_ids(id_str, id_strs.tolist()))
    return int(rows[0])


def _nearest_groups(
    similarities: Float64[np.ndarray, " galaxy"],
    groups: np.ndarray,
    own_group: str | None,
    n: int,
) -> list[int]:
    """Rows of the nearest groups, one a group; more than ``n`` where the last are equal."""
    seen = set() if own_group is None else {own_group}
    nearest: list[int] = []
    for row in np.argsort(-similarities, kind="stable").tolist():
        if len(nearest) >= n and similarities[row] < similarities[nearest[-1]]:
            break
        if groups[row] not in seen:
            seen.add(groups[row])
            nearest.append(row)
    return nearest


def _close_ids(id_str: str, id_strs: list[str]) -> list[str]:
    """Ids that are easily confused with a given one.

    Comparing with a million ids takes a minute, so only those that begin or end alike are.
    """
    near: set[str] = set()
    for step in (1, -1):
        turned = sorted(name[::step] for name in id_strs)
        place = bisect_left(turned, id_str[::step])
        near.update(name[::step] for name in turned[max(0, place - _NEAR_IDS) : place + _NEAR_IDS])

    def likeness(other: str) -> tuple[float, int]:
        """Share of characters in common; of equals, how long they begin alike."""
        ratio = difflib.SequenceMatcher(None, other, id_str).ratio()
        return ratio, len(os.path.commonprefix([other, id_str]))

    close = [name for name in sorted(near) if likeness(name)[0] >= _LEAST_LIKENESS]
    return sorted(close, key=likeness, reverse=True)[:5] or sorted(id_strs)[:3]


def _check_vector(vector: Float32[np.ndarray, " feature"], n_features: int) -> None:
    """Refuse a vector that is no representation by the same encoder."""
    is_finite = bool(np.isfinite(vector).all())
    if vector.shape != (n_features,) or not is_finite:
        raise RepresentationError(
            f"the query must be {n_features} finite numbers, as the encoder that made this file "
            f"gives, got {len(vector)}{'' if is_finite else ', not all of them finite'}"
        )

"""Which galaxies of a survey are one and the same, by their place on the sky."""

import logging
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Float64, Integer

from galaxyloop.config import require

if TYPE_CHECKING:
    from scipy.sparse import csr_array

logger = logging.getLogger("galaxyloop")

MAX_RADIUS_ARCSEC = 3600.0
"""Farther apart are no two measurements of one place."""
_SHORTEST = 1e-30
"""Keeps two galaxies at one position joined: a graph takes a link of length 0 for none."""


def group_by_position(
    galaxies: pd.DataFrame, radius_arcsec: float, previous: pd.DataFrame | None = None
) -> pd.Series:
    """Group ids that put galaxies closer than a radius on the sky together.

    Galaxies of the previous version keep their group, and so do rows that the manifest itself
    groups: these are fixed. A new galaxy joins the nearest of them within the radius, through a
    chain of other new galaxies if need be; those that reach none are grouped with their friends of
    friends, under the smallest id among them. Fixed groups stay apart; the log counts neighbours.

    Args:
        galaxies: ``id_str``, ``group_id``, ``ra_deg``, ``dec_deg``; a position may be NaN. Each id
            occurs once. A row whose group has its own id, and no other member, is free.
        radius_arcsec: largest separation of two images of one galaxy, from 0 to 3600; 0 leaves
            groups as the manifest has them.
        previous: the survey's galaxies before, with the same four columns.

    Returns:
        A group id a row, with the index of ``galaxies``.

    Raises:
        ConfigError: the radius is out of range.
    """
    require(
        0 <= radius_arcsec <= MAX_RADIUS_ARCSEC,
        f"radius_arcsec must be in [0, {MAX_RADIUS_ARCSEC:g}], got {radius_arcsec}",
    )
    if not radius_arcsec:
        return galaxies["group_id"].copy()
    index, galaxies = galaxies.index, galaxies.reset_index(drop=True)
    before = _groups_before(galaxies, previous)
    groups = _known_groups(galaxies, before)
    is_free = _is_free(galaxies) & before.isna() & _is_placed(galaxies)
    fixed = galaxies.assign(group_id=groups)[~is_free]
    if previous is not None:
        fixed = pd.concat([fixed, previous[~previous["id_str"].isin(galaxies["id_str"])]])
    fixed, free = fixed[_is_placed(fixed)], galaxies[is_free]
    if len(free) + len(fixed) > 1:
        groups[is_free] = _join(free, fixed, radius_arcsec)
    return groups.astype(galaxies["group_id"].dtype).set_axis(index)


def unit_vectors(
    ra_deg: Float64[np.ndarray, " galaxy"], dec_deg: Float64[np.ndarray, " galaxy"]
) -> Float64[np.ndarray, "galaxy axis"]:
    """Points on the unit sphere, which know neither poles nor a first meridian."""
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    return np.column_stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])


def chord(separation_arcsec: float) -> float:
    """The straight line between two points of the unit sphere that far apart."""
    return float(2 * np.sin(np.radians(separation_arcsec / 3600) / 2))


def _groups_before(galaxies: pd.DataFrame, previous: pd.DataFrame | None) -> pd.Series:
    """The group that each galaxy had; missing for new ones and for those grouped by hand."""
    if previous is None:
        return pd.Series(np.nan, index=galaxies.index, dtype=object)
    had = galaxies["id_str"].map(previous.set_index("id_str")["group_id"]).astype(object)
    return had.where(galaxies["group_id"] == galaxies["id_str"])


def _known_groups(galaxies: pd.DataFrame, before: pd.Series) -> pd.Series:
    """Groups from before, else from the manifest; who names a galaxy goes where it has gone."""
    own = galaxies["group_id"].astype(object)
    is_moved = before.notna() & (before != galaxies["id_str"])
    moved = before[is_moved].set_axis(galaxies.loc[is_moved, "id_str"])
    return before.fillna(own.map(moved)).fillna(own)


def _is_free(galaxies: pd.DataFrame) -> pd.Series:
    """Whether the manifest says nothing of a galaxy's group."""
    own = galaxies["group_id"] == galaxies["id_str"]
    return own & ~galaxies["id_str"].isin(galaxies.loc[~own, "group_id"])


def _is_placed(galaxies: pd.DataFrame) -> "pd.Series[bool]":
    """Whether a galaxy has a position."""
    return galaxies["ra_deg"].notna() & galaxies["dec_deg"].notna()


def _join(free: pd.DataFrame, fixed: pd.DataFrame, radius_arcsec: float) -> np.ndarray:
    """A group id for each free galaxy."""
    from scipy.sparse.csgraph import connected_components  # here: scipy takes a while

    columns = ["ra_deg", "dec_deg"]
    everyone = pd.concat([fixed[columns], free[columns]])
    # Galaxies at one and the same position make one place, however many they are.
    place = everyone.groupby(columns, sort=False).ngroup().to_numpy()
    first = np.unique(place, return_index=True)[1]
    points = unit_vectors(*(everyone[name].to_numpy(np.float64)[first] for name in columns))
    of_fixed, of_free = place[: len(fixed)], place[len(fixed) :]
    held = pd.Series(fixed["group_id"].to_numpy(object))
    names = held.groupby(of_fixed).min()
    anchors = names.index.to_numpy(np.int64)
    pairs = _pairs(points, radius_arcsec)
    are_fixed = np.isin(pairs, anchors).all(axis=1)
    one, other = pairs[are_fixed].T
    n_apart = (held.to_numpy() != names[of_fixed].to_numpy()).sum()
    n_apart += (names[one].to_numpy() != names[other].to_numpy()).sum()
    _tell_of_apart(int(n_apart), radius_arcsec)
    links = _links(points, pairs[~are_fixed])
    groups = pd.Series(_nearest_anchor(links, anchors)[of_free]).map(names)
    friends = pd.Series(connected_components(links, directed=False)[1][of_free])
    smallest = pd.Series(free["id_str"].to_numpy(object)).groupby(friends).min()
    return np.where(groups.notna(), groups, friends.map(smallest))


def _pairs(
    points: Float64[np.ndarray, "place axis"], radius_arcsec: float
) -> Integer[np.ndarray, "pair 2"]:
    """Places within the radius of each other."""
    from scipy.spatial import cKDTree

    tree = cKDTree(points, balanced_tree=False, compact_nodes=False)
    return np.asarray(tree.query_pairs(chord(radius_arcsec), output_type="ndarray"))


def _tell_of_apart(n_pairs: int, radius_arcsec: float) -> None:
    """Say how many neighbours have fixed groups that differ."""
    if n_pairs:
        logger.warning(
            f"{n_pairs} pairs of galaxies within group_radius_arcsec={radius_arcsec:g} keep the "
            "different groups that the manifest or an earlier version gave them, so one may be "
            "trained on and the other tested; to join them, start a new survey"
        )


def _links(
    points: Float64[np.ndarray, "place axis"], pairs: Integer[np.ndarray, "pair 2"]
) -> "csr_array":
    """The distance between the places of each pair."""
    from scipy.sparse import coo_array

    one, other = pairs.T
    length = np.linalg.norm(points[one] - points[other], axis=1)
    shape = (len(points), len(points))
    return coo_array((np.maximum(length, _SHORTEST), (one, other)), shape=shape).tocsr()


def _nearest_anchor(
    links: "csr_array", anchors: Integer[np.ndarray, " anchor"]
) -> Integer[np.ndarray, " place"]:
    """The anchor of the shortest way along links; -1 where there is none.

    A way with a stop is longer than the straight one, so an anchor within the radius wins by
    its separation.
    """
    from scipy.sparse.csgraph import dijkstra

    nearest = np.full(links.shape[0], -1)
    nearest[anchors] = anchors
    linked = np.union1d(links.nonzero()[0], links.nonzero()[1])
    starts = np.flatnonzero(np.isin(linked, anchors))
    if len(starts):
        within = links[linked][:, linked]
        _, _, sources = dijkstra(
            within, directed=False, indices=starts, return_predecessors=True, min_only=True
        )
        is_reached = sources >= 0
        nearest[linked[is_reached]] = linked[sources[is_reached]]
    return nearest

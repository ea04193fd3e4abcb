"""Which galaxies of a survey are one and the same, by their place on the sky."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Float64, Integer

from galaxyloop.config import require

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_MAX_RADIUS_ARCSEC = 3600.0
_SHORTEST = 1e-30
"""Keeps two galaxies at one position joined: a graph takes a link of length 0 for none."""


def group_by_position(
    galaxies: pd.DataFrame, radius_arcsec: float, previous: pd.DataFrame | None = None
) -> pd.Series:
    """Group ids that put galaxies closer than a radius on the sky together.

    A group is fixed once it is there. Galaxies of the previous version keep theirs, and so do
    rows that the manifest itself groups. A new galaxy joins the nearest of these within the
    radius, through a chain of other new galaxies if need be. New galaxies that reach none are
    grouped with their friends of friends, under the smallest id among them. Groups that are
    fixed are never merged, however near they lie.

    Args:
        galaxies: ``id_str``, ``group_id``, ``ra_deg``, ``dec_deg``; a position may be NaN. Each id
            occurs once. A manifest groups rows by giving them the id of another row, or any other
            name; a row whose group has its own id, and no other member, is free to be grouped.
        radius_arcsec: largest separation of two images of one galaxy, from 0 to 3600; 0 leaves
            groups as the manifest has them.
        previous: the survey's galaxies before, with the same four columns.

    Returns:
        A group id a row, with the index of ``galaxies``.

    Raises:
        ConfigError: the radius is out of range.
    """
    require(
        0 <= radius_arcsec <= _MAX_RADIUS_ARCSEC,
        f"radius_arcsec must be in [0, {_MAX_RADIUS_ARCSEC:g}], got {radius_arcsec}",
    )
    if not radius_arcsec:
        return galaxies["group_id"].copy()
    index, galaxies = galaxies.index, galaxies.reset_index(drop=True)
    before = _groups_before(galaxies, previous)
    groups = _known_groups(galaxies, before)
    is_placed = galaxies["ra_deg"].notna() & galaxies["dec_deg"].notna()
    is_free = _is_free(galaxies) & before.isna() & is_placed
    fixed = galaxies.assign(group_id=groups)[~is_free & is_placed]
    if previous is not None:
        gone = previous[~previous["id_str"].isin(galaxies["id_str"])]
        fixed = pd.concat([fixed, gone[gone["ra_deg"].notna() & gone["dec_deg"].notna()]])
    free = galaxies[is_free]
    if len(free):
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
    names = pd.Series(fixed["group_id"].to_numpy(object)).groupby(of_fixed).min()
    anchors = names.index.to_numpy(np.int64)
    links = _links(points, anchors, radius_arcsec)
    groups = pd.Series(_nearest_anchor(links, anchors)[of_free]).map(names)
    friends = pd.Series(connected_components(links, directed=False)[1][of_free])
    smallest = pd.Series(free["id_str"].to_numpy(object)).groupby(friends).min()
    return np.where(groups.notna(), groups, friends.map(smallest))


def _links(
    points: Float64[np.ndarray, "place axis"],
    anchors: Integer[np.ndarray, " anchor"],
    radius_arcsec: float,
) -> "csr_array":
    """The distance between places within the radius, unless both are fixed."""
    from scipy.sparse import coo_array
    from scipy.spatial import cKDTree

    tree = cKDTree(points, balanced_tree=False, compact_nodes=False)
    pairs = tree.query_pairs(chord(radius_arcsec), output_type="ndarray")
    is_anchor = np.zeros(len(points), dtype=bool)
    is_anchor[anchors] = True
    one, other = pairs[~is_anchor[pairs].all(axis=1)].T
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

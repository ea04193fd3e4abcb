"""Where on the sky a batch may lie: in the regions, as far as they have room, and not too close."""

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64

from galaxyloop.acquisition.config import BatchConfig, SkyBox, SkyCone
from galaxyloop.surveys.groups import chord, unit_vectors


class SkyLimits:
    """Says which galaxies may still join a batch while it grows.

    A galaxy of unknown position lies in no region, and near nobody.

    Attributes:
        is_open: whether each galaxy may still be taken.
    """

    def __init__(self, galaxies: pd.DataFrame, config: BatchConfig) -> None:
        """Look at everybody's place once.

        Args:
            galaxies: ``ra_deg`` and ``dec_deg``, NaN where unknown.
            config: regions and least separation.
        """
        from scipy.spatial import cKDTree  # here: scipy takes a while

        ra_deg = galaxies["ra_deg"].to_numpy(dtype=np.float64)
        dec_deg = galaxies["dec_deg"].to_numpy(dtype=np.float64)
        self._placed = np.flatnonzero(np.isfinite(ra_deg) & np.isfinite(dec_deg))
        self._points = unit_vectors(ra_deg, dec_deg)
        self._tree = cKDTree(self._points[self._placed]) if len(self._placed) else None
        self._chord = chord(config.min_separation_arcsec)
        regions: list[SkyBox | SkyCone] = [*config.boxes, *config.cones]
        self._is_inside = np.array(
            [_is_inside(region, ra_deg, dec_deg, self._points) for region in regions], dtype=bool
        ).reshape(len(regions), len(galaxies))
        self._room = np.array(
            [np.inf if one.max_galaxies is None else one.max_galaxies for one in regions],
            dtype=np.float64,
        )
        self.is_open: Bool[np.ndarray, " galaxy"] = np.ones(len(galaxies), dtype=bool)
        if regions:
            self.is_open = np.asarray(self._is_inside.any(axis=0))

    def take(self, place: int) -> None:
        """Put a galaxy into the batch; it counts to the first of its regions that has room."""
        self.is_open[place] = False
        has_room = self._room > 0
        own = np.flatnonzero(self._is_inside[:, place] & has_room)
        if len(own):
            self._room[own[0]] -= 1
            if self._room[own[0]] == 0:
                self.is_open &= self._is_inside[self._room > 0].any(axis=0)
        point = self._points[place]
        if self._chord and self._tree is not None and np.isfinite(point).all():
            near = self._tree.query_ball_point(point, self._chord)
            self.is_open[self._placed[near]] = False


def _is_inside(
    region: SkyBox | SkyCone,
    ra_deg: Float64[np.ndarray, " galaxy"],
    dec_deg: Float64[np.ndarray, " galaxy"],
    points: Float64[np.ndarray, "galaxy axis"],
) -> Bool[np.ndarray, " galaxy"]:
    """Whether galaxies lie in a region; no comparison with NaN holds."""
    if isinstance(region, SkyCone):
        centre = unit_vectors(np.array([region.ra_deg]), np.array([region.dec_deg]))
        is_near = np.linalg.norm(points - centre, axis=1) <= chord(3600 * region.radius_deg)
        return np.asarray(is_near)
    ra_deg = np.where(ra_deg < 0, ra_deg + 360, ra_deg)
    is_after, is_before = ra_deg >= region.ra_from_deg, ra_deg <= region.ra_to_deg
    is_over_zero = region.ra_from_deg > region.ra_to_deg
    is_between = (is_after | is_before) if is_over_zero else (is_after & is_before)
    is_level = (dec_deg >= region.dec_from_deg) & (dec_deg <= region.dec_to_deg)
    return np.asarray(is_between & is_level)

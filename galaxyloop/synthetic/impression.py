"""How strongly the features of a simulated galaxy strike the eye."""

from dataclasses import dataclass

import numpy as np

from galaxyloop.synthetic.config import SimulationConfig
from galaxyloop.synthetic.galaxies import Galaxy
from galaxyloop.synthetic.light import disk_axis_ratio


@dataclass(frozen=True)
class Impression:
    """How strongly features strike the eye, each from 0 to about 1."""

    galaxy: Galaxy
    """The parameters themselves."""
    clarity: float
    """How well details are seen: brightness against noise, size against seeing."""
    edge_on: float
    """A disk seen from the side."""
    arms: float
    """Spiral arms."""
    bar: float
    """A bar."""
    ring: float
    """A ring."""
    clumps: float
    """Clumps that stand out."""
    disturbance: float
    """Tails and warps."""
    companion: float
    """A companion that touches."""
    artifact: float
    """A star or a satellite's trail in place of a galaxy."""
    flatness: float
    """One less the apparent axis ratio of the smooth light."""
    bulge: float
    """Share of the light in the bulge."""
    dust: float
    """A dust lane across a disk from the side."""


def impression_of(galaxy: Galaxy, config: SimulationConfig) -> Impression:
    """Judge a galaxy as it shows at the survey's noise and seeing."""
    size_in_psf = galaxy.half_light_radius_share * config.image_size_px / config.psf_fwhm_px
    signal = galaxy.surface_brightness / max(config.noise, 0.05)
    clarity = rise(np.log(size_in_psf), np.log(2.2), 0.35) * rise(np.log(signal), np.log(3.0), 0.5)
    disk_share = 1 - galaxy.bulge_to_total
    edge_on = rise(galaxy.inclination_deg, 76.0, 2.5) * (disk_share > 0)
    face_on = 1 - edge_on
    disk_flatness = 1 - disk_axis_ratio(galaxy.inclination_deg)
    bulge_flatness = 1 - galaxy.bulge_axis_ratio
    arms = galaxy.arm_contrast * (galaxy.n_arms > 0) * face_on * disk_share**0.5
    return Impression(
        galaxy=galaxy,
        clarity=clarity,
        edge_on=edge_on,
        arms=arms * clarity,
        bar=galaxy.bar_strength * face_on * disk_share**0.5 * clarity,
        ring=galaxy.ring_strength * face_on * disk_share**0.5 * clarity,
        clumps=rise(galaxy.clumpiness, 0.2, 0.05) * disk_share**0.5 * clarity,
        disturbance=galaxy.tidal_strength * clarity,
        companion=rise(galaxy.companion_share, 0.12, 0.03) * (galaxy.companion_share > 0),
        artifact=max(galaxy.star_strength, galaxy.trail_strength),
        flatness=galaxy.bulge_to_total * bulge_flatness + disk_share * disk_flatness,
        bulge=galaxy.bulge_to_total,
        dust=rise(galaxy.dust_depth, 1.4, 0.3) * edge_on * clarity,
    )


def rise(value: float, middle: float, width: float) -> float:
    """A smooth step from 0 to 1."""
    return float(1 / (1 + np.exp(-np.clip((value - middle) / width, -50, 50))))

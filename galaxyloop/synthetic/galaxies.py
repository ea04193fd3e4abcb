"""Simulated galaxies: what they are, before anybody looks at them."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Galaxy:
    """The parameters of one simulated galaxy; lengths without unit are in half-light radii."""

    kind: str = "disk"
    """The recipe its parameters were drawn from; volunteers only react to the others."""
    half_light_radius_share: float = 0.11
    """Half-light radius as a share of the image's side."""
    surface_brightness: float = 14.0
    """Mean within the half-light radius, in units of the noise of one pixel at ``noise=1``."""
    blueness: float = 0.5
    """Colour of the disk, from 0 (red) to 1 (blue)."""
    bulge_to_total: float = 0.2
    """Share of the light in the bulge (1 for an elliptical)."""
    sersic_index: float = 2.5
    """Shape of the bulge's profile."""
    bulge_radius: float = 0.35
    """Half-light radius of the bulge."""
    bulge_axis_ratio: float = 0.9
    """Minor to major axis of the bulge."""
    inclination_deg: float = 30.0
    """0 is face-on, 90 edge-on."""
    position_angle_deg: float = 0.0
    """Of the major axis, on the image."""
    bar_strength: float = 0.0
    """From 0 (none) to 1."""
    bar_length: float = 0.9
    """Half the length of the bar."""
    bar_angle_deg: float = 0.0
    """Of the bar in the plane of the disk."""
    n_arms: int = 0
    """Spiral arms, 0 to 6."""
    pitch_angle_deg: float = 18.0
    """Small is tightly wound."""
    arm_contrast: float = 0.0
    """From 0 (no arms to be seen) to 1."""
    arm_raggedness: float = 0.3
    """From 0 (grand design) to 1 (flocculent)."""
    ring_strength: float = 0.0
    """From 0 (none) to 1."""
    ring_radius: float = 1.3
    """Radius of the ring."""
    clumpiness: float = 0.05
    """Share of the disk's light in star-forming clumps."""
    dust_depth: float = 0.0
    """Optical depth of the dust lane in the middle band."""
    companion_share: float = 0.0
    """Light of the companion relative to the galaxy's; 0 is no companion."""
    companion_distance: float = 2.0
    """From the galaxy's centre to the companion's."""
    companion_angle_deg: float = 0.0
    """Direction of the companion on the image."""
    tidal_strength: float = 0.0
    """Tails and warps, from 0 (undisturbed) to 1."""
    star_strength: float = 0.0
    """A saturated star in place of a galaxy, from 0 (none) to 1."""
    trail_strength: float = 0.0
    """A satellite's trail across the image, from 0 (none) to 1."""


Traits = dict[str, Any]
"""Fields of ``Galaxy`` with their values."""


def draw_galaxy(rng: np.random.Generator) -> Galaxy:
    """One galaxy of the population: its kind by the shares in ``KINDS``, then its parameters."""
    names = list(KINDS)
    shares = np.array([KINDS[name][0] for name in names])
    return draw_galaxy_of_kind(str(rng.choice(names, p=shares / shares.sum())), rng)


def draw_galaxy_of_kind(kind: str, rng: np.random.Generator) -> Galaxy:
    """One galaxy of the given kind, a key of ``KINDS``."""
    typical = Galaxy(
        kind=kind,
        half_light_radius_share=float(np.clip(rng.lognormal(np.log(0.11), 0.28), 0.05, 0.19)),
        surface_brightness=float(np.clip(rng.lognormal(np.log(12.0), 0.6), 2.5, 50.0)),
        blueness=float(rng.uniform(0.2, 0.8)),
        bulge_to_total=float(rng.uniform(0.05, 0.45)),
        sersic_index=float(rng.uniform(1.5, 3.5)),
        bulge_radius=float(rng.uniform(0.22, 0.4)),
        bulge_axis_ratio=float(rng.uniform(0.75, 1.0)),
        # Random orientations have a uniform cosine; edge-on ones are a kind of their own.
        inclination_deg=float(np.degrees(np.arccos(rng.uniform(0.35, 1.0)))),
        position_angle_deg=float(rng.uniform(0, 180)),
        bar_angle_deg=float(rng.uniform(0, 180)),
        companion_angle_deg=float(rng.uniform(0, 360)),
    )
    return dataclasses.replace(typical, **KINDS[kind][1](rng))


def _elliptical(rng: np.random.Generator) -> Traits:
    """No disk; from completely round to cigar-shaped."""
    return {
        "bulge_to_total": 1.0,
        "sersic_index": rng.uniform(2.0, 5.0),
        "bulge_radius": 1.0,
        "bulge_axis_ratio": 1.0 - 0.75 * rng.beta(1.2, 1.8),
        "inclination_deg": 0.0,
        "blueness": rng.uniform(0.0, 0.25),
        "clumpiness": 0.0,
    }


def _disk(rng: np.random.Generator) -> Traits:
    """A smooth disk with hardly an arm."""
    return {
        "n_arms": int(rng.integers(2, 4)),
        "arm_contrast": rng.uniform(0.0, 0.25),
        "blueness": rng.uniform(0.1, 0.6),
        "bulge_to_total": rng.uniform(0.1, 0.6),
        "clumpiness": rng.uniform(0.0, 0.05),
    }


def _spiral(rng: np.random.Generator) -> Traits:
    """One to six logarithmic arms, mostly two."""
    return {
        "n_arms": int(rng.choice([1, 2, 3, 4, 5, 6], p=[0.08, 0.5, 0.16, 0.12, 0.07, 0.07])),
        "pitch_angle_deg": rng.uniform(8.0, 34.0),
        "arm_contrast": rng.uniform(0.4, 1.0),
        "arm_raggedness": rng.uniform(0.1, 0.7),
        "blueness": rng.uniform(0.4, 1.0),
        "clumpiness": rng.uniform(0.02, 0.12),
        "half_light_radius_share": rng.uniform(0.08, 0.18),
    }


def _barred(rng: np.random.Generator) -> Traits:
    """A bar, most often with two arms from its ends."""
    has_arms = rng.random() < 0.75
    return {
        **_spiral(rng),
        "n_arms": 2,
        "bar_strength": rng.uniform(0.3, 1.0),
        "bar_length": rng.uniform(0.7, 1.2),
        "arm_contrast": rng.uniform(0.3, 0.9) if has_arms else 0.0,
        "arm_raggedness": rng.uniform(0.1, 0.35),
        "inclination_deg": rng.uniform(0.0, 55.0),
        "blueness": rng.uniform(0.2, 0.8),
        "bulge_to_total": rng.uniform(0.08, 0.3),
    }


def _edge_on(rng: np.random.Generator) -> Traits:
    """Seen from the side, sometimes with a dust lane."""
    return {
        "inclination_deg": rng.uniform(82.0, 90.0),
        "bulge_to_total": float(rng.choice([0.0, 1.0], p=[0.3, 0.7])) * rng.uniform(0.05, 0.45),
        "bulge_axis_ratio": rng.uniform(0.6, 0.95),
        "half_light_radius_share": rng.uniform(0.10, 0.16),
        "dust_depth": float(rng.random() < 0.5) * rng.uniform(0.8, 3.5),
        "clumpiness": rng.uniform(0.0, 0.08),
        "blueness": rng.uniform(0.1, 0.8),
    }


def _ring(rng: np.random.Generator) -> Traits:
    """A ring of young stars around a bulge, sometimes with a bar."""
    return {
        "ring_strength": rng.uniform(0.4, 1.0),
        "ring_radius": rng.uniform(1.1, 1.6),
        "bar_strength": float(rng.random() < 0.3) * rng.uniform(0.3, 0.8),
        "bulge_to_total": rng.uniform(0.25, 0.6),
        "blueness": rng.uniform(0.3, 1.0),
        "inclination_deg": rng.uniform(0.0, 60.0),
        "half_light_radius_share": rng.uniform(0.1, 0.16),
    }


def _merger(rng: np.random.Generator) -> Traits:
    """A companion close by, tails and warps."""
    return {
        "companion_share": rng.uniform(0.15, 0.9),
        "companion_distance": rng.uniform(1.0, 2.8),
        "tidal_strength": rng.uniform(0.15, 1.0),
        "n_arms": 2,
        "arm_contrast": rng.uniform(0.0, 0.6),
        "clumpiness": rng.uniform(0.0, 0.12),
        "half_light_radius_share": rng.uniform(0.08, 0.13),
    }


def _clumpy(rng: np.random.Generator) -> Traits:
    """An irregular blue galaxy that is mostly clumps."""
    return {
        "clumpiness": rng.uniform(0.25, 0.6),
        "blueness": rng.uniform(0.7, 1.0),
        "bulge_to_total": rng.uniform(0.0, 0.08),
        "tidal_strength": rng.uniform(0.0, 0.3),
        "n_arms": int(rng.integers(1, 4)),
        "arm_contrast": rng.uniform(0.0, 0.4),
        "arm_raggedness": 1.0,
        "surface_brightness": rng.uniform(5.0, 14.0),
    }


def _artifact(rng: np.random.Generator) -> Traits:
    """A saturated star, or a satellite's trail over a faint galaxy."""
    is_star = rng.random() < 0.6
    return {
        "star_strength": rng.uniform(0.5, 1.0) if is_star else 0.0,
        "trail_strength": 0.0 if is_star else rng.uniform(0.5, 1.0),
        "half_light_radius_share": 0.06,
        "surface_brightness": rng.uniform(2.0, 6.0),
    }


KINDS: dict[str, tuple[float, Callable[[np.random.Generator], Traits]]] = {
    "elliptical": (0.29, _elliptical),
    "disk": (0.13, _disk),
    "spiral": (0.21, _spiral),
    "barred": (0.11, _barred),
    "edge-on": (0.10, _edge_on),
    "ring": (0.05, _ring),
    "merger": (0.05, _merger),
    "clumpy": (0.04, _clumpy),
    "artifact": (0.02, _artifact),
}
"""Share of the population and recipe of each kind of galaxy."""

"""The light of a simulated galaxy in three bands, as a telescope without air or noise sees it."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32

from galaxyloop.synthetic.galaxies import Galaxy

Plane = Float32[np.ndarray, "y x"]
Light = Float32[np.ndarray, "y x band"]

# Bands stand in RGB order; each colour has a mean of about one.
OLD_STARS = np.array([1.30, 1.00, 0.62], np.float32)
RED_DISK = np.array([1.20, 1.00, 0.74], np.float32)
BLUE_DISK = np.array([0.90, 0.98, 1.08], np.float32)
YOUNG_STARS = np.array([0.76, 0.96, 1.34], np.float32)
HYDROGEN_CLUMP = np.array([0.92, 0.94, 1.22], np.float32)
DUST = np.array([0.75, 1.0, 1.4], np.float32)
"""Extinction of the bands relative to the middle one."""


@dataclass(frozen=True)
class Frame:
    """Coordinates of every pixel around one galaxy, in half-light radii."""

    along: Plane
    """Along the major axis on the image."""
    across: Plane
    """Along the minor axis on the image."""
    radius: Plane
    """Distance from the centre in the plane of the disk."""
    angle: Plane
    """Azimuth in the plane of the disk."""
    raggedness: Plane
    """A smooth random field of unit variance that breaks symmetry."""
    softening: float
    """Half a pixel: profiles are averaged over pixels, so no cusp is sharper."""


def paint_galaxy(galaxy: Galaxy, image_size_px: int, rng: np.random.Generator) -> Light:
    """The light of a galaxy and of its companion, before the point spread function.

    Exponential disk, Sersic (1963) bulge, bar, logarithmic spiral arms, ring and clumps; each
    has its colour and its share of the flux, and dust dims what lies behind it.

    Args:
        galaxy: its parameters.
        image_size_px: side of the image.
        rng: draws clumps, ragged arms and the centre's offset (under a pixel).

    Returns:
        Surface brightness in units of the noise of one pixel at ``noise=1``.
    """
    scale_px = galaxy.half_light_radius_share * image_size_px
    centre = (image_size_px - 1) / 2 + rng.uniform(-0.5, 0.5, 2)
    light = _paint_one(galaxy, image_size_px, (float(centre[0]), float(centre[1])), rng)
    if galaxy.companion_share > 0:
        direction = np.radians(galaxy.companion_angle_deg)
        offset = (
            galaxy.companion_distance * scale_px * np.array([np.cos(direction), np.sin(direction)])
        )
        place = centre + offset
        companion = _companion_of(galaxy, rng)
        light += _paint_one(companion, image_size_px, (float(place[0]), float(place[1])), rng)
    return light


def _companion_of(galaxy: Galaxy, rng: np.random.Generator) -> Galaxy:
    """A smaller galaxy, disturbed like its neighbour."""
    return dataclasses.replace(
        galaxy,
        half_light_radius_share=galaxy.half_light_radius_share
        * float(np.sqrt(galaxy.companion_share)),
        blueness=float(rng.uniform(0.0, 1.0)),
        bulge_to_total=float(rng.uniform(0.1, 0.9)),
        inclination_deg=float(rng.uniform(0, 70)),
        position_angle_deg=float(rng.uniform(0, 180)),
        companion_angle_deg=galaxy.companion_angle_deg + 180.0,
        bar_strength=0.0,
        ring_strength=0.0,
    )


def _paint_one(
    galaxy: Galaxy, image_size_px: int, centre: tuple[float, float], rng: np.random.Generator
) -> Light:
    """One galaxy about its centre (x, y)."""
    frame = _frame_of(galaxy, image_size_px, centre, rng)
    scale_px = galaxy.half_light_radius_share * image_size_px
    flux = galaxy.surface_brightness * 2 * np.pi * scale_px**2
    light = np.zeros((image_size_px, image_size_px, 3), np.float32)
    for share, colour, profile in _components_of(galaxy):
        if share > 0:
            shape = profile(galaxy, frame)
            light += shape[..., None] * (colour * np.float32(flux * share / max(shape.sum(), 1e-6)))
    if galaxy.clumpiness > 0 and galaxy.bulge_to_total < 1:
        share = (1 - galaxy.bulge_to_total) * galaxy.clumpiness
        light += _clumps(galaxy, frame, rng)[..., None] * (
            HYDROGEN_CLUMP * np.float32(flux * share)
        )
    if galaxy.dust_depth > 0:
        light *= np.exp(-_dust(galaxy, frame)[..., None] * DUST)
    return light


def _frame_of(
    galaxy: Galaxy, image_size_px: int, centre: tuple[float, float], rng: np.random.Generator
) -> Frame:
    """Turn, incline and, for a disturbed galaxy, warp the pixel grid."""
    scale_px = np.float32(galaxy.half_light_radius_share * image_size_px)
    pixels = np.arange(image_size_px, dtype=np.float32)
    x = ((pixels - np.float32(centre[0])) / scale_px)[None, :]
    y = ((pixels - np.float32(centre[1])) / scale_px)[:, None]
    turn = np.radians(galaxy.position_angle_deg)
    cosine, sine = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    along, across = cosine * x + sine * y, cosine * y - sine * x
    ragged = smooth_field(rng, image_size_px, n_cells=9)
    if galaxy.tidal_strength > 0:
        bend = np.float32(0.35 * galaxy.tidal_strength)
        across = across + bend * (0.45 * along**2 / (1 + 0.3 * np.abs(along)) + 0.5 * ragged)
        along = along + bend * 0.5 * smooth_field(rng, image_size_px, n_cells=7)
    flat = disk_axis_ratio(galaxy.inclination_deg)
    deprojected = across / np.float32(flat)
    softening = 0.5 / float(scale_px)
    radius = np.sqrt(along**2 + deprojected**2 + np.float32(softening**2))
    return Frame(along, across, radius, np.arctan2(deprojected, along), ragged, softening)


def smooth_field(rng: np.random.Generator, image_size_px: int, n_cells: int) -> Plane:
    """A smooth random field of about unit variance."""
    cells = rng.standard_normal((n_cells, n_cells), dtype=np.float32)
    field: Plane = cv2.resize(cells, (image_size_px, image_size_px), interpolation=cv2.INTER_CUBIC)
    return field


def disk_axis_ratio(inclination_deg: float) -> float:
    """Apparent axis ratio of a disk a tenth as thick as wide (Hubble 1926)."""
    cosine = np.cos(np.radians(inclination_deg))
    return float(np.sqrt(0.1**2 + (1 - 0.1**2) * cosine**2))


Profile = Callable[[Galaxy, Frame], Plane]


def _components_of(galaxy: Galaxy) -> list[tuple[float, np.ndarray, Profile]]:
    """Share of the flux, colour and profile of each component."""
    disk = (1 - galaxy.bulge_to_total) * (1 - galaxy.clumpiness)
    bar = 0.36 * galaxy.bar_strength * disk
    ring = 0.5 * galaxy.ring_strength * disk
    arms = 0.62 * galaxy.arm_contrast * (disk - bar - ring) if galaxy.n_arms else 0.0
    tails = (
        0.5 * galaxy.tidal_strength * (disk - bar - ring - arms) if galaxy.companion_share else 0.0
    )
    disk_colour = RED_DISK + np.float32(galaxy.blueness) * (BLUE_DISK - RED_DISK)
    young_colour = RED_DISK + np.float32(galaxy.blueness) * (YOUNG_STARS - RED_DISK)
    return [
        (galaxy.bulge_to_total, OLD_STARS, _bulge),
        (disk - bar - ring - arms - tails, disk_colour, _disk),
        (bar, OLD_STARS, _bar),
        (ring, young_colour, _ring),
        (arms, young_colour, _arms),
        (tails, disk_colour, _tails),
    ]


def _bulge(galaxy: Galaxy, frame: Frame) -> Plane:
    """Sersic profile; b_n by Ciotti & Bertin (1999)."""
    n = galaxy.sersic_index
    b = 2 * n - 1 / 3 + 4 / (405 * n)
    flat = galaxy.bulge_axis_ratio
    scale = np.float32(galaxy.bulge_radius * np.sqrt(flat))
    radius = np.sqrt(
        frame.along**2 + (frame.across / np.float32(flat)) ** 2 + np.float32(frame.softening**2)
    )
    profile: Plane = np.exp(np.float32(-b) * (radius / scale) ** np.float32(1 / n))
    return profile


def _disk(galaxy: Galaxy, frame: Frame) -> Plane:
    """Exponential; seen from the side a sheet of isothermal thickness."""
    face_on = np.exp(np.float32(-1.678) * frame.radius)
    edge = float(np.clip((galaxy.inclination_deg - 78) / 5, 0, 1))
    if edge == 0:
        return face_on
    height = np.float32(0.15 + 0.5 * np.cos(np.radians(galaxy.inclination_deg)))
    sheet = (
        np.exp(-1.5 * np.sqrt(frame.along**2 + 0.04))
        / np.cosh(np.clip(frame.across / height, -40, 40)) ** 2
    )
    blended: Plane = ((1 - edge) * face_on / face_on.sum() + edge * sheet / sheet.sum()).astype(
        np.float32
    )
    return blended


def _bar(galaxy: Galaxy, frame: Frame) -> Plane:
    """A flat-topped, slightly boxy ellipse in the plane of the disk."""
    turn = np.float32(np.radians(galaxy.bar_angle_deg))
    along = np.abs(frame.radius * np.cos(frame.angle - turn)) / np.float32(galaxy.bar_length)
    across = np.abs(frame.radius * np.sin(frame.angle - turn)) / np.float32(
        0.18 * galaxy.bar_length
    )
    profile: Plane = np.exp(-((along**3 + across**3) ** np.float32(0.8)))
    return profile


def _ring(galaxy: Galaxy, frame: Frame) -> Plane:
    """A Gaussian in radius, a little patchy."""
    distance = (frame.radius - np.float32(galaxy.ring_radius)) / np.float32(0.16)
    profile: Plane = np.exp(-0.5 * distance**2) * np.exp(0.25 * frame.raggedness)
    return profile


def _arms(galaxy: Galaxy, frame: Frame) -> Plane:
    """Ridges along logarithmic spirals, from the end of the bar (or the bulge) outwards."""
    start = galaxy.bar_length if galaxy.bar_strength else 0.35 + 0.5 * galaxy.bulge_to_total
    wound = np.log(np.maximum(frame.radius, 0.05) / np.float32(start))
    phase = frame.angle - np.float32(np.radians(galaxy.bar_angle_deg))
    phase = phase - wound / np.float32(np.tan(np.radians(galaxy.pitch_angle_deg)))
    ragged = np.float32(galaxy.arm_raggedness)
    phase = galaxy.n_arms * (phase + np.float32(0.35) * ragged * frame.raggedness)
    # One arm must be as narrow on the image as one of many, hence a sharper ridge for few arms.
    sharpness = np.float32(5.0 / max(galaxy.n_arms, 1) ** 0.7)
    ridge = np.exp(sharpness * (np.cos(phase) - 1))
    opening = _smooth_step((frame.radius - np.float32(start)) / np.float32(0.09))
    fading = np.exp(np.float32(-1.1) * frame.radius) * (1 + ragged * np.tanh(frame.raggedness))
    fading = fading * _smooth_step((np.float32(2.6) - frame.radius) / np.float32(0.25))
    profile: Plane = (ridge * opening * fading).astype(np.float32)
    return profile


def _smooth_step(value: Plane) -> Plane:
    """From 0 to 1, without the overflow of a plain logistic."""
    step: Plane = 0.5 * (1 + np.tanh(0.5 * value))
    return step


def _tails(galaxy: Galaxy, frame: Frame) -> Plane:
    """Two curved tails, the stronger one away from the companion."""
    away = np.float32(np.radians(galaxy.companion_angle_deg - galaxy.position_angle_deg) + np.pi)
    sweep = frame.angle - away - np.float32(0.6) * (frame.radius - 1)
    width = np.float32(0.25) + np.float32(0.12) / np.maximum(frame.radius, 0.3)
    main = np.exp(-((1 - np.cos(sweep)) / width**2) * 1.2)
    other = np.exp(-((1 + np.cos(sweep)) / width**2) * 1.2)
    fading = frame.radius**2 * np.exp(-frame.radius / np.float32(0.7))
    profile: Plane = ((main + 0.45 * other) * fading).astype(np.float32)
    return profile


def _clumps(galaxy: Galaxy, frame: Frame, rng: np.random.Generator) -> Plane:
    """Star-forming clumps on the disk, brighter on arms and rings; they sum to one."""
    where = _disk(galaxy, frame) ** np.float32(1.4)
    where = where / where.sum() + 1e-9
    for strength, profile in (
        (galaxy.arm_contrast * (galaxy.n_arms > 0), _arms),
        (galaxy.ring_strength, _ring),
    ):
        if strength > 0:
            shape = profile(galaxy, frame)
            where = (1 - strength) * where + strength * shape / max(shape.sum(), 1e-6)
    cumulative = np.cumsum(where.ravel(), dtype=np.float64)
    n_clumps = 4 + int(30 * galaxy.clumpiness) + int(rng.integers(0, 6))
    places = np.searchsorted(cumulative, rng.random(n_clumps) * cumulative[-1] * 0.999999)
    clumps = np.zeros(where.size, np.float32)
    np.add.at(clumps, places, rng.pareto(1.6, n_clumps).astype(np.float32).clip(0, 3) + 0.4)
    size = max(0.042 / frame.softening, 0.5)
    spread: Plane = cv2.GaussianBlur((clumps / clumps.sum()).reshape(where.shape), (0, 0), size)
    return spread


def _dust(galaxy: Galaxy, frame: Frame) -> Plane:
    """Optical depth of a lane along the major axis, a little off-centre and wavy."""
    height = frame.across - np.float32(0.03) + np.float32(0.015) * frame.raggedness
    lane = np.exp(-0.5 * (height / np.float32(0.09)) ** 2 - (frame.along / np.float32(1.6)) ** 4)
    depth: Plane = (np.float32(galaxy.dust_depth) * lane).astype(np.float32)
    return depth

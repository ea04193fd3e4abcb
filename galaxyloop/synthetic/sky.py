"""What stands between a galaxy and its JPEG: field, seeing, noise, artifacts and the stretch."""

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from galaxyloop.synthetic.galaxies import Galaxy
from galaxyloop.synthetic.light import Light, smooth_field

_STAMP_HALF_PX = 12


def add_field(light: Light, rng: np.random.Generator) -> None:
    """Add faint neighbours: small galaxies of all colours and a few stars."""
    size = light.shape[0]
    for _ in range(int(rng.poisson(5.0 * (size / 96) ** 2))):
        x, y = rng.uniform(0, size, 2)
        peak = np.float32(min(2.0 * rng.pareto(1.1) + 1.5, 120.0))
        red = rng.uniform(-0.5, 0.5)
        colour = peak * np.array([1 + red, 1.0, 1 - 0.8 * red], np.float32)
        if rng.random() < 0.35:
            light[int(y), int(x)] += 7 * colour
            continue
        scale, flat, turn = rng.uniform(0.7, 1.7), rng.uniform(0.4, 1.0), rng.uniform(0, np.pi)
        rows = slice(max(int(y) - _STAMP_HALF_PX, 0), min(int(y) + _STAMP_HALF_PX, size))
        columns = slice(max(int(x) - _STAMP_HALF_PX, 0), min(int(x) + _STAMP_HALF_PX, size))
        dy = np.arange(rows.start, rows.stop, dtype=np.float32)[:, None] - np.float32(y)
        dx = np.arange(columns.start, columns.stop, dtype=np.float32)[None, :] - np.float32(x)
        along = np.float32(np.cos(turn)) * dx + np.float32(np.sin(turn)) * dy
        across = (np.float32(np.cos(turn)) * dy - np.float32(np.sin(turn)) * dx) / np.float32(flat)
        radius = np.sqrt(along**2 + across**2 + np.float32(0.2))
        light[rows, columns] += np.exp(-radius / np.float32(scale))[..., None] * colour


def blur_by_seeing(light: Light, psf_fwhm_px: float) -> Light:
    """Convolve with a point spread function: two Gaussians, close to a Moffat with beta 3."""
    sigma = psf_fwhm_px / 2.355
    core: Light = cv2.GaussianBlur(light, (0, 0), sigma)
    wing: Light = cv2.GaussianBlur(light, (0, 0), 2.3 * sigma)
    return np.float32(0.86) * core + np.float32(0.14) * wing


def add_artifacts(light: Light, galaxy: Galaxy, rng: np.random.Generator) -> None:
    """Add a saturated star with spikes, or a satellite's trail, where the parameters say so."""
    size = light.shape[0]
    pixels = np.arange(size, dtype=np.float32)
    if galaxy.star_strength > 0:
        middle = (size - 1) / 2 + rng.uniform(-3, 3, 2)
        dx = pixels[None, :] - np.float32(middle[0])
        dy = pixels[:, None] - np.float32(middle[1])
        light += _star(dx, dy, galaxy.star_strength, rng)
    if galaxy.trail_strength > 0:
        turn, shift = rng.uniform(0, np.pi), rng.uniform(-0.2, 0.2) * size
        across = (
            np.float32(np.cos(turn)) * (pixels - size / 2)[None, :]
            + np.float32(np.sin(turn)) * (pixels - size / 2)[:, None]
            - np.float32(shift)
        )
        # Each band sees the satellite at another time, so a trail has a single colour.
        colour = np.roll(np.array([1.0, 0.15, 0.1], np.float32), int(rng.integers(0, 3)))
        trail = np.exp(-0.5 * (across / np.float32(rng.uniform(0.8, 1.6))) ** 2)
        light += trail[..., None] * (colour * np.float32(9 * galaxy.trail_strength))


def _star(
    dx: Float32[np.ndarray, "1 x"],
    dy: Float32[np.ndarray, "y 1"],
    strength: float,
    rng: np.random.Generator,
) -> Light:
    """Saturated core, Moffat halo, and two crossed diffraction spikes."""
    squared = dx**2 + dy**2
    core = (1 + squared / np.float32(5.0 + 16 * strength**2)) ** np.float32(-2.2)
    halo = (1 + squared / np.float32(150.0)) ** np.float32(-1.4)
    turn = np.radians(rng.uniform(40, 50))
    first = np.float32(np.cos(turn)) * dx + np.float32(np.sin(turn)) * dy
    second = np.float32(np.cos(turn)) * dy - np.float32(np.sin(turn)) * dx
    reach = np.float32(6 + 14 * strength)
    spikes = np.exp(-0.5 * (first / 0.9) ** 2 - np.abs(second) / reach) + np.exp(
        -0.5 * (second / 0.9) ** 2 - np.abs(first) / reach
    )
    warmth = rng.uniform(-0.25, 0.35)
    colour = np.array([1 + warmth, 1.0, 1 - warmth], np.float32)
    brightness = 1500 * core + 22 * strength * halo + 60 * strength * spikes
    star: Light = (brightness[..., None] * colour).astype(np.float32)
    return star


def observe(light: Light, noise: float, rng: np.random.Generator) -> Light:
    """Add the noise of the sky and of the source, and a faint residual background."""
    size = light.shape[0]
    # The sky adds 60 times the unit's variance, so that sources only tell where they are bright.
    variance = np.maximum(light, 0) / np.float32(60.0) + np.float32(1.0)
    grain = rng.standard_normal(light.shape, dtype=np.float32)
    # Images are resampled to the galaxy's size, which correlates the noise of neighbours.
    grain = cv2.GaussianBlur(grain, (0, 0), 0.6) * np.float32(1.8)
    band_noise = np.array([1.15, 0.8, 1.0], np.float32) * np.float32(0.55 * noise)
    background = np.float32(0.2 * noise) * smooth_field(rng, size, n_cells=4)
    observed: Light = light + band_noise * np.sqrt(variance) * grain + background[..., None]
    return observed


def stretch_to_rgb(light: Light) -> UInt8[np.ndarray, "y x band"]:
    """Colour image by the asinh stretch of Lupton et al. (2004, astro-ph/0312483).

    Where a band saturates the hue is half kept.
    """
    softening, stretch, black_level = np.float32(8.0), np.float32(17.0), np.float32(0.55)
    lifted = light + black_level
    mean = np.maximum(lifted.mean(axis=2, keepdims=True), np.float32(1e-3))
    scaled = lifted * (np.arcsinh(softening * mean / stretch) / (softening * mean))
    scaled = scaled * np.float32(2.0)
    brightest = scaled.max(axis=2, keepdims=True)
    # Half-way between keeping the hue and clipping each band: bright centres fade to white.
    scaled = scaled / np.sqrt(np.maximum(brightest, 1.0))
    rgb: UInt8[np.ndarray, "y x band"] = (
        np.clip(scaled, 0, 1) * np.float32(255) + np.float32(0.5)
    ).astype(np.uint8)
    return rgb

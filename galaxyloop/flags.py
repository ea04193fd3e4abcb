"""Flags: which rows of a catalogue to look at before they are believed."""

import numpy as np
from jaxtyping import Float, Int32, UInt8

FLAGS = {"out_of_distribution": 1, "partly_empty": 2, "saturated": 4, "low_contrast": 8}
"""The bit of each flag; a galaxy's ``flags`` is the sum of those that are raised."""

# With these limits none of 1,600 galaxies' images from SDSS and DECaLS raises a flag, at 64 or at
# 224 pixels; of 200 star fields three are saturated, and some from Hubble have a black sky.
MAX_EMPTY_SHARE = 0.2
"""Share of a cutout that may be 0 in all bands. Galaxy Zoo DECaLS left out images with more than
a fifth of their pixels missing (Walmsley et al. 2022, arXiv:2102.08414). Where a survey's colours
clip the sky to black, this counts it too."""
MAX_SATURATED_SHARE = 0.05
"""Share that may be 255 in a band: a disc a quarter of the frame across. The centres of galaxies
stay below 1 %; stars that bleed do not."""
MIN_STANDING_OUT_SHARE = 0.005
"""Share that must stand out: a source of 5 pixels across in a cutout of 64."""
STANDING_OUT_LEVELS = 20
"""Levels of 255 above the cutout's mean, averaged over bands, from which a pixel stands out. The
noise of the sky has a standard deviation of 2 to 5 levels in images made for volunteers."""
OUT_OF_DISTRIBUTION_ABOVE = 1.0
"""The distance of features (``FeatureReference``) above which a galaxy is flagged."""

FLAG_MEANINGS = {
    "out_of_distribution": "unlike the training galaxies: feature_distance is above "
    f"{OUT_OF_DISTRIBUTION_ABOVE:g}, as for about 1 in 1000 sound images of galaxies like them",
    "partly_empty": f"more than {MAX_EMPTY_SHARE:.0%} of the cutout is exactly 0 in all bands: "
    "outside of the survey, or a sky clipped to black",
    "saturated": f"more than {MAX_SATURATED_SHARE:.0%} of the cutout is at the largest value of a "
    "band",
    "low_contrast": f"less than {MIN_STANDING_OUT_SHARE:.1%} of the cutout is "
    f"{STANDING_OUT_LEVELS} of 255 levels brighter than its mean: nothing stands out",
}
"""What each flag says, in a line."""

_PIXELS_A_SIDE = 64


def image_flags(images: UInt8[np.ndarray, "galaxy y x band"]) -> Int32[np.ndarray, " galaxy"]:
    """The flags that cutouts raise by their pixels alone: all but ``out_of_distribution``.

    Large cutouts are looked at on a lattice of 64 to 128 pixels a side, which the shares do not
    notice and which keeps this a hundredth of an encoder's time.

    Args:
        images: cutouts as the network sees them.
    """
    step = max(1, min(images.shape[1:3]) // _PIXELS_A_SIDE)
    seen = images[:, ::step, ::step]
    n_galaxies, height, width, n_bands = seen.shape
    n_pixels = height * width
    bands = [
        np.ascontiguousarray(seen[..., i]).reshape(n_galaxies, n_pixels) for i in range(n_bands)
    ]
    highest = bands[0].copy()
    light = bands[0].astype(np.uint16)
    for band in bands[1:]:
        np.maximum(highest, band, out=highest)
        light += band
    # In whole numbers, so that no rounding decides; of the light of all bands together.
    total = light.sum(axis=1, dtype=np.int64)
    standing_out = total // n_pixels + STANDING_OUT_LEVELS * n_bands
    n_standing_out = (light > standing_out[:, None]).sum(axis=1)
    raised = {
        "partly_empty": (highest == 0).sum(axis=1) > MAX_EMPTY_SHARE * n_pixels,
        "saturated": (highest == 255).sum(axis=1) > MAX_SATURATED_SHARE * n_pixels,
        "low_contrast": n_standing_out < MIN_STANDING_OUT_SHARE * n_pixels,
    }
    flags = np.zeros(len(images), np.int32)
    for name, is_raised in raised.items():
        flags += np.where(is_raised, FLAGS[name], 0).astype(np.int32)
    return flags


def distance_flags(feature_distance: Float[np.ndarray, " galaxy"]) -> Int32[np.ndarray, " galaxy"]:
    """``out_of_distribution`` where galaxies are too far off; an unknown distance (NaN) is not.

    Args:
        feature_distance: of each galaxy, see ``FeatureReference``.
    """
    is_far = feature_distance > OUT_OF_DISTRIBUTION_ABOVE
    return np.where(is_far, FLAGS["out_of_distribution"], 0).astype(np.int32)

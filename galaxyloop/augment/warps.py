"""One resampling a galaxy: image by image with OpenCV, or a batch at once on an accelerator."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor

_MIN_SIGMA_PX = 0.05


def warp_one_by_one(
    images: UInt8[Tensor, "galaxy y x band"],
    maps: Float64[np.ndarray, "galaxy 2 3"],
    sigmas: Float64[np.ndarray, " galaxy"],
    n_taps: int,
) -> Float[Tensor, "galaxy band y x"]:
    """Warped and blurred cutouts in levels from 0 to 255, bands innermost in memory.

    OpenCV on 8 bits, in as many threads as torch has: several times faster than arithmetic in
    floats. A fourth, empty band makes each pixel 4 bytes, which OpenCV warps faster than 3.

    Args:
        images: RGB cutouts on the CPU.
        maps: from a view's to the cutout's coordinates, both from -1 to 1 over the frame.
        sigmas: standard deviation of each galaxy's blur [px].
        n_taps: width of the blur's kernel [px], odd; 1 is no blur.
    """
    sources = images.numpy()
    warped = np.empty(sources.shape, np.uint8)
    size = (sources.shape[2], sources.shape[1])
    matrices = _to_pixels(maps, *size)

    def warp(i: int) -> None:
        padded = cv2.cvtColor(sources[i], cv2.COLOR_RGB2RGBA)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        view = cv2.warpAffine(padded, matrices[i], size, flags=flags, borderMode=cv2.BORDER_REFLECT)
        view = cv2.cvtColor(view, cv2.COLOR_RGBA2RGB)
        if n_taps > 1 and sigmas[i] > _MIN_SIGMA_PX:
            taps = (n_taps, n_taps)
            view = cv2.GaussianBlur(view, taps, sigmas[i], borderType=cv2.BORDER_REFLECT)
        warped[i] = view

    for_each(len(sources), warp)
    return torch.from_numpy(warped).permute(0, 3, 1, 2).float()


def warp_together(
    images: UInt8[Tensor, "galaxy y x band"],
    maps: Float64[np.ndarray, "galaxy 2 3"],
    sigmas: Float64[np.ndarray, " galaxy"],
    n_taps: int,
) -> Float[Tensor, "galaxy band y x"]:
    """The same as ``warp_one_by_one``, all galaxies in a few operations on their device."""
    plain = images.permute(0, 3, 1, 2).float().contiguous()
    theta = torch.from_numpy(maps).to(plain)
    grid = torch.nn.functional.affine_grid(theta, list(plain.shape), align_corners=False)
    warped = torch.nn.functional.grid_sample(
        plain, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    return warped if n_taps == 1 else _blur_together(warped, sigmas, n_taps)


def for_each(n_items: int, function: Callable[[int], None]) -> None:
    """Call a function that lets other threads run with 0, 1, ..., in torch's number of threads."""
    n_threads = min(torch.get_num_threads(), n_items)
    if n_threads <= 1:
        for i in range(n_items):
            function(i)
        return

    def several(first: int) -> None:
        for i in range(first, n_items, n_threads):
            function(i)

    with ThreadPoolExecutor(n_threads) as pool:
        list(pool.map(several, range(n_threads)))


def _to_pixels(
    maps: Float64[np.ndarray, "galaxy 2 3"], width: int, height: int
) -> Float64[np.ndarray, "galaxy 2 3"]:
    """The same maps between coordinates that count pixels, whole numbers at pixels' centres."""
    half = np.array([width, height]) / 2
    centre = half - 0.5
    linear = maps[:, :, :2] * half[:, None] / half
    offset = maps[:, :, 2] * half + centre - linear @ centre
    return np.concatenate([linear, offset[:, :, None]], axis=2)


def _blur_together(
    views: Float[Tensor, "galaxy band y x"], sigmas: Float64[np.ndarray, " galaxy"], n_taps: int
) -> Float[Tensor, "galaxy band y x"]:
    """Each galaxy convolved with its own Gaussian, first along x, then along y."""
    n_galaxies, n_bands, height, width = views.shape
    n_planes, radius = n_galaxies * n_bands, n_taps // 2
    places = np.arange(n_taps) - radius
    kernels = np.exp(-0.5 * (places / np.maximum(sigmas, _MIN_SIGMA_PX)[:, None]) ** 2)
    kernels /= kernels.sum(axis=1, keepdims=True)
    taps = torch.from_numpy(kernels.repeat(n_bands, axis=0)).to(views)
    planes = _mirrored(_mirrored(views, radius, 3), radius, 2).view(
        1, n_planes, -1, width + 2 * radius
    )
    planes = torch.nn.functional.conv2d(planes, taps.view(n_planes, 1, 1, -1), groups=n_planes)
    planes = torch.nn.functional.conv2d(planes, taps.view(n_planes, 1, -1, 1), groups=n_planes)
    return planes.view(n_galaxies, n_bands, height, width)


def _mirrored(views: Tensor, margin: int, axis: int) -> Tensor:
    """Continued on both sides by its mirror image, the pixel at the edge repeated."""
    size = views.shape[axis]
    before = views.narrow(axis, 0, margin).flip(axis)
    after = views.narrow(axis, size - margin, margin).flip(axis)
    return torch.cat([before, views, after], dim=axis)

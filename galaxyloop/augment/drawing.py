"""Views from cutouts: image by image with OpenCV, or a batch at once on an accelerator."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Float, Float64, Int64, UInt8
from torch import Tensor

_MIN_SIGMA_PX = 0.05


@dataclass(frozen=True)
class ViewPlan:
    """What is done to each cutout of a batch; pixels are levels from 0 to 255 until the light."""

    maps: Float64[np.ndarray, "galaxy 2 3"]
    """From a view's to the cutout's coordinates, both from -1 to 1 over the frame."""
    sigmas_px: Float64[np.ndarray, " galaxy"]
    """Standard deviation of the blur [px]."""
    n_taps: int
    """Width of the blur's kernel [px], odd; 1 is no blur."""
    gains: Float64[np.ndarray, "galaxy band"]
    """Light of a level."""
    mean_gains: Float64[np.ndarray, "galaxy band"]
    """Light that is added for each level of the view's mean."""
    noise: Float[Tensor, "band tall wide"] | None
    """A field of noise, larger than a view; bands innermost in memory."""
    corners: Int64[np.ndarray, "galaxy 2"]
    """Where in the field a view's noise begins, (y, x) [px]."""


def draw_one_by_one(
    images: UInt8[Tensor, "galaxy y x band"], plan: ViewPlan
) -> Float[Tensor, "galaxy band y x"]:
    """Views of RGB cutouts on the CPU, in as many threads as torch has.

    OpenCV warps and blurs in 8 bits, several times faster than arithmetic in floats; a fourth,
    empty band makes each pixel 4 bytes, which it warps faster than 3. All that is done to an
    image follows in its turn, while it lies in the processor's cache.
    """
    sources = images.numpy()
    n_galaxies, height, width, _ = sources.shape
    views = np.empty((n_galaxies, height, width * 3), np.float32)
    matrices = _to_pixels(plan.maps, width, height)
    gains = np.tile(plan.gains.astype(np.float32), width)
    mean_gains = np.tile(plan.mean_gains.astype(np.float32), width)
    noise = None if plan.noise is None else plan.noise.permute(1, 2, 0).flatten(1).numpy()
    buffers = _Buffers(height, width)

    def draw(i: int) -> None:
        padded, warped, levels = buffers.padded, buffers.warped, buffers.levels
        cv2.cvtColor(sources[i], cv2.COLOR_RGB2RGBA, dst=padded)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size, border = (width, height), cv2.BORDER_REFLECT
        cv2.warpAffine(padded, matrices[i], size, dst=warped, flags=flags, borderMode=border)
        cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB, dst=levels)
        if plan.n_taps > 1 and plan.sigmas_px[i] > _MIN_SIGMA_PX:
            taps = (plan.n_taps, plan.n_taps)
            cv2.GaussianBlur(levels, taps, plan.sigmas_px[i], dst=levels, borderType=border)
        view = views[i]
        # Converted first: numpy multiplies mixed types by way of small buffers, half as fast.
        np.copyto(view, levels.reshape(height, -1))
        view *= gains[i]
        if mean_gains[i, 0]:
            view += mean_gains[i] * np.float32(np.mean(cv2.mean(levels)[:3]))
        if noise is not None:
            y, x = plan.corners[i]
            view += noise[y : y + height, 3 * x : 3 * (x + width)]
        np.clip(view, 0, 1, out=view)

    _for_each(n_galaxies, draw)
    return torch.from_numpy(views.reshape(sources.shape)).permute(0, 3, 1, 2)


def draw_together(
    images: UInt8[Tensor, "galaxy y x band"], plan: ViewPlan
) -> Float[Tensor, "galaxy band y x"]:
    """The same as ``draw_one_by_one``, all galaxies in a few operations on their device."""
    levels = images.permute(0, 3, 1, 2).float().contiguous()
    maps = torch.from_numpy(plan.maps).to(levels)
    grid = torch.nn.functional.affine_grid(maps, list(levels.shape), align_corners=False)
    views = torch.nn.functional.grid_sample(
        levels, grid, mode="bilinear", padding_mode="reflection", align_corners=False
    )
    if plan.n_taps > 1:
        views = _blur_together(views, plan.sigmas_px, plan.n_taps)
    gains, mean_gains = (
        torch.from_numpy(values).to(levels)[:, :, None, None]
        for values in (plan.gains, plan.mean_gains)
    )
    views = torch.addcmul(mean_gains * views.mean(dim=(1, 2, 3), keepdim=True), views, gains)
    if plan.noise is not None:
        windows = plan.noise.unfold(1, views.shape[2], 1).unfold(2, views.shape[3], 1)
        corners = torch.from_numpy(plan.corners).to(views.device)
        views.add_(windows[:, corners[:, 0], corners[:, 1]].transpose(0, 1))
    return views.clamp_(0, 1)


class _Buffers(threading.local):
    """Room for one image under way, for each thread its own."""

    def __init__(self, height: int, width: int) -> None:
        self.padded = np.empty((height, width, 4), np.uint8)
        self.warped = np.empty((height, width, 4), np.uint8)
        self.levels = np.empty((height, width, 3), np.uint8)


def _for_each(n_items: int, function: Callable[[int], None]) -> None:
    """Call a function that lets other threads run with 0, 1, ..., in torch's number of threads.

    OpenCV does not split images as small as cutouts, so these are all threads there are.
    """
    n_threads = min(torch.get_num_threads(), n_items)

    def several(first: int) -> None:
        for i in range(first, n_items, n_threads):
            function(i)

    if n_threads <= 1:
        several(0)
        return
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
    views: Float[Tensor, "galaxy band y x"], sigmas_px: Float64[np.ndarray, " galaxy"], n_taps: int
) -> Float[Tensor, "galaxy band y x"]:
    """Each galaxy convolved with its own Gaussian, first along x, then along y."""
    n_galaxies, n_bands, height, width = views.shape
    n_planes, radius = n_galaxies * n_bands, n_taps // 2
    places = np.arange(n_taps) - radius
    kernels = np.exp(-0.5 * (places / np.maximum(sigmas_px, _MIN_SIGMA_PX)[:, None]) ** 2)
    kernels /= kernels.sum(axis=1, keepdims=True)
    taps = torch.from_numpy(kernels.repeat(n_bands, axis=0)).to(views)
    planes = _mirrored(_mirrored(views, radius, 3), radius, 2)
    planes = planes.view(1, n_planes, height + 2 * radius, width + 2 * radius)
    planes = torch.nn.functional.conv2d(planes, taps.view(n_planes, 1, 1, -1), groups=n_planes)
    planes = torch.nn.functional.conv2d(planes, taps.view(n_planes, 1, -1, 1), groups=n_planes)
    return planes.view(n_galaxies, n_bands, height, width)


def _mirrored(views: Tensor, margin: int, axis: int) -> Tensor:
    """Continued on both sides by its mirror image, the pixel at the edge repeated."""
    size = views.shape[axis]
    before = views.narrow(axis, 0, margin).flip(axis)
    after = views.narrow(axis, size - margin, margin).flip(axis)
    return torch.cat([before, views, after], dim=axis)

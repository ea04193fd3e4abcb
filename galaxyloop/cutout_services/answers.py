"""What a service answered, and whether it is the image that was asked for."""

from dataclasses import dataclass

from galaxyloop.cutout_services.config import CutoutServiceConfig, placeholders
from galaxyloop.image_files import ImagePart
from galaxyloop.images import ImageBounds, ImageRejectedError, Pixels, decode_image

FETCHED = "fetched"
REJECTED = "rejected"
FAILED = "failed"
_BOUNDS = ImageBounds(max_image_px=100_000_000, min_side_px=1)
_SUFFIXES = {
    b"\xff\xd8\xff": ".jpg",
    b"\x89PNG": ".png",
    b"SIMPLE": ".fits",
    b"\x1f\x8b": ".fits.gz",
}
_BROKEN = ("a truncated", "a damaged")


@dataclass(frozen=True)
class Answer:
    """How asking for one galaxy ended."""

    outcome: str
    """``fetched``; ``rejected``, for good; or ``failed``, for reasons that may pass."""
    reason: str = ""
    """Why there is no image, in the same words for all answers of this kind."""
    value: str = ""
    """What was found in this one."""
    status: int | None = None
    """HTTP status, if there was any answer."""
    content_type: str = ""
    """What the service says that it sends."""
    content: bytes = b""
    """The image."""
    suffix: str = ""
    """Ending of the file's name, by its first bytes."""
    is_worth_another_try: bool = False
    """Whether the same request may do better within this run."""
    retry_after_s: float | None = None
    """How long the service asks to be left alone [s]."""
    n_attempts: int = 1
    """How often was asked."""


def check_content(
    content: bytes, status: int, content_type: str, config: CutoutServiceConfig
) -> Answer:
    """Whether a successful answer holds the image that was asked for.

    What may be the trace of a service in trouble (nothing at all, a page, an image cut short) is
    a failure, so that a later run asks again. A sound image of the wrong kind is a reject.

    Args:
        content: the whole answer, or ``max_image_bytes + 1`` bytes of a longer one.
        status: HTTP status.
        content_type: what the service says that it is.
        config: what was asked for.
    """
    if len(content) > config.max_image_bytes:
        reason = f"more than max_image_bytes={config.max_image_bytes} bytes"
        return Answer(REJECTED, reason, f"{len(content)} bytes or more", status, content_type)
    try:
        image = decode_image([ImagePart("", content)], _BOUNDS, config.colour)
        _check_size(image, config)
        if (image == image[:1, :1]).all():
            raise ImageRejectedError(
                "blank: outside the survey's area?", f"every pixel is {image[0, 0].tolist()}"
            )
    except ImageRejectedError as rejection:
        is_broken = not content or rejection.reason.startswith(_BROKEN)
        is_page = content[:64].lstrip(b"\xef\xbb\xbf \t\r\n").startswith((b"<", b"{", b"["))
        return Answer(
            FAILED if is_broken or is_page else REJECTED,
            rejection.reason,
            f"{rejection.value} ({content_type})" if content_type else rejection.value,
            status,
            content_type,
            is_worth_another_try=is_broken,
        )
    suffix = next((end for start, end in _SUFFIXES.items() if content.startswith(start)), "")
    return Answer(FETCHED, "", "", status, content_type, content, suffix)


def _check_size(image: Pixels, config: CutoutServiceConfig) -> None:
    """Refuse an image of another size than asked; services clamp sizes without a word."""
    service = config.find_service()
    if "size_px" not in placeholders(service.url_template) and not service.has_own_scale_only:
        return
    height, width = image.shape[:2]
    if max(abs(side - config.size_px) for side in (height, width)) > service.size_tolerance_px:
        raise ImageRejectedError(f"not of size_px={config.size_px} as asked", f"{width} x {height}")

"""What is known of each cutout service."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Service:
    """How a service is asked, and what it can give."""

    url_template: str
    """Address with placeholders, as ``CutoutServiceConfig.url_template``."""
    pixel_scale_arcsec: float | None = None
    """Scale that is asked for unless the config says otherwise [arcsec/px]."""
    has_own_scale_only: bool = False
    """Whether the service gives no other scale than its own."""
    min_size_px: int = 1
    """Smallest side that it gives as asked [px]."""
    max_size_px: int = 100_000
    """Largest side that it gives as asked; some clamp silently above [px]."""
    size_tolerance_px: int = 0
    """By how much a side may differ from what was asked [px]."""
    layer: str = ""
    """Survey or data release, unless the config names another."""
    bands: str = ""
    """Bands or filter, unless the config names others."""
    login: str = ""
    """Prefix of the environment variables that hold user and password; empty if none is needed."""


_LEGACY_QUERY = "ra={ra_deg}&dec={dec_deg}&layer={layer}&pixscale={pixel_scale_arcsec}"

SERVICES = {
    "legacy_surveys": Service(
        f"https://www.legacysurvey.org/viewer/cutout.jpg?{_LEGACY_QUERY}&size={{size_px}}",
        pixel_scale_arcsec=0.262,
        max_size_px=3000,
        layer="ls-dr10",
    ),
    "legacy_surveys_fits": Service(
        f"https://www.legacysurvey.org/viewer/cutout.fits?{_LEGACY_QUERY}&size={{size_px}}"
        "&bands={bands}",
        pixel_scale_arcsec=0.262,
        max_size_px=3000,
        layer="ls-dr10",
        bands="grz",
    ),
    "sdss": Service(
        "https://skyserver.sdss.org/{layer}/SkyServerWS/ImgCutout/getjpeg?ra={ra_deg}&dec={dec_deg}"
        "&scale={pixel_scale_arcsec}&width={size_px}&height={size_px}&opt=",
        pixel_scale_arcsec=0.396127,
        min_size_px=64,
        max_size_px=2048,
        layer="dr19",
    ),
    "hsc": Service(
        # Width and height are given as half sizes.
        "https://hsc-release.mtk.nao.ac.jp/das_cutout/pdr3/cgi-bin/cutout?ra={ra_deg}&dec={dec_deg}"
        "&sw={half_size_arcsec}asec&sh={half_size_arcsec}asec&type=coadd&image=on&mask=off"
        "&variance=off&filter={bands}&rerun={layer}",
        pixel_scale_arcsec=0.168,
        has_own_scale_only=True,
        size_tolerance_px=2,
        layer="pdr3_wide",
        bands="HSC-I",
        login="HSC",
    ),
}
"""One entry a service; ``CutoutServiceConfig.service`` names it."""

"""Images from cutout services: one request a galaxy, each answer checked before it counts."""

from galaxyloop.cutout_services.config import CutoutServiceConfig
from galaxyloop.cutout_services.fetch import FetchSummary, fetch_cutouts
from galaxyloop.cutout_services.positions import read_positions
from galaxyloop.cutout_services.services import SERVICES, Service

__all__ = [
    "SERVICES",
    "CutoutServiceConfig",
    "FetchSummary",
    "Service",
    "fetch_cutouts",
    "read_positions",
]

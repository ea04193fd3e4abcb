"""The report: one HTML page that tells an astronomer what came in, what was learnt, how well."""

from galaxyloop.report.content import (
    GalaxyImage,
    GalaxyPosterior,
    HeldOutGalaxies,
    ReportContent,
)
from galaxyloop.report.gathering import RoundResults, gather_report
from galaxyloop.report.page import write_report

__all__ = [
    "GalaxyImage",
    "GalaxyPosterior",
    "HeldOutGalaxies",
    "ReportContent",
    "RoundResults",
    "gather_report",
    "write_report",
]

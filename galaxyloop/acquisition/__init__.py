"""Acquisition: which galaxies to show to volunteers next, and how much each would tell."""

from galaxyloop.acquisition.candidates import read_candidates
from galaxyloop.acquisition.config import AcquisitionConfig, InformationConfig
from galaxyloop.acquisition.information import expected_information, mutual_information
from galaxyloop.acquisition.ranking import ACQUISITIONS, Acquisition, rank_galaxies

__all__ = [
    "ACQUISITIONS",
    "Acquisition",
    "AcquisitionConfig",
    "InformationConfig",
    "expected_information",
    "mutual_information",
    "rank_galaxies",
    "read_candidates",
]

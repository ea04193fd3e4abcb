"""Acquisition: which galaxies to show to volunteers next, and how much each would tell."""

from galaxyloop.acquisition.batches import select_batch
from galaxyloop.acquisition.candidates import read_candidates
from galaxyloop.acquisition.config import (
    AcquisitionConfig,
    BatchConfig,
    InformationConfig,
    RetirementConfig,
    SkyBox,
    SkyCone,
)
from galaxyloop.acquisition.information import expected_information, mutual_information
from galaxyloop.acquisition.ranking import ACQUISITIONS, Acquisition, rank_galaxies
from galaxyloop.acquisition.retirement import retire

__all__ = [
    "ACQUISITIONS",
    "Acquisition",
    "AcquisitionConfig",
    "BatchConfig",
    "InformationConfig",
    "RetirementConfig",
    "SkyBox",
    "SkyCone",
    "expected_information",
    "mutual_information",
    "rank_galaxies",
    "read_candidates",
    "retire",
    "select_batch",
]

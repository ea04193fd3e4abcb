"""A simulated survey with a known truth: the yardstick of every test with a known answer."""

from galaxyloop.synthetic.config import SimulationConfig
from galaxyloop.synthetic.galaxies import KINDS, Galaxy, draw_galaxy, draw_galaxy_of_kind
from galaxyloop.synthetic.opinions import true_concentrations, true_fractions
from galaxyloop.synthetic.simulation import (
    SimulatedGalaxy,
    SimulatedSurvey,
    expose_galaxy,
    iterate_galaxies,
    simulate_galaxies,
)
from galaxyloop.synthetic.survey import write_survey

__all__ = [
    "KINDS",
    "Galaxy",
    "SimulatedGalaxy",
    "SimulatedSurvey",
    "SimulationConfig",
    "draw_galaxy",
    "draw_galaxy_of_kind",
    "expose_galaxy",
    "iterate_galaxies",
    "simulate_galaxies",
    "true_concentrations",
    "true_fractions",
    "write_survey",
]

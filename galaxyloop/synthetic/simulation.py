"""Simulated galaxies with their images, votes and the truth, one by one or as arrays."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64, UInt8

from galaxyloop.campaigns import find_campaign
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.synthetic.ballots import draw_n_volunteers, draw_votes
from galaxyloop.synthetic.config import SimulationConfig
from galaxyloop.synthetic.galaxies import Galaxy, draw_galaxy
from galaxyloop.synthetic.light import paint_galaxy
from galaxyloop.synthetic.opinions import true_concentrations, true_fractions
from galaxyloop.synthetic.sky import (
    add_artifacts,
    add_field,
    blur_by_seeing,
    observe,
    stretch_to_rgb,
)

# What each of a galaxy's random streams draws; a change to one leaves the others alone.
_IDENTITY, _STRUCTURE, _EXPOSURE, _VOTES = range(4)


@dataclass(frozen=True)
class SimulatedGalaxy:
    """One row of the survey."""

    id_str: str
    """18 digits, more than a float can hold, like the ids of SDSS."""
    group_id: str
    """The id of the first image of the same galaxy."""
    ra_deg: float
    """Right ascension, 120 to 240."""
    dec_deg: float
    """Declination, 0 to 60."""
    galaxy: Galaxy
    """The parameters behind image and votes."""
    image: UInt8[np.ndarray, "y x band"]
    """What volunteers and networks see."""
    concentrations: Float64[np.ndarray, " answer"]
    """Dirichlet parameters that the votes were drawn from."""
    votes: Int64[np.ndarray, " answer"]
    """Vote counts; all 0 where nobody was asked."""
    is_labelled: bool
    """Whether volunteers have seen it."""


@dataclass(frozen=True)
class SimulatedSurvey:
    """A simulated survey in memory; the rows of all members belong together."""

    tree: DecisionTree
    """The questions; the layout of every answer axis."""
    images: UInt8[np.ndarray, "galaxy y x band"]
    """Colour images."""
    fractions: Float64[np.ndarray, "galaxy answer"]
    """True vote fractions."""
    concentrations: Float64[np.ndarray, "galaxy answer"]
    """True Dirichlet parameters."""
    votes: Int64[np.ndarray, "galaxy answer"]
    """Vote counts, 0 for unlabelled galaxies."""
    galaxies: pd.DataFrame
    """id_str, group_id, ra_deg, dec_deg, survey, is_labelled."""
    parameters: pd.DataFrame
    """One column a field of ``Galaxy``."""


def simulate_galaxies(config: SimulationConfig) -> SimulatedSurvey:
    """All galaxies of a survey in memory; at 96 px a thousand take 28 MB."""
    tree = find_campaign(config.campaign).tree
    rows = list(iterate_galaxies(config, tree))
    concentrations = np.stack([row.concentrations for row in rows])
    return SimulatedSurvey(
        tree=tree,
        images=np.stack([row.image for row in rows]),
        fractions=true_fractions(concentrations, tree),
        concentrations=concentrations,
        votes=np.stack([row.votes for row in rows]),
        galaxies=pd.DataFrame(
            {
                "id_str": [row.id_str for row in rows],
                "group_id": [row.group_id for row in rows],
                "ra_deg": [row.ra_deg for row in rows],
                "dec_deg": [row.dec_deg for row in rows],
                "survey": config.survey,
                "is_labelled": [row.is_labelled for row in rows],
            }
        ),
        parameters=pd.DataFrame([asdict(row.galaxy) for row in rows]),
    )


def iterate_galaxies(
    config: SimulationConfig, tree: DecisionTree, first: int = 0
) -> Iterator[SimulatedGalaxy]:
    """The survey's galaxies one by one, from place ``first`` for ``config.n_galaxies``."""
    for index in range(first, first + config.n_galaxies):
        yield simulate_galaxy(index, config, tree)


def simulate_galaxy(index: int, config: SimulationConfig, tree: DecisionTree) -> SimulatedGalaxy:
    """The galaxy at one place of the survey, whatever the number of galaxies around it."""
    origin = _first_image_of(index, config)
    ra_deg, dec_deg, is_labelled = _identity(index, origin, config)
    structure = _stream(config, origin, _STRUCTURE)
    galaxy = draw_galaxy(structure)
    concentrations = true_concentrations(galaxy, tree, config)
    votes = np.zeros(len(tree.columns), np.int64)
    if is_labelled:
        ballots = _stream(config, index, _VOTES)
        n_volunteers = draw_n_volunteers(config.n_volunteers, ballots)
        votes = draw_votes(concentrations, tree, n_volunteers, ballots)
    return SimulatedGalaxy(
        id_str=_id_of(index, config),
        group_id=_id_of(origin, config),
        ra_deg=ra_deg,
        dec_deg=dec_deg,
        galaxy=galaxy,
        image=expose_galaxy(galaxy, config, structure, _stream(config, index, _EXPOSURE)),
        concentrations=concentrations,
        votes=votes,
        is_labelled=is_labelled,
    )


def expose_galaxy(
    galaxy: Galaxy,
    config: SimulationConfig,
    structure: np.random.Generator,
    exposure: np.random.Generator,
) -> UInt8[np.ndarray, "y x band"]:
    """One image of a galaxy.

    Args:
        galaxy: its parameters.
        config: size, seeing and noise.
        structure: draws what stays when the galaxy is imaged again: clumps, neighbours.
        exposure: draws what changes: seeing, noise.
    """
    light = paint_galaxy(galaxy, config.image_size_px, structure)
    add_field(light, structure)
    seeing = float(exposure.lognormal(0.0, 0.08))
    light = blur_by_seeing(light, config.psf_fwhm_px * seeing)
    add_artifacts(light, galaxy, structure)
    return stretch_to_rgb(observe(light, config.noise, exposure))


def _stream(config: SimulationConfig, index: int, purpose: int) -> np.random.Generator:
    """A galaxy's own stream of random numbers for one purpose."""
    return np.random.default_rng([config.seed, index, purpose])


def _first_image_of(index: int, config: SimulationConfig) -> int:
    """The place whose galaxy an image shows: its own or, for a repeated one, the one before."""
    if index == 0 or not _is_repeated(index, config) or _is_repeated(index - 1, config):
        return index
    return index - 1


def _is_repeated(index: int, config: SimulationConfig) -> bool:
    """Whether chance makes the image at this place a second one of the galaxy before it."""
    return bool(_stream(config, index, _IDENTITY).random() < config.repeated_share)


def _identity(index: int, origin: int, config: SimulationConfig) -> tuple[float, float, bool]:
    """Position in degrees, and whether volunteers have seen the galaxy."""
    rng = _stream(config, origin, _IDENTITY)
    rng.random()
    ra_deg = rng.uniform(120, 240)
    dec_deg = float(np.degrees(np.arcsin(rng.uniform(0, np.sin(np.radians(60))))))
    own = _stream(config, index, _IDENTITY).random(5)
    if index != origin:
        # Two surveys' positions of one galaxy differ by some tenths of an arcsecond.
        ra_deg, dec_deg = ra_deg + 1e-4 * (own[2] - 0.5), dec_deg + 1e-4 * (own[3] - 0.5)
    return round(ra_deg, 7), round(dec_deg, 7), bool(own[4] < config.labelled_share)


def _id_of(index: int, config: SimulationConfig) -> str:
    """18 digits: a survey's prefix, the seed, the place."""
    return f"5877{config.seed:06d}{index:08d}"

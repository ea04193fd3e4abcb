"""What volunteers see in a simulated galaxy: from its parameters to true vote fractions."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from galaxyloop.decision_tree import DecisionTree, Question
from galaxyloop.errors import UnknownNameError
from galaxyloop.synthetic.config import SimulationConfig
from galaxyloop.synthetic.galaxies import Galaxy
from galaxyloop.synthetic.light import disk_axis_ratio


@dataclass(frozen=True)
class Impression:
    """How strongly features strike the eye, each from 0 to about 1."""

    galaxy: Galaxy
    """The parameters themselves."""
    clarity: float
    """How well details are seen: brightness against noise, size against seeing."""
    edge_on: float
    """A disk seen from the side."""
    arms: float
    """Spiral arms."""
    bar: float
    """A bar."""
    ring: float
    """A ring."""
    clumps: float
    """Clumps that stand out."""
    disturbance: float
    """Tails and warps."""
    companion: float
    """A companion that touches."""
    artifact: float
    """A star or a satellite's trail in place of a galaxy."""
    flatness: float
    """One less the apparent axis ratio of the smooth light."""
    bulge: float
    """Share of the light in the bulge."""
    dust: float
    """A dust lane across a disk from the side."""


def impression_of(galaxy: Galaxy, config: SimulationConfig) -> Impression:
    """Judge a galaxy as it shows at the survey's noise and seeing."""
    size_in_psf = galaxy.half_light_radius_share * config.image_size_px / config.psf_fwhm_px
    signal = galaxy.surface_brightness / max(config.noise, 0.05)
    clarity = _rise(np.log(size_in_psf), np.log(2.2), 0.35) * _rise(
        np.log(signal), np.log(3.0), 0.5
    )
    disk_share = 1 - galaxy.bulge_to_total
    edge_on = _rise(galaxy.inclination_deg, 76.0, 2.5) * (disk_share > 0)
    face_on = 1 - edge_on
    disk_flatness = 1 - disk_axis_ratio(galaxy.inclination_deg)
    bulge_flatness = 1 - galaxy.bulge_axis_ratio
    arms = galaxy.arm_contrast * (galaxy.n_arms > 0) * face_on * disk_share**0.5
    return Impression(
        galaxy=galaxy,
        clarity=clarity,
        edge_on=edge_on,
        arms=arms * clarity,
        bar=galaxy.bar_strength * face_on * disk_share**0.5 * clarity,
        ring=galaxy.ring_strength * face_on * disk_share**0.5 * clarity,
        clumps=_rise(galaxy.clumpiness, 0.2, 0.05) * disk_share**0.5 * clarity,
        disturbance=galaxy.tidal_strength * clarity,
        companion=_rise(galaxy.companion_share, 0.12, 0.03) * (galaxy.companion_share > 0),
        artifact=max(galaxy.star_strength, galaxy.trail_strength),
        flatness=galaxy.bulge_to_total * bulge_flatness + disk_share * disk_flatness,
        bulge=galaxy.bulge_to_total,
        dust=_rise(galaxy.dust_depth, 1.4, 0.3) * edge_on * clarity,
    )


def _rise(value: float, middle: float, width: float) -> float:
    """A smooth step from 0 to 1."""
    return float(1 / (1 + np.exp(-np.clip((value - middle) / width, -50, 50))))


Score = Callable[[Impression], float]


def _near(value: float, target: float, width: float) -> float:
    """A score that is 0 at the target and falls on both sides."""
    return -0.5 * ((value - target) / width) ** 2


def _features(seen: Impression) -> float:
    """Everything that speaks against a smooth galaxy."""
    return (
        5.5 * seen.arms
        + 4.5 * seen.bar
        + 4.0 * seen.ring
        + 4.0 * seen.clumps
        + 2.0 * seen.disturbance
        + 4.6 * seen.edge_on * (0.35 + 0.65 * seen.clarity)
        + 1.2 * (1 - seen.bulge) * seen.clarity
        - 2.2
    )


def _oddity(seen: Impression) -> float:
    """Everything that is out of the ordinary."""
    strangest = max(seen.ring, seen.disturbance, 0.9 * seen.companion, seen.clumps, seen.dust)
    return 5.5 * strangest - 2.6 + 1.0 * seen.artifact


def _arm_count(target: float) -> Score:
    """Volunteers miscount by one more easily when there are many or ragged arms."""
    return lambda seen: _near(
        float(seen.galaxy.n_arms), target, 0.35 + 0.4 * seen.galaxy.arm_raggedness + 0.05 * target
    )


def _bulge_size(target: float, width: float = 0.11) -> Score:
    """Closeness of the bulge's share of the light to a size."""
    return lambda seen: _near(seen.bulge, target, width)


def _winding(target_deg: float) -> Score:
    """Closeness of the pitch angle to a winding."""
    return lambda seen: _near(seen.galaxy.pitch_angle_deg, target_deg, 5.0)


def _flatness(target: float) -> Score:
    """Closeness of the apparent flattening to a shape."""
    return lambda seen: _near(seen.flatness, target, 0.14)


def _cannot_tell(seen: Impression) -> float:
    """Ragged, faint arms are hard to count."""
    return 0.8 + 2.0 * seen.galaxy.arm_raggedness - 7.0 * min(seen.arms, 0.6)


_NO_BULGE = _bulge_size(0.0, 0.1)
_BULGE_SHAPES: dict[str, Score] = {
    "round": lambda seen: 0.0,
    "rounded": lambda seen: 0.0,
    "boxy": lambda seen: 2.5 * seen.galaxy.bar_strength - 2.2,
    "no-bulge": lambda seen: 3.0 - 16.0 * seen.bulge,
    "none": lambda seen: 3.0 - 16.0 * seen.bulge,
}
_CARELESS_SHARE = 0.01
"""One vote in a hundred is a slip of the finger, so no share is exactly 0."""

SCORES: dict[str, dict[str, Score]] = {
    "smooth-or-featured": {
        "smooth": lambda seen: 0.0,
        "featured-or-disk": _features,
        "artifact": lambda seen: 8.0 * seen.artifact - 3.5,
    },
    "disk-edge-on": {"yes": lambda seen: 8.0 * seen.edge_on - 4.0, "no": lambda seen: 0.0},
    "has-spiral-arms": {"yes": lambda seen: 9.0 * seen.arms - 2.6, "no": lambda seen: 0.0},
    "bar": {
        "yes": lambda seen: 8.0 * seen.bar - 2.6,
        "strong": lambda seen: 9.0 * seen.bar - 4.6,
        "weak": lambda seen: 4.0 * seen.bar - 1.6,
        "no": lambda seen: 0.0,
    },
    "bulge-size": {
        "dominant": _bulge_size(0.6),
        "obvious": _bulge_size(0.36),
        "large": _bulge_size(0.42),
        "moderate": _bulge_size(0.26),
        "just-noticeable": _bulge_size(0.14),
        "small": _bulge_size(0.12),
        "no": _NO_BULGE,
        "none": _NO_BULGE,
    },
    "how-rounded": {
        "round": _flatness(0.05),
        "completely-round": _flatness(0.05),
        "in-between": _flatness(0.36),
        "cigar": _flatness(0.74),
        "cigar-shaped": _flatness(0.74),
    },
    "something-odd": {"yes": _oddity, "no": lambda seen: 0.0},
    "odd-feature": {
        "ring": lambda seen: 5.0 * seen.ring,
        "lens-or-arc": lambda seen: 0.3,
        "disturbed": lambda seen: 3.5 * seen.disturbance,
        "irregular": lambda seen: 4.0 * seen.clumps,
        "other": lambda seen: 0.9 + 2.0 * seen.artifact,
        "merger": lambda seen: 5.0 * seen.companion,
        "dust-lane": lambda seen: 5.0 * seen.dust,
    },
    "bulge-shape": _BULGE_SHAPES,
    "edge-on-bulge": _BULGE_SHAPES,
    "spiral-winding": {"tight": _winding(9.0), "medium": _winding(19.0), "loose": _winding(31.0)},
    "spiral-arm-count": {
        "1": _arm_count(1.0),
        "2": _arm_count(2.0),
        "3": _arm_count(3.0),
        "4": _arm_count(4.0),
        "more-than-4": _arm_count(5.4),
        "cant-tell": _cannot_tell,
    },
    "merging": {
        "none": lambda seen: 2.0,
        "minor-disturbance": lambda seen: 4.5 * min(seen.disturbance, 0.6),
        "major-disturbance": lambda seen: 6.0 * seen.disturbance - 1.0,
        "merger": lambda seen: 5.5 * seen.companion + 1.5 * seen.disturbance - 1.0,
    },
}
"""Score of each answer of each question, without the campaign's suffix; softmax makes shares."""


def true_concentrations(
    galaxy: Galaxy, tree: DecisionTree, config: SimulationConfig
) -> Float64[np.ndarray, " answer"]:
    """The Dirichlet parameters that volunteers' votes on a galaxy are drawn from.

    Each is ``1 + concentration * share`` with shares that sum to 1 over a question's answers, so
    a network whose concentrations lie in (1, 101) can represent them exactly. The true fraction
    of an answer is its concentration over the sum of its question's.

    Raises:
        UnknownNameError: volunteers have no opinion on a question or an answer of the tree.
    """
    seen = impression_of(galaxy, config)
    return np.concatenate(
        [1 + config.concentration * _shares(question, seen) for question in tree.questions]
    )


def true_fractions(
    concentrations: Float64[np.ndarray, "*batch answer"], tree: DecisionTree
) -> Float64[np.ndarray, "*batch answer"]:
    """Each concentration over the sum of its question's."""
    fractions = np.empty_like(concentrations)
    for part in tree.slices.values():
        total = concentrations[..., part].sum(axis=-1, keepdims=True)
        fractions[..., part] = concentrations[..., part] / total
    return fractions


def _shares(question: Question, seen: Impression) -> Float64[np.ndarray, " answer"]:
    """Softmax of the answers' scores, less the careless votes, which fall on any answer."""
    scores = np.array([score(seen) for score in _scores_of(question)], dtype=np.float64)
    weights = np.exp(scores - scores.max())
    shares: Float64[np.ndarray, " answer"] = (
        1 - _CARELESS_SHARE
    ) * weights / weights.sum() + _CARELESS_SHARE / len(weights)
    return shares


def _scores_of(question: Question) -> list[Score]:
    """The scores of a question's answers, found by the question without its campaign."""
    stems = [
        stem for stem in SCORES if question.name == stem or question.name.startswith(f"{stem}-")
    ]
    if not stems:
        raise UnknownNameError("opinion on the question", question.name, SCORES)
    scores = SCORES[max(stems, key=len)]
    unknown = [answer for answer in question.answers if answer not in scores]
    if unknown:
        raise UnknownNameError(f"opinion on '{question.name}' for the answer", unknown[0], scores)
    return [scores[answer] for answer in question.answers]

"""Which answers a simulated galaxy invites: a score each, whose softmax makes the shares."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from galaxyloop.synthetic.impression import Impression, rise

Score = Callable[[Impression], float]


def _near(value: float, target: float, width: float) -> float:
    """A score that is 0 at the target and falls on both sides."""
    return -0.5 * ((value - target) / width) ** 2


def _nothing(_: Impression) -> float:
    """The score that others are measured against."""
    return 0.0


def _yes(yes: Score, no: Score = _nothing) -> dict[str, Score]:
    """A question of two answers."""
    return {"yes": yes, "no": no}


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


def _artifact(seen: Impression) -> float:
    """Anything that is no galaxy."""
    return 8.0 * seen.artifact - 3.5


def _oddity(seen: Impression) -> float:
    """Everything that is out of the ordinary."""
    strangest = max(seen.ring, seen.disturbance, 0.9 * seen.companion, seen.clumps, seen.dust)
    return 5.5 * strangest - 2.6 + 1.0 * seen.artifact


def _arm_count(target: float) -> Score:
    """Volunteers miscount by one more easily when there are many or ragged arms."""
    return lambda seen: _near(
        float(seen.galaxy.n_arms), target, 0.35 + 0.4 * seen.galaxy.arm_raggedness + 0.05 * target
    )


def _cannot_tell(seen: Impression) -> float:
    """Ragged, faint arms are hard to count."""
    return 0.8 + 2.0 * seen.galaxy.arm_raggedness - 7.0 * min(seen.arms, 0.6)


def _clump_count(target: float) -> Score:
    """A twelfth of the light in clumps stands for one that is told apart."""
    return lambda seen: _near(12.0 * seen.galaxy.clumpiness, target, 0.8 + 0.15 * target)


def _bulge_size(target: float, width: float = 0.11) -> Score:
    """Closeness of the bulge's share of the light to a size."""
    return lambda seen: _near(seen.bulge, target, width)


def _winding(target_deg: float) -> Score:
    """Closeness of the pitch angle to a winding."""
    return lambda seen: _near(seen.galaxy.pitch_angle_deg, target_deg, 5.0)


def _flatness(target: float) -> Score:
    """Closeness of the apparent flattening to a shape."""
    return lambda seen: _near(seen.flatness, target, 0.14)


def _much(amount: Score, slope: float = 8.0, half: float = 0.35) -> Score:
    """A score that grows with an amount and is even with "nothing" at ``half``."""
    return lambda seen: slope * (amount(seen) - half)


def _disturbed(seen: Impression) -> float:
    """Tails, warps, or a companion that pulls."""
    return max(seen.disturbance, 0.5 * seen.companion)


_NO_BULGE = _bulge_size(0.0, 0.1)
_BULGE_SHAPES: dict[str, Score] = {
    "round": _nothing,
    "rounded": _nothing,
    "yes": _nothing,
    "boxy": lambda seen: 2.5 * seen.galaxy.bar_strength - 2.2,
    "no-bulge": lambda seen: 3.0 - 16.0 * seen.bulge,
    "none": lambda seen: 3.0 - 16.0 * seen.bulge,
    "no": lambda seen: 3.0 - 16.0 * seen.bulge,
}

_GALAXY: dict[str, dict[str, Score]] = {
    "smooth-or-featured": {
        "smooth": _nothing,
        "featured-or-disk": _features,
        "features": _features,
        "artifact": _artifact,
        "problem": _artifact,
        "star-artifact-zoom": _artifact,
    },
    "disk-edge-on": _yes(lambda seen: 8.0 * seen.edge_on - 4.0),
    "has-spiral-arms": _yes(lambda seen: 9.0 * seen.arms - 2.6),
    "bar": {
        **_yes(lambda seen: 8.0 * seen.bar - 2.6),
        "strong": lambda seen: 9.0 * seen.bar - 4.6,
        "weak": lambda seen: 4.0 * seen.bar - 1.6,
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
        "completely": _flatness(0.05),
        "in-between": _flatness(0.36),
        "cigar": _flatness(0.74),
        "cigar-shaped": _flatness(0.74),
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
        "5-plus": _arm_count(5.4),
        "cant-tell": _cannot_tell,
    },
    "ring": _yes(lambda seen: 8.0 * seen.ring - 2.6),
}
"""The galaxy itself."""

_ODD: dict[str, dict[str, Score]] = {
    "something-odd": _yes(_oddity),
    "odd-feature": {
        "ring": lambda seen: 5.0 * seen.ring,
        "lens-or-arc": lambda _: 0.3,
        "disturbed": lambda seen: 3.5 * seen.disturbance,
        "irregular": lambda seen: 4.0 * seen.clumps,
        "other": lambda seen: 0.9 + 2.0 * seen.artifact,
        "merger": lambda seen: 5.0 * seen.companion,
        "dust-lane": lambda seen: 5.0 * seen.dust,
    },
    "merging": {
        "none": lambda _: 2.0,
        "neither": lambda _: 2.0,
        "minor-disturbance": lambda seen: 4.5 * min(seen.disturbance, 0.6),
        "major-disturbance": lambda seen: 6.0 * seen.disturbance - 1.0,
        "tidal-debris": lambda seen: 6.0 * seen.disturbance - 3.0 * seen.companion - 0.5,
        "merger": lambda seen: 5.5 * seen.companion + 1.5 * seen.disturbance - 1.0,
        "both": lambda seen: 4.0 * seen.companion + 4.0 * seen.disturbance - 2.5,
    },
    "problem": {
        "star": lambda seen: 6.0 * seen.galaxy.star_strength,
        "artifact": lambda seen: 6.0 * seen.galaxy.trail_strength,
        "zoom": lambda seen: 2.0 - 30.0 * seen.galaxy.half_light_radius_share,
        "bad-zoom": lambda seen: 2.0 - 30.0 * seen.galaxy.half_light_radius_share,
    },
    "artifact": {
        "satellite": lambda seen: 6.0 * seen.galaxy.trail_strength,
        "scattered": lambda seen: 1.5 * seen.galaxy.star_strength,
        "diffraction": lambda seen: 4.0 * seen.galaxy.star_strength,
        "ray": lambda seen: 1.0 * seen.galaxy.trail_strength,
        "saturation": lambda seen: 5.0 * seen.galaxy.star_strength - 1.0,
        "other": lambda _: 0.5,
        "ghost": lambda seen: 1.0 * seen.galaxy.star_strength,
    },
}
"""What disturbs it, or is no galaxy."""

_CLUMPS: dict[str, dict[str, Score]] = {
    "clumps": _yes(lambda seen: 7.0 * seen.clumps - 2.6),
    "clumpy-appearance": _yes(lambda seen: 7.0 * seen.clumps - 2.6),
    "clump-count": {
        "1": _clump_count(1.0),
        "2": _clump_count(2.0),
        "3": _clump_count(3.0),
        "4": _clump_count(4.0),
        "5-plus": _clump_count(5.8),
        "cant-tell": lambda seen: -0.5 - 3.0 * seen.clarity,
    },
    "clump-configuration": {
        "straight-line": lambda seen: 4.0 * seen.edge_on - 1.0,
        "chain": lambda seen: 2.5 * rise(seen.flatness, 0.55, 0.08) - 1.0,
        "cluster-or-irregular": lambda _: 1.0,
        "spiral": lambda seen: 6.0 * seen.arms - 1.0,
    },
    "one-clump-brightest": _yes(lambda seen: 8.0 * seen.bulge - 0.8),
    "brightest-clump-central": _yes(lambda seen: 8.0 * seen.bulge - 3.0 * seen.disturbance - 0.4),
    "galaxy-symmetrical": _yes(lambda seen: 1.5 - 6.0 * _disturbed(seen) - 2.0 * seen.clumps),
    "clumps-embedded-larger-object": _yes(lambda seen: 3.0 - 7.0 * seen.galaxy.clumpiness),
}
"""Clumps, as Galaxy Zoo Hubble and its followers ask about them."""

_EFIGI: dict[str, dict[str, Score]] = {
    "bulge": {"all": _much(lambda seen: seen.bulge, half=0.5), "none": _nothing},
    "arms": {"strong": _much(lambda seen: seen.arms), "none": _nothing},
    "arm-curvature": {
        "tight": lambda seen: 0.2 * (20.0 - seen.galaxy.pitch_angle_deg),
        "open": _nothing,
    },
    "inner-ring": _yes(_much(lambda seen: seen.ring)),
    "outer-ring": _yes(_much(lambda seen: seen.ring * (seen.galaxy.ring_radius > 1.35))),
    "pseudo-ring": _yes(_much(lambda seen: seen.ring * (seen.arms > 0.1), half=0.5)),
    "perturbation": _yes(_much(_disturbed, slope=6.0)),
    "dust": _yes(_much(lambda seen: seen.dust, slope=5.0)),
    "dust-dispersion": {
        "patchy": _much(lambda seen: seen.galaxy.arm_raggedness, slope=3.0, half=0.4),
        "even": _nothing,
    },
    "flocculence": _yes(_much(lambda seen: seen.galaxy.arm_raggedness * seen.arms, half=0.25)),
    "hot-spots": _yes(_much(lambda seen: seen.clumps, slope=6.0)),
    "inclination": {"edge-on": _much(lambda seen: seen.flatness, half=0.5), "face-on": _nothing},
    "contamination": _yes(_much(lambda seen: seen.artifact, slope=5.0)),
    "multiplicity": {"several": _much(lambda seen: seen.companion, half=0.6), "alone": _nothing},
}
"""Attributes that EFIGI's expert gave."""

SCORES: Mapping[str, Mapping[str, Score]] = MappingProxyType(
    {**_GALAXY, **_ODD, **_CLUMPS, **_EFIGI}
)
"""Score of each answer of each question, without the campaign's suffix."""

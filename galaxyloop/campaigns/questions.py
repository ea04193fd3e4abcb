"""Questions that several campaigns ask alike, with the campaign's own suffix on each name."""

from galaxyloop.decision_tree import Question

_ARM_COUNTS = ("1", "2", "3", "4", "more-than-4", "cant-tell")


def gz2_questions(suffix: str) -> tuple[Question, ...]:
    """The ten questions of Galaxy Zoo 2 that have one answer each (Willett et al. 2013).

    Args:
        suffix: ends every question's name: ``gz2``.
    """
    smooth = f"smooth-or-featured-{suffix}_smooth"
    featured = f"smooth-or-featured-{suffix}_featured-or-disk"
    face_on = (f"disk-edge-on-{suffix}_no",)
    with_arms = (f"has-spiral-arms-{suffix}_yes",)
    return (
        Question(f"smooth-or-featured-{suffix}", ("smooth", "featured-or-disk", "artifact")),
        Question(f"disk-edge-on-{suffix}", ("yes", "no"), (featured,)),
        Question(f"has-spiral-arms-{suffix}", ("yes", "no"), face_on),
        Question(f"bar-{suffix}", ("yes", "no"), face_on),
        Question(f"bulge-size-{suffix}", ("dominant", "obvious", "just-noticeable", "no"), face_on),
        Question(f"something-odd-{suffix}", ("yes", "no"), (smooth, featured)),
        Question(f"how-rounded-{suffix}", ("round", "in-between", "cigar"), (smooth,)),
        Question(
            f"bulge-shape-{suffix}",
            ("round", "boxy", "no-bulge"),
            (f"disk-edge-on-{suffix}_yes",),
        ),
        Question(f"spiral-winding-{suffix}", ("tight", "medium", "loose"), with_arms),
        Question(f"spiral-arm-count-{suffix}", _ARM_COUNTS, with_arms),
    )


def decals_questions(suffix: str, no_galaxy: str = "artifact") -> tuple[Question, ...]:
    """The ten questions as Galaxy Zoo asks them since DECaLS DR5 (Walmsley et al. 2022).

    Args:
        suffix: ends every question's name: ``dr5``.
        no_galaxy: the first question's third answer, after which nobody is asked about merging.
    """
    smooth = f"smooth-or-featured-{suffix}_smooth"
    featured = f"smooth-or-featured-{suffix}_featured-or-disk"
    face_on = (f"disk-edge-on-{suffix}_no",)
    with_arms = (f"has-spiral-arms-{suffix}_yes",)
    return (
        Question(f"smooth-or-featured-{suffix}", ("smooth", "featured-or-disk", no_galaxy)),
        Question(f"disk-edge-on-{suffix}", ("yes", "no"), (featured,)),
        Question(f"has-spiral-arms-{suffix}", ("yes", "no"), face_on),
        Question(f"bar-{suffix}", ("strong", "weak", "no"), face_on),
        Question(
            f"bulge-size-{suffix}", ("dominant", "large", "moderate", "small", "none"), face_on
        ),
        Question(f"how-rounded-{suffix}", ("round", "in-between", "cigar-shaped"), (smooth,)),
        Question(
            f"edge-on-bulge-{suffix}",
            ("boxy", "none", "rounded"),
            (f"disk-edge-on-{suffix}_yes",),
        ),
        Question(f"spiral-winding-{suffix}", ("tight", "medium", "loose"), with_arms),
        Question(f"spiral-arm-count-{suffix}", _ARM_COUNTS, with_arms),
        Question(
            f"merging-{suffix}",
            ("none", "minor-disturbance", "major-disturbance", "merger"),
            (smooth, featured),
        ),
    )


def clump_questions(suffix: str, arrangements: tuple[str, ...]) -> tuple[Question, ...]:
    """The questions on clumps of Galaxy Zoo Hubble and CANDELS.

    One clump leads straight to the symmetry, two to which is the brighter, and more of them first
    to their arrangement. Who finds the brightest clump off the centre is not asked further.

    Args:
        suffix: ends every question's name: ``hubble``.
        arrangements: those after which it is asked which clump is the brightest.
    """
    count, clumpy = f"clump-count-{suffix}", f"clumpy-appearance-{suffix}"
    brightest, central = f"one-clump-brightest-{suffix}", f"brightest-clump-central-{suffix}"
    arrangement, symmetrical = f"clump-configuration-{suffix}", f"galaxy-symmetrical-{suffix}"
    return (
        Question(clumpy, ("yes", "no"), (f"smooth-or-featured-{suffix}_features",)),
        Question(count, ("1", "2", "3", "4", "5-plus", "cant-tell"), (f"{clumpy}_yes",)),
        Question(
            arrangement,
            ("straight-line", "chain", "cluster-or-irregular", "spiral"),
            tuple(f"{count}_{answer}" for answer in ("3", "4", "5-plus", "cant-tell")),
        ),
        Question(
            brightest,
            ("yes", "no"),
            (f"{count}_2", *(f"{arrangement}_{answer}" for answer in arrangements)),
        ),
        Question(central, ("yes", "no"), (f"{brightest}_yes",)),
        Question(symmetrical, ("yes", "no"), (f"{count}_1", f"{brightest}_no", f"{central}_yes")),
        Question(
            f"clumps-embedded-larger-object-{suffix}",
            ("yes", "no"),
            (f"{symmetrical}_yes", f"{symmetrical}_no"),
        ),
    )

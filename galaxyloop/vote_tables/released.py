"""Released tables of a model's predictions: recognised by their header, and refused as votes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from galaxyloop.campaigns import CAMPAIGNS
from galaxyloop.errors import VoteTableError
from galaxyloop.vote_tables.settings import VoteSource

_OF_A_MODEL = (
    r"_(90pc-lower|90pc-upper|proportion-asked|pred|dirichlet|concentration|concentration_mean"
    r"|fraction_p05|fraction_p95|proportion_volunteers_asked)$"
)
"""Endings that only predictions have."""
_TOTAL = re.compile(r"_total(-votes)?$")


@dataclass(frozen=True)
class Release:
    """A published table of predictions, and what to read instead."""

    title: str
    reference: str
    column: str
    """Pattern of the columns that are predictions; one must be there."""
    remedy: str
    """Where the volunteers' votes are."""
    beside: tuple[str, ...] = ()
    """Columns of which one must be there too."""

    def find(self, header: Sequence[str]) -> str | None:
        """The first column that is a prediction, if the table is this release."""
        if self.beside and not any(name in header for name in self.beside):
            return None
        return next((name for name in header if re.search(self.column, name)), None)


RELEASES: tuple[Release, ...] = (
    Release(
        title="a catalogue or table of predictions that galaxyloop wrote",
        reference="see its footer for the model",
        column=r"_fraction_p(05|95)$",
        remedy="the vote tables that the model was trained on, or new votes",
    ),
    Release(
        title="the catalogue of GZ DESI",
        reference="Walmsley et al. 2023, MNRAS 526, 4768, arXiv:2309.11425",
        column=rf"_fraction$|{_OF_A_MODEL}",
        beside=("dr8_id", "brickid"),
        remedy="the volunteers' votes it was made from: gz_decals_volunteers_1_and_2 and "
        "gz_decals_volunteers_5 of GZ DECaLS (campaigns gz_decals_dr12 and gz_decals_dr5), or the "
        "counts smooth-or-featured-dr8_smooth, ... (gz_decals_dr8)",
    ),
    Release(
        title="the model's part of GZ Cosmic Dawn",
        reference="Pearson et al. 2025, arXiv:2509.22311",
        column=rf"-cd_.*{_OF_A_MODEL}",
        remedy="the volunteers' counts smooth-or-featured-cd_smooth, ... (campaign gz_cosmic_dawn)",
    ),
    Release(
        title="the morphology catalogue of Euclid Q1",
        reference="Walmsley et al. 2025, arXiv:2503.15310",
        column=rf"_fraction$|{_OF_A_MODEL}",
        beside=("tile_index", "segmentation_map_id"),
        remedy="the volunteers' counts smooth-or-featured-euclid_smooth, ... (gz_euclid)",
    ),
    Release(
        title="the automated posteriors of GZ DECaLS (gz_decals_auto_posteriors)",
        reference="Walmsley et al. 2022, MNRAS 509, 3966, arXiv:2102.08414",
        column=r"_(proportion_volunteers_asked|concentration_mean)$",
        remedy="gz_decals_volunteers_1_and_2 or gz_decals_volunteers_5 of the same release",
    ),
)
"""Releases, tried in order."""


def refuse_released(header: Sequence[str], source: VoteSource) -> None:
    """Stop at a released table of predictions, whatever campaign the source names.

    A table that counts votes in any campaign's spelling passes, whatever else it holds; so does
    one of fractions with totals, unless some of its columns only predictions have.

    Raises:
        VoteTableError: the table is a known release of predictions.
    """
    if _has_counts(header):
        return
    has_totals = any(_TOTAL.search(name) for name in header)
    if has_totals and not any(re.search(_OF_A_MODEL, name) for name in header):
        return
    for release in RELEASES:
        column = release.find(header)
        if column is None:
            continue
        raise VoteTableError(
            f"{source.uri} has no vote counts: it is {release.title} ({release.reference}), whose "
            f"columns like {column} are a model's predictions. A model trained on them would "
            "learn another model's guesses and take them for volunteers', and no error bar would "
            f"mean anything; use {release.remedy}"
        )


def _has_counts(header: Sequence[str]) -> bool:
    """Whether a column holds votes in the spelling of any campaign."""
    return any(
        reading.role == "count" and reading.answer
        for campaign in CAMPAIGNS.values()
        for grammar in campaign.grammars
        for name in header
        if (reading := grammar.read(name))
    )

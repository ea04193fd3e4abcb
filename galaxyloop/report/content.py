"""What a report is made from: tables, arrays and images, gathered by whoever ran the steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from jaxtyping import Float, Integer, UInt8

from galaxyloop.decision_tree import DecisionTree
from galaxyloop.errors import ReportError

Image = UInt8[np.ndarray, "y x band"]


@dataclass(frozen=True)
class GalaxyImage:
    """A galaxy for the gallery."""

    id_str: str
    image: Image
    caption: str = ""
    """What the catalogue says about it, in a few words."""
    group: str = ""
    """Galaxies of one group stand together under this heading."""


@dataclass(frozen=True)
class GalaxyPosterior:
    """A held-out galaxy whose vote posterior is drawn."""

    id_str: str
    image: Image
    concentrations: Float[np.ndarray, "sample answer"]
    """Dirichlet parameters of each dropout sample."""
    votes: Integer[np.ndarray, " answer"]
    """The volunteers' counts."""


@dataclass(frozen=True)
class HeldOutGalaxies:
    """Galaxies that the model has not seen, with predictions and votes in the same order."""

    predicted: Float[np.ndarray, "galaxy answer"]
    """Mean vote fractions, from 0 to 1."""
    votes: Integer[np.ndarray, "galaxy answer"]
    """The volunteers' counts."""
    min_votes: int = 5
    """Votes that a question must have before its fractions are shown."""
    confident_fraction: float = 0.8
    """Above this fraction for one answer volunteers count as confident of it."""


@dataclass(frozen=True)
class ReportContent:
    """Everything the report shows; whatever is empty or None is left out, and said to be.

    Raises:
        ReportError: counts do not add up, or arrays do not fit the tree.
    """

    title: str
    survey: str
    """Name of the survey."""
    tree: DecisionTree
    model: str
    """Name and version of the model, as it should read."""
    intake: pd.DataFrame
    """step, n_read, n_used, n_rejected: a row for each thing that was read, the images first."""
    learning_log: pd.DataFrame
    """epoch, train_loss, validation_loss, and what else the checkpoint's log holds."""
    rejects: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """For each step the rejected rows, with at least the columns ``value`` and ``reason``."""
    n_catalogue_rows: int | None = None
    """Galaxies in the catalogue."""
    metrics: pd.DataFrame | None = None
    """question, metric, value, low, high, n_galaxies."""
    cross_validation: pd.DataFrame | None = None
    """The same columns over the held-out galaxies of all folds."""
    held_out: HeldOutGalaxies | None = None
    calibration: pd.DataFrame | None = None
    """nominal, observed, and perhaps question."""
    pit: Float[np.ndarray, " value"] | None = None
    """Randomised probability integral transforms of the held-out votes."""
    galaxies: Sequence[GalaxyPosterior] = ()
    """Some held-out galaxies, of different kinds."""
    gallery: Sequence[GalaxyImage] = ()
    """Galaxies of the catalogue; a group named after an answer's column reads as words."""
    acquisition: pd.DataFrame | None = None
    """What ``acquisition.rank_galaxies`` returns, best first."""
    acquisition_images: Mapping[str, Image] = field(default_factory=dict)
    """Images of the galaxies at the top of it, by id_str."""
    provenance: Mapping[str, str] = field(default_factory=dict)
    """Model, version, digests, code, date ...: what to call it (``_`` reads as a space), and its
    value."""

    def __post_init__(self) -> None:
        """Check what would make a misleading report."""
        intake = self.intake
        adds_up = intake["n_read"] == intake["n_used"] + intake["n_rejected"]
        if not adds_up.all():
            row = intake[~adds_up].iloc[0]
            raise ReportError(
                f"the counts of '{row['step']}' must add up: read {row['n_read']} = used "
                f"{row['n_used']} + rejected {row['n_rejected']}; look for rows lost on the way"
            )
        self._check_acquisition()
        n_answers = len(self.tree.columns)
        shapes = [galaxy.concentrations.shape for galaxy in self.galaxies]
        if self.held_out is not None:
            shapes += [self.held_out.predicted.shape, self.held_out.votes.shape]
        for shape in shapes:
            if shape[-1] != n_answers:
                raise ReportError(
                    f"arrays must have {n_answers} answers for the tree '{self.tree.name}', got "
                    f"the shape {shape}; use the tree of the checkpoint"
                )

    def _check_acquisition(self) -> None:
        """The list is as it was ranked."""
        needed = {"rank", "id_str", "information_nats", "most_informative_question"}
        missing = needed - set(needed if self.acquisition is None else self.acquisition)
        if missing:
            raise ReportError(
                f"the acquisition list has no column {sorted(missing)}; give the table that "
                "rank_galaxies returns"
            )

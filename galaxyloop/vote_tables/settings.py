"""What to read, and how much disorder to put up with."""

from dataclasses import dataclass, field

from galaxyloop.config import StrictConfig, require
from galaxyloop.vote_tables.panoptes_classification_settings import ClassificationsConfig
from galaxyloop.vote_tables.reduction_lines import parse_reductions

REBUILDS = ("none", "weighted")


@dataclass(frozen=True)
class VoteSource(StrictConfig):
    """One published table and the campaign whose votes it holds."""

    uri: str
    """Path or address (local, s3://, https://) of a csv, csv.gz, parquet, FITS or VOTable file, or
    a pattern such as ``votes-*.parquet`` for one table in several files."""
    campaign: str
    """Name in ``CAMPAIGNS``."""
    rebuild: str = "none"
    """``weighted`` rebuilds approximate votes as round(weighted fraction x times asked)."""
    id_column: str = ""
    """Column that names the galaxies; empty takes the first of the campaign's that is there."""
    ignored_columns: list[str] = field(default_factory=list)
    """Columns that hold no votes though their names look like answers, such as a measured
    ``bar_strength``; they are not read."""
    reductions: list[str] = field(default_factory=list)
    """For a table of Panoptes (or Caesar) reductions, which has one row a subject and task: which
    answer each task and slug is, a line each: ``T0.smooth = smooth-or-featured-dr5_smooth``.
    ``T10.ring =`` sets votes aside, ``T10 =`` all votes of the task."""
    classifications: ClassificationsConfig = ClassificationsConfig()
    """For an export of single classifications, one row a volunteer and subject: which answer each
    task and label is, and which classifications count."""
    workflow_id: str = ""
    """Workflow whose reductions or classifications are read; may be empty if the table holds one
    only."""
    subjects: str = ""
    """For reductions: path or address of the project's subjects export, which gives each subject
    the id that ``subject_key`` names. Classifications hold it themselves."""
    subject_key: str = ""
    """Metadata of a subject that holds the galaxy's id: ``iauname``, also if it was uploaded as
    ``!iauname`` or ``#iauname`` (in YAML, put these two in quotes). Empty keeps subject_id."""

    @property
    def is_gathered(self) -> bool:
        """Whether a galaxy's votes are gathered from several rows of Panoptes."""
        return bool(self.reductions or self.classifications.answers)

    def __post_init__(self) -> None:
        """Check the settings that need no file."""
        self._check_panoptes()
        require(bool(self.uri), "uri must name a file, got ''")
        require(
            self.rebuild in REBUILDS,
            f"rebuild must be one of {', '.join(REBUILDS)}, got '{self.rebuild}'",
        )

    def _check_panoptes(self) -> None:
        """Settings of reductions, and of classifications, go together."""
        parse_reductions(self.reductions)
        require(
            not (self.reductions and self.classifications.answers),
            "a table has reductions or classifications, got settings of both; keep those of the "
            "shape that it has",
        )
        for name in ("workflow_id", "subjects", "subject_key"):
            is_used = self.reductions if name == "subjects" else self.is_gathered
            require(
                bool(is_used) or not getattr(self, name),
                f"{name} is for tables of Panoptes reductions"
                f"{'' if name == 'subjects' else ' or classifications'}, got "
                f"'{getattr(self, name)}' without; say which answer each task and slug or label is",
            )
        require(
            not self.reductions or bool(self.subjects) == bool(self.subject_key),
            "subjects and subject_key go together (the export, and the metadata that holds the "
            f"galaxy's id), got subjects='{self.subjects}' and subject_key='{self.subject_key}'",
        )
        require(
            not (self.is_gathered and self.id_column),
            f"id_column cannot be set for reductions or classifications, got '{self.id_column}'; "
            "their galaxies are named by subject_id, or by subject_key",
        )


@dataclass(frozen=True)
class VotesConfig(StrictConfig):
    """Tolerances for published vote tables, whose trees are never quite exact."""

    max_reject_rate: float = 0.05
    """Share of any one table's rows that may be rejected before the read is refused, 0 to 1."""
    min_matching_share: float = 0.01
    """Share of a table's galaxies, or of the manifest's where those are fewer, that must be in
    both, 0 to 1. Foreign ids match by accident if at all, hence far below this; a survey that
    shares no more than a corner of the sky with a published table still has some per cent."""
    max_excess_votes: int = 2
    """A question may have this many answers more than its parents allow (GZ2 Stripe 82: 2)."""
    max_excess_share: float = 0.1
    """Or this share more than its parents allow, whichever is larger; 0 or above."""
    max_total_difference: int = 0
    """A published total may differ by this many votes from the sum of the answers."""
    fraction_decimals: int = 3
    """Decimals to which plain fractions were rounded (Hart et al. 2016: 3)."""
    max_votes: int = 100_000
    """More votes than this on one answer are taken for an error."""
    batch_rows: int = 32_768
    """Rows held in memory at a time."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name in ("max_reject_rate", "min_matching_share"):
            value = getattr(self, name)
            require(0 <= value <= 1, f"{name} must be in [0, 1], got {value}")
        for name in ("max_excess_votes", "max_excess_share", "max_total_difference"):
            value = getattr(self, name)
            require(value >= 0, f"{name} must be 0 or above, got {value}")
        require(
            1 <= self.fraction_decimals <= 12,
            f"fraction_decimals must be in [1, 12], got {self.fraction_decimals}",
        )
        require(
            1 <= self.max_votes < 2**31, f"max_votes must be in [1, 2^31), got {self.max_votes}"
        )
        require(self.batch_rows >= 1, f"batch_rows must be 1 or above, got {self.batch_rows}")

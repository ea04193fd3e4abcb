"""The data card of a catalogue: what it is, what went in, and where not to trust it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from galaxyloop.catalogue.columns import MIN_ASKED
from galaxyloop.catalogue.provenance import read_catalogue_provenance
from galaxyloop.catalogue.writing import CatalogueSummary
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.drift import describe_drift
from galaxyloop.flags import FLAG_MEANINGS, FLAGS
from galaxyloop.markdown import markdown_number, markdown_table
from galaxyloop.predictions import read_batches
from galaxyloop.surveys import SurveyVersion

_LIMITS = (
    "Fractions are what volunteers of the campaign would answer when shown such an image, not what "
    "the galaxy is: faint, distant or blurred galaxies lose their details to volunteers too.",
    "Intervals (p05 to p95, 90 %) are of the fraction of very many volunteers. The votes of N "
    "volunteers scatter more, by the noise of N draws.",
    f"Where a question's asked is below {MIN_ASKED:g}, its fractions are extrapolations; the "
    "friendly catalogue leaves them empty.",
    "A flagged image is in the catalogue all the same; flags say what to look at first. An image "
    "that raises none can still be wrong.",
    "A row is an image. Where the survey shows a galaxy in several images, it has several rows.",
)


@dataclass(frozen=True)
class CatalogueFacts:
    """What is known of the making of a catalogue besides its file."""

    survey: SurveyVersion
    """The version that was predicted."""
    summary: CatalogueSummary
    """What ``write_catalogue`` counted."""
    rejected_images: Mapping[str, int] = field(default_factory=dict)
    """Living galaxies without a cutout, by reason."""
    changes: Mapping[str, int] | None = None
    """What ``write_changes`` counted; None if there was no catalogue before."""
    drift: pd.DataFrame | None = None
    """What ``measure_drift`` found; None if there was nothing to compare with."""
    metrics: pd.DataFrame | None = None
    """The first model's metrics on held-out galaxies (``question, metric, value, low, high,
    n_galaxies``); None if they are not at hand."""


def write_card(catalogue: Path, tree: DecisionTree, facts: CatalogueFacts, path: Path) -> None:
    """Write a catalogue's data card as Markdown; every number is counted or was given.

    Args:
        catalogue: what ``write_catalogue`` wrote.
        tree: whose answers it holds.
        facts: what is known besides.
        path: the file.
    """
    counts = _count(catalogue, tree)
    sections = [
        (f"# {facts.survey.name}: {tree.name}", _summary(catalogue, counts)),
        ("## Survey", _survey(facts)),
        ("## Catalogue", _rows(facts, counts)),
        ("## Model", _model(catalogue)),
        ("## How good the model is", _metrics(catalogue, facts.metrics)),
        ("## Drift", _drift(facts.drift)),
        ("## Questions", _questions(counts)),
        ("## Flags", _flags(counts)),
        ("## Known limits", [f"- {limit}" for limit in _LIMITS]),
    ]
    text = "\n\n".join("\n".join([title, "", *lines]) for title, lines in sections)
    path.write_text(text + "\n", encoding="utf-8")


@dataclass
class _Counts:
    """What is counted in a catalogue."""

    n_galaxies: int = 0
    n_positions: int = 0
    n_without_distance: int = 0
    flagged: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FLAGS, 0))
    n_flagged: int = 0
    n_asked: dict[str, int] = field(default_factory=dict)
    """Galaxies about which at least half of the volunteers would be asked each question."""

    def add(self, batch: pa.RecordBatch) -> None:
        """Count some more rows."""
        column = {name: batch.column(name).to_numpy(False) for name in batch.schema.names}
        self.n_galaxies += batch.num_rows
        self.n_positions += int(np.isfinite(column["ra_deg"]).sum())
        self.n_without_distance += int(np.isnan(column["feature_distance"]).sum())
        self.n_flagged += int((column["flags"] != 0).sum())
        for name, bit in FLAGS.items():
            self.flagged[name] += int((column["flags"] & bit != 0).sum())
        for question in self.n_asked:
            self.n_asked[question] += int((column[f"{question}_asked"] >= MIN_ASKED).sum())


def _count(catalogue: Path, tree: DecisionTree) -> _Counts:
    """Count a catalogue's rows, in batches."""
    counts = _Counts(n_asked=dict.fromkeys(tree.question_names, 0))
    asked = [f"{question}_asked" for question in tree.question_names]
    for batch in read_batches(catalogue, ["ra_deg", "feature_distance", "flags", *asked]):
        counts.add(batch)
    return counts


def _summary(catalogue: Path, counts: _Counts) -> list[str]:
    """What it is, in two sentences."""
    told = read_catalogue_provenance(catalogue)
    return [
        f"Posterior vote fractions of {counts.n_galaxies:,} galaxy images for the questions of "
        f"{told.campaign}, by {told.model_name} version {told.model_version}, made {told.date}. "
        "Columns are described in columns.csv."
    ]


def _survey(facts: CatalogueFacts) -> list[str]:
    """What was read, and what is new."""
    survey = facts.survey
    lines = [
        f"- version {survey.digest}",
        f"- {survey.n_read:,} rows of the manifest = {survey.n_galaxies:,} galaxies + "
        f"{survey.n_rejected:,} rejected",
    ]
    if facts.changes is None:
        return [*lines, "- first catalogue of this survey: nothing to compare with"]
    told = ", ".join(f"{n:,} {change}" for change, n in facts.changes.items())
    return [*lines, f"- since the catalogue before: {told} (changes.parquet)"]


def _rows(facts: CatalogueFacts, counts: _Counts) -> Iterator[str]:
    """Where the galaxies went."""
    n_missing = facts.survey.n_galaxies - counts.n_galaxies
    yield f"- {counts.n_galaxies:,} galaxies, {counts.n_positions:,} of them with a position"
    yield (
        f"- {n_missing:,} galaxies of the survey are missing"
        + (f": {n_missing / facts.survey.n_galaxies:.2%}" if n_missing else "")
    )
    n_rejected = sum(facts.rejected_images.values())
    for reason, n_images in sorted(facts.rejected_images.items(), key=lambda item: -item[1]):
        yield f"    - {n_images:,} without a cutout: {reason}"
    if n_missing > n_rejected:
        yield f"    - {n_missing - n_rejected:,} without a prediction"
    yield (
        f"- {facts.summary.n_dropped:,} predictions left out, of galaxies that left the survey or "
        "have another image now"
    )


def _model(catalogue: Path) -> Iterator[str]:
    """Who predicted, and how."""
    told = read_catalogue_provenance(catalogue)
    yield f"- {told.model_name} version {told.model_version}, weights {told.checkpoint_digest}"
    for member in filter(None, told.members.split("; ")):
        yield f"- with {member}"
    if told.posterior:
        yield f"- posterior: {told.posterior}"
    yield f"- code {told.code_version}"


def _metrics(catalogue: Path, metrics: pd.DataFrame | None) -> Sequence[str]:
    """Whose metrics are known, and the table of them."""
    if metrics is None or metrics.empty:
        return ["Not known here; the report of the round that trained it has its metrics."]
    rows = (
        (
            str(row.question),
            str(row.metric),
            markdown_number(row.value),
            f"{markdown_number(row.low)} to {markdown_number(row.high)}",
            f"{row.n_galaxies:,}",
        )
        for row in metrics.itertuples()
    )
    told = read_catalogue_provenance(catalogue)
    whose = f"{told.model_name} version {told.model_version}"
    if told.members:
        whose += " alone (the ensemble as a whole was not judged)"
    names = ("question", "metric", "value", "interval", "galaxies")
    return [
        f"Of {whose}, on galaxies held out from its training.",
        "",
        *markdown_table(names, rows),
    ]


def _drift(drift: pd.DataFrame | None) -> list[str]:
    """Whether galaxies are like those before."""
    if drift is None or drift.empty:
        return ["Not measured: neither the model's held-out galaxies nor a catalogue before."]
    compared = drift.groupby("against", sort=False).agg(
        n_quantities=("quantity", "size"), n_flagged=("is_flagged", "sum"), largest=("value", "max")
    )
    rows = (
        (str(against), f"{row.n_quantities}", f"{row.n_flagged}", markdown_number(row.largest))
        for against, row in zip(compared.index, compared.itertuples(), strict=True)
    )
    names = ("against", "quantities compared", "flagged", "largest value")
    flagged = describe_drift(drift)
    told = [f"- **drift**: {line}" for line in flagged] or ["- nothing is flagged"]
    return [*markdown_table(names, rows), "", *told, "- every comparison is in drift.csv"]


def _questions(counts: _Counts) -> list[str]:
    """How many galaxies each question is asked of."""
    rows = ((name, f"{n:,}") for name, n in counts.n_asked.items())
    return markdown_table(("question", "galaxies of which at least half would be asked"), rows)


def _flags(counts: _Counts) -> list[str]:
    """How many galaxies raise each flag."""
    rows = (
        (name, str(bit), f"{counts.flagged[name]:,}", FLAG_MEANINGS[name])
        for name, bit in FLAGS.items()
    )
    lines = markdown_table(("flag", "bit", "galaxies", "meaning"), rows)
    told = f"{counts.n_flagged:,} galaxies raise at least one."
    if counts.n_without_distance:
        told += (
            f" For {counts.n_without_distance:,} galaxies feature_distance is not known, "
            "as the model has no reference of its training galaxies: they cannot raise "
            "out_of_distribution."
        )
    return [*lines, "", told]

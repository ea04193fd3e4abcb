"""The report's tables and key numbers, as texts ready to be set."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from galaxyloop.decision_tree import DecisionTree
from galaxyloop.metrics import ALL_QUESTIONS
from galaxyloop.report.content import ReportContent

N_REJECT_REASONS = 30
"""Most reasons listed; the rarest are summed up."""

METRIC_TITLES = {
    "rmse": "RMSE",
    "rmse_of_mean": "RMSE of the mean",
    "rmse_ratio": "ratio of the two",
    "mae": "mean absolute error",
    "log_likelihood": "log-likelihood [nats]",
    "confident_accuracy": "accuracy if volunteers agree",
    "confident_f1": "F1 if volunteers agree",
    "coverage_90": "coverage of 90 %",
    "calibration_error": "calibration error",
}
"""How metrics read in a header, in the order of the columns; others follow by their own name."""


ALL_TITLE = "All questions"
"""How the row reads that stands for many questions."""


@dataclass(frozen=True)
class Cell:
    """One cell."""

    text: str
    """What it says."""
    note: str = ""
    """In small type below: a range, an example."""


@dataclass(frozen=True)
class Table:
    """A table; all columns but the first ``n_text_columns`` hold numbers."""

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    n_text_columns: int = 1


@dataclass(frozen=True)
class KeyNumber:
    """One of the large numbers at the top."""

    value: str
    label: str
    note: str = ""


def question_titles(tree: DecisionTree) -> dict[str, str]:
    """How each question reads: words for dashes, and no campaign where there is only one."""
    endings = {name.rsplit("-", 1)[-1] for name in tree.question_names}
    cut = f"-{endings.pop()}" if len(endings) == 1 and len(tree.questions) > 1 else ""
    titles = {name: name.removesuffix(cut).replace("-", " ") for name in tree.question_names}
    return {name: title[:1].upper() + title[1:] for name, title in titles.items()}


def gallery_title(group: str, tree: DecisionTree) -> str:
    """A group's heading: words where it is named after an answer's column."""
    if group not in tree.columns:
        return group
    question = tree.questions[tree.question_of_answer[tree.columns.index(group)]]
    return f"{question_titles(tree)[question.name]}: {group.removeprefix(question.name + '_')}"


def key_numbers(content: ReportContent) -> list[KeyNumber]:
    """Galaxies in, rejected, catalogue rows, first question's error, coverage."""
    intake = content.intake
    numbers = []
    if len(intake):
        numbers.append(KeyNumber(_count(intake["n_read"].iloc[0]), "galaxies in"))
        steps = ", ".join(intake.loc[intake["n_rejected"] > 0, "step"])
        numbers.append(KeyNumber(_count(intake["n_rejected"].sum()), "rejected", steps))
    if content.n_catalogue_rows is not None:
        numbers.append(KeyNumber(_count(content.n_catalogue_rows), "galaxies in the catalogue"))
    numbers += _first_errors(content)
    coverage = _coverage(content.calibration, 0.9)
    if coverage is not None:
        numbers.append(KeyNumber(f"{100 * coverage:.0f} %", "coverage of 90 % intervals"))
    return numbers


def summary(content: ReportContent) -> str:
    """The report in one sentence."""
    n_questions = len(content.tree.questions)
    questions = "question" if n_questions == 1 else f"{n_questions} questions"
    campaigns = _listed(list(content.tree.by_campaign))
    rows = content.n_catalogue_rows
    n_galaxies = "the galaxies" if rows is None else f"{_count(rows)} galaxies"
    return (
        f"{content.model} reads the images of {content.survey} and gives, for {n_galaxies}, the "
        f"posterior of the volunteers' votes on the {questions} of {campaigns}."
    )


def _first_errors(content: ReportContent) -> list[KeyNumber]:
    """The error of each campaign's first question."""
    numbers = []
    for part in content.tree.parts:
        first = part.question_names[0]
        rmse = _metric(content.metrics, first, "rmse")
        if rmse is None:
            continue
        of_mean = _metric(content.metrics, first, "rmse_of_mean")
        note = "" if of_mean is None else f"{of_mean:.3f} predicting the mean"
        of_campaign = f" of {part.name}" if len(content.tree.parts) > 1 else ""
        numbers.append(KeyNumber(f"{rmse:.3f}", f"RMSE, first question{of_campaign}", note))
    return numbers


def _listed(names: Sequence[str]) -> str:
    """Names as they are said: a, b and c."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def intake_table(intake: pd.DataFrame) -> Table:
    """What was read, used and rejected."""
    rows = [
        [Cell(str(row["step"])), *(Cell(_count(row[name])) for name in _COUNTS), _share(row)]
        for row in intake.to_dict("records")
    ]
    return Table(("", "read", "used", "rejected", "rejected [%]"), rows)


def reject_table(rejects: Mapping[str, pd.DataFrame]) -> Table | None:
    """Reasons with their counts and an example; None when nothing was rejected."""
    rows = []
    for step, table in rejects.items():
        for reason, group in table.groupby("reason", sort=False):
            example = str(group["value"].iloc[0])
            rows.append((len(group), step, str(reason), example[:120]))
    if not rows:
        return None
    rows.sort(key=lambda row: -row[0])
    cells = [
        [Cell(step), Cell(reason, f"e.g. {example}" if example else ""), Cell(_count(n))]
        for n, step, reason, example in rows[:N_REJECT_REASONS]
    ]
    n_rest = sum(row[0] for row in rows[N_REJECT_REASONS:])
    if n_rest:
        n_reasons = len(rows) - N_REJECT_REASONS
        cells.append([Cell("others"), Cell(f"{n_reasons} rarer reasons"), Cell(_count(n_rest))])
    return Table(("step", "reason", "count"), cells, n_text_columns=2)


def learning_facts(log: pd.DataFrame) -> list[KeyNumber]:
    """Epochs, images and time, as far as the log tells."""
    if log.empty:
        return []
    facts = [KeyNumber(_count(log["epoch"].nunique()), "epochs")]
    losses = log.groupby("epoch")["validation_loss"].mean().dropna()
    if len(losses):
        facts.append(KeyNumber(f"{losses.min():.3f}", "best validation loss [nats]"))
    if "n_images" in log:
        facts.append(KeyNumber(_count(log["n_images"].max()), "images seen"))
    if "seconds" in log:
        facts.append(KeyNumber(_duration(float(log["seconds"].sum())), "training time"))
    return facts


def metric_table(metrics: pd.DataFrame | None, titles: Mapping[str, str]) -> Table | None:
    """Questions by metrics, with intervals below the values; None without metrics."""
    if metrics is None or metrics.empty:
        return None
    names = _metric_columns(metrics)
    rows = []
    for question, group in metrics.groupby("question", sort=False):
        by_metric = {row["metric"]: row for row in group.to_dict("records")}
        cells = [_metric_cell(by_metric.get(name)) for name in names]
        n_galaxies = max(row["n_galaxies"] for row in by_metric.values())
        title = ALL_TITLE if question == ALL_QUESTIONS else titles.get(str(question), str(question))
        rows.append([Cell(title), *cells, Cell(_count(n_galaxies))])
    header = ("question", *(metric_title(name) for name in names), "galaxies")
    return Table(header, rows)


def metric_title(name: str) -> str:
    """How a metric reads in a header."""
    return METRIC_TITLES.get(name, name.replace("_", " "))


_COUNTS = ("n_read", "n_used", "n_rejected")
_FINE_PRINT = re.compile(r"^coverage_|^discrete_coverage|_asked$|_noise$|_uncalibrated$")
"""Metrics that would make the table too wide; the calibration chart draws some of them."""


def _metric_columns(metrics: pd.DataFrame) -> list[str]:
    """The metrics to list; the table of all of them lies beside the report."""
    found = dict.fromkeys(metrics["metric"])
    others = [name for name in found if name not in METRIC_TITLES]
    known = [name for name in METRIC_TITLES if name in found]
    return [*known, *(name for name in others if not _FINE_PRINT.search(name))]


def _metric_cell(row: Mapping[Any, Any] | None) -> Cell:
    """Value, and its interval below."""
    if row is None or not np.isfinite(float(row["value"])):
        return Cell("–")
    low, high = float(row["low"]), float(row["high"])
    is_known = np.isfinite(low) and np.isfinite(high)
    note = _decimal(low) + (" to " if low < 0 else "–") + _decimal(high) if is_known else ""
    return Cell(_decimal(float(row["value"])), note)


def _metric(metrics: pd.DataFrame | None, question: str, metric: str) -> float | None:
    """One value of the metric table, or None."""
    if metrics is None:
        return None
    is_it = (metrics["question"] == question) & (metrics["metric"] == metric)
    values = metrics.loc[is_it, "value"].dropna()
    return float(values.iloc[0]) if len(values) else None


def _coverage(calibration: pd.DataFrame | None, nominal: float) -> float | None:
    """Observed coverage at a nominal one, averaged over questions, or None."""
    if calibration is None:
        return None
    is_near = (calibration["nominal"] - nominal).abs() < 0.005
    values = calibration.loc[is_near, "observed"].dropna()
    return float(values.mean()) if len(values) else None


def _share(row: Mapping[Any, Any]) -> Cell:
    """Rejected per cent."""
    n_read, n_rejected = float(row["n_read"]), float(row["n_rejected"])
    return Cell(f"{100 * n_rejected / n_read:.2f}" if n_read else "–")


def _count(number: Any) -> str:  # noqa: ANN401 - numpy and Python numbers
    """An integer with thin spaces between thousands."""
    return f"{int(number):,}".replace(",", "\u2009")


def _decimal(number: float) -> str:
    """Three decimals and a true minus."""
    return f"{number:.3f}".replace("-", "\u2212")


def _duration(seconds: float) -> str:
    """Seconds, minutes or hours."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"

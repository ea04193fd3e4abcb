"""The report's part on predictions, campaign by campaign where there are several."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from galaxyloop.campaigns import CAMPAIGNS
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.metrics import ALL_QUESTIONS, question_sets
from galaxyloop.report import charts, tables
from galaxyloop.report.charts import Chart
from galaxyloop.report.content import ReportContent
from galaxyloop.report.tables import Table

DERIVED_NOTE = "No volunteers voted here: pseudo-votes stand for an expert\u2019s attributes."
"""What is said of a derived campaign."""


@dataclass(frozen=True)
class CampaignSection:
    """Predictions of one campaign against its votes."""

    heading: str
    """The campaign in words; empty where there is only one."""
    note: str
    """What to know of its votes."""
    fraction_charts: Sequence[Chart]
    confusion_charts: Sequence[Chart]
    rmse_chart: Chart | None
    metrics: Table | None
    folds: Table | None


def campaign_title(name: str) -> str:
    """A campaign in words; of one that this code does not know, its name."""
    return CAMPAIGNS[name].title if name in CAMPAIGNS else name


def derived_campaigns(tree: DecisionTree) -> list[str]:
    """The tree's campaigns in which no volunteers voted."""
    return [name for name in tree.by_campaign if name in CAMPAIGNS and CAMPAIGNS[name].is_derived]


def derived_sentence(tree: DecisionTree) -> str:
    """Which campaigns are derived; nothing where none is."""
    names = derived_campaigns(tree)
    said = f"No volunteers voted in {' and '.join(names)}: pseudo-votes stand for an expert\u2019s"
    return f"{said} attributes." if names else ""


def campaign_sections(content: ReportContent) -> list[CampaignSection]:
    """A section each campaign, in the order of the tree."""
    tree = content.tree
    derived = derived_campaigns(tree)
    sections = []
    for part in tree.parts:
        titles = tables.question_titles(part)
        sections.append(
            CampaignSection(
                heading=campaign_title(part.name) if len(tree.parts) > 1 else "",
                note=DERIVED_NOTE if part.name in derived else "",
                fraction_charts=charts.fraction_charts(content.held_out, tree, titles),
                confusion_charts=charts.confusion_charts(content.held_out, tree, titles),
                rmse_chart=charts.rmse_chart(content.metrics, titles),
                metrics=_table(content.metrics, tree, part),
                folds=_table(content.cross_validation, tree, part),
            )
        )
    return sections


def overall_tables(content: ReportContent) -> list[tuple[str, Table]]:
    """What is measured over several campaigns together; nothing of one campaign."""
    if len(content.tree.parts) == 1:
        return []
    chosen = {
        title: None if metrics is None else metrics[metrics["question"] == ALL_QUESTIONS]
        for title, metrics in (
            ("Held-out galaxies", content.metrics),
            ("Cross-validation", content.cross_validation),
        )
    }
    found = {title: tables.metric_table(metrics, {}) for title, metrics in chosen.items()}
    return [(title, table) for title, table in found.items() if table is not None]


def _table(metrics: pd.DataFrame | None, tree: DecisionTree, part: DecisionTree) -> Table | None:
    """Metrics of one campaign's questions, and of all of these."""
    if metrics is None:
        return None
    overall = [question for campaign, question in question_sets(tree) if campaign == part.name]
    chosen = metrics[metrics["question"].isin([*part.question_names, *overall])]
    titles = {**tables.question_titles(part), **dict.fromkeys(overall, tables.ALL_TITLE)}
    return tables.metric_table(chosen, titles)

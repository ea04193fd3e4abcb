"""What each column of a catalogue holds: in words, with unit, UCD and type."""

import dataclasses
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from galaxyloop.catalogue.writing import catalogue_columns
from galaxyloop.decision_tree import DecisionTree, Question
from galaxyloop.errors import CatalogueError
from galaxyloop.flags import FLAGS
from galaxyloop.predictions import table_schema

MIN_ASKED = 0.5
"""Friendly catalogues hide fractions of questions that a smaller share would be asked."""
_OF_MORPHOLOGY = "stat.probability;src.morph"
_OUTSIDE_NAMES = re.compile(r"[^A-Za-z0-9_]")


@dataclass(frozen=True)
class CatalogueColumn:
    """One column, as column descriptions, FITS and VOTable headers tell of it."""

    name: str
    description: str
    ucd: str
    """Unified content descriptor, of the IVOA's controlled vocabulary."""
    unit: str = ""
    """Empty for fractions, which have none."""
    asked: str = ""
    """Column of the probability that decides whether a friendly catalogue hides the value."""

    @property
    def type(self) -> pa.DataType:
        """As stored."""
        return table_schema([self.name]).field(0).type

    @property
    def type_name(self) -> str:
        """The type as numpy names it."""
        return {"double": "float64", "float": "float32"}.get(str(self.type), str(self.type))


def describe_columns(tree: DecisionTree) -> tuple[CatalogueColumn, ...]:
    """The columns of a catalogue, in order."""
    described = {column.name: column for column in _all_columns(tree)}
    return tuple(described[name] for name in catalogue_columns(tree))


def describe_friendly_columns(tree: DecisionTree) -> tuple[CatalogueColumn, ...]:
    """The columns of a friendly catalogue, in order: no intervals, no probabilities asked."""
    ends = ("_fraction_p05", "_fraction_p95", "_asked")
    return tuple(
        dataclasses.replace(
            column,
            description=f"{column.description}; empty where fewer than half of the volunteers "
            f"would be asked ({column.asked} < {MIN_ASKED:g} in the full catalogue)",
        )
        if column.asked
        else column
        for column in describe_columns(tree)
        if not column.name.endswith(ends)
    )


def write_column_descriptions(tree: DecisionTree, path: Path) -> None:
    """Describe the columns of the catalogue and of the friendly one as csv.

    A row a column: its name, the name it has in FITS, VOTable and HATS, type, unit, UCD, whether
    and when the friendly catalogue has it, and what it means.
    """
    columns = describe_columns(tree)
    friendly = {column.name: column.asked for column in describe_friendly_columns(tree)}
    pd.DataFrame(
        {
            "name": [column.name for column in columns],
            "export_name": [export_name(column.name) for column in columns],
            "type": [column.type_name for column in columns],
            "unit": [column.unit for column in columns],
            "ucd": [column.ucd for column in columns],
            "in_friendly": [_in_friendly(column.name, friendly) for column in columns],
            "description": [column.description for column in columns],
        }
    ).to_csv(path, index=False)


def export_name(name: str) -> str:
    """A column's name in exports: letters, digits and underscores, beginning with no digit."""
    safe = _OUTSIDE_NAMES.sub("_", name)
    return f"_{safe}" if safe[:1].isdigit() else safe


def export_names(names: Sequence[str]) -> dict[str, str]:
    """Names that FITS, TOPCAT's expressions, ADQL and lsdb's queries take: letters, digits, ``_``.

    Args:
        names: as in the catalogue, where ``-`` joins the words of a question or an answer.

    Returns:
        The export's name of each; every other character has become ``_``.

    Raises:
        CatalogueError: two would become one, or differ only in upper and lower case.
    """
    renamed = {name: export_name(name) for name in names}
    first: dict[str, str] = {}
    for name, safe in renamed.items():
        other = first.setdefault(safe.casefold(), name)
        if other != name:
            raise CatalogueError(
                f"'{other}' and '{name}' would both be called '{safe}' in an export; FITS, VOTable "
                "and HATS take letters, digits and _ only, whatever their case: rename a question "
                "or an answer of the decision tree, or export csv"
            )
    return renamed


def _all_columns(tree: DecisionTree) -> Iterable[CatalogueColumn]:
    """Every column of a catalogue, in any order."""
    yield CatalogueColumn("id_str", "Name of the image in the manifest", "meta.id;meta.main")
    for name, word, ucd in (
        ("ra_deg", "Right ascension", "pos.eq.ra;meta.main"),
        ("dec_deg", "Declination", "pos.eq.dec;meta.main"),
    ):
        yield CatalogueColumn(name, f"{word}, ICRS; empty where the survey has none", ucd, "deg")
    for question in tree.questions:
        yield from _question_columns(question)
    yield CatalogueColumn(
        "feature_distance",
        "How far the image's features lie from those of the training galaxies, in units of the "
        "99.9 % point of galaxies held out; above 1 it is unlike them; empty where not known",
        "stat.value",
    )
    meanings = ", ".join(f"{bit} {name}" for name, bit in FLAGS.items())
    yield CatalogueColumn(
        "flags", f"Sum of the warnings about the image: {meanings}; 0 is none", "meta.code.qual"
    )


def _question_columns(question: Question) -> Iterable[CatalogueColumn]:
    """The columns of a question and its answers."""
    asked = f"{question.name}_asked"
    for answer, column in zip(question.answers, question.columns, strict=True):
        share = f"fraction of volunteers asked '{question.name}' who answer '{answer}'"
        yield CatalogueColumn(
            f"{column}_fraction", f"Expected {share}", _OF_MORPHOLOGY, asked=asked
        )
        for ending, edge, bound in (("p05", "5 %", "min"), ("p95", "95 %", "max")):
            yield CatalogueColumn(
                f"{column}_fraction_{ending}",
                f"{edge} point of the {share}; with its fellow a 90 % credible interval",
                f"{_OF_MORPHOLOGY};stat.{bound}",
            )
    yield CatalogueColumn(
        asked, f"Probability that a volunteer is asked '{question.name}'", "stat.probability"
    )


def _in_friendly(name: str, friendly: dict[str, str]) -> str:
    """Whether and when the friendly catalogue has a value."""
    if name not in friendly:
        return "no"
    return f"where {friendly[name]} >= {MIN_ASKED:g}" if friendly[name] else "yes"

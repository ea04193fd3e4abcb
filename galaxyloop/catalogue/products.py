"""What is published beside a catalogue: friendly version, exports, descriptions, card."""

from dataclasses import dataclass, field
from pathlib import Path

from galaxyloop.catalogue.card import CatalogueFacts, write_card
from galaxyloop.catalogue.columns import (
    describe_columns,
    describe_friendly_columns,
    write_column_descriptions,
)
from galaxyloop.catalogue.exports.formats import check_columns, check_formats, export_catalogue
from galaxyloop.catalogue.friendly import write_friendly_catalogue
from galaxyloop.catalogue.provenance import is_friendly_catalogue, read_catalogue_tree
from galaxyloop.config import StrictConfig
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.plots.drift import save_drift

COLUMNS = "columns.csv"
CARD = "card.md"
DRIFT, DRIFT_FIGURE = "drift.csv", "drift.png"


@dataclass(frozen=True)
class ProductsConfig(StrictConfig):
    """What is made from a catalogue for astronomers' tools."""

    friendly: bool = True
    """Also a friendly catalogue: fractions alone, empty where few volunteers would be asked."""
    formats: list[str] = field(default_factory=list)
    """Formats of the catalogues besides parquet: ``fits``, ``votable``, ``csv``, ``hats``."""

    def __post_init__(self) -> None:
        """Check the names."""
        check_formats(self.formats)


def check_products(products: ProductsConfig, tree: DecisionTree) -> None:
    """Refuse, before anything is predicted, products that a tree's catalogue could not become.

    Raises:
        CatalogueError: a format cannot hold its columns; the message says how to go on.
        ConfigError: the package that HATS needs is not installed.
    """
    check_columns(products.formats, describe_columns(tree))
    if products.friendly:
        check_columns(products.formats, describe_friendly_columns(tree))


def friendly_path(catalogue: Path, directory: Path) -> Path:
    """Where the friendly version of a catalogue goes."""
    return directory / f"{catalogue.stem}_friendly{catalogue.suffix}"


def write_products(
    catalogue: Path,
    tree: DecisionTree,
    products: ProductsConfig,
    directory: Path,
    facts: CatalogueFacts,
) -> list[Path]:
    """Make from a catalogue what astronomers read and open.

    Always ``columns.csv`` and ``card.md``; ``drift.csv`` and ``drift.png`` if there was something
    to compare with; if asked for ``catalogue_friendly.parquet`` and both
    catalogues in further formats, such as ``catalogue.fits`` and ``catalogue_friendly_hats``.

    Args:
        catalogue: what ``write_catalogue`` wrote.
        tree: whose answers it holds.
        products: what to make.
        directory: where to; it may be the catalogue's own.
        facts: what the card says besides.

    Returns:
        What was written.

    Raises:
        CatalogueError: a format cannot hold the catalogue; the message says how to go on.
        ConfigError: the package that HATS needs is not installed.
    """
    written = [directory / COLUMNS, directory / CARD]
    if facts.drift is not None and not facts.drift.empty:
        written += [directory / DRIFT, directory / DRIFT_FIGURE]
        facts.drift.to_csv(written[2], index=False)
        save_drift(facts.drift, written[3])
    write_column_descriptions(tree, written[0])
    write_card(catalogue, tree, facts, written[1])
    catalogues = [catalogue]
    if products.friendly:
        catalogues.append(friendly_path(catalogue, directory))
        write_friendly_catalogue(catalogue, catalogues[1])
        written.append(catalogues[1])
    for table in catalogues:
        written += export_catalogue(table, products.formats, directory)
    return written


def export_products(
    catalogue: Path, formats: list[str], directory: Path, is_friendly: bool = False
) -> dict[Path, str]:
    """Export a catalogue that is there, or its friendly version, with the columns' descriptions.

    Args:
        catalogue: what ``write_catalogue`` or ``write_friendly_catalogue`` wrote.
        formats: of ``exports.EXPORTS``.
        directory: where to; made if it is not there.
        is_friendly: export the friendly version, which is written there too.

    Returns:
        What was written, with a remark where there is one to be made.

    Raises:
        UnknownNameError: a format is unknown.
        CatalogueError: the file is no catalogue, or a format cannot hold it.
        ConfigError: the package that HATS needs is not installed.
    """
    check_formats(formats)
    tree = read_catalogue_tree(catalogue)
    directory.mkdir(parents=True, exist_ok=True)
    written: dict[Path, str] = {}
    if is_friendly and not is_friendly_catalogue(catalogue):
        full, catalogue = catalogue, friendly_path(catalogue, directory)
        write_friendly_catalogue(full, catalogue)
        written[catalogue] = ""
    written |= export_catalogue(catalogue, formats, directory)
    write_column_descriptions(tree, directory / COLUMNS)
    return written | {directory / COLUMNS: ""}

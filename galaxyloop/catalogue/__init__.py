"""The catalogue that the chunks' predictions make, and the products made from it."""

from galaxyloop.catalogue.provenance import (
    CatalogueProvenance,
    is_friendly_catalogue,
    read_catalogue_provenance,
    read_catalogue_tree,
)
from galaxyloop.catalogue.writing import CatalogueSummary, catalogue_columns, write_catalogue
from galaxyloop.predictions import prediction_columns, write_predictions

__all__ = [
    "CatalogueProvenance",
    "CatalogueSummary",
    "catalogue_columns",
    "is_friendly_catalogue",
    "prediction_columns",
    "read_catalogue_provenance",
    "read_catalogue_tree",
    "write_catalogue",
    "write_predictions",
]

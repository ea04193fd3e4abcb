"""The catalogue that the chunks' predictions make, and the products made from it."""

from galaxyloop.catalogue.card import CatalogueFacts
from galaxyloop.catalogue.changes import CHANGE_SCHEMA, list_changes
from galaxyloop.catalogue.products import ProductsConfig, write_products
from galaxyloop.catalogue.provenance import (
    CatalogueProvenance,
    is_friendly_catalogue,
    read_catalogue_provenance,
    read_catalogue_tree,
)
from galaxyloop.catalogue.writing import CatalogueSummary, catalogue_columns, write_catalogue
from galaxyloop.predictions import prediction_columns, write_predictions

__all__ = [
    "CHANGE_SCHEMA",
    "CatalogueFacts",
    "CatalogueProvenance",
    "CatalogueSummary",
    "ProductsConfig",
    "catalogue_columns",
    "is_friendly_catalogue",
    "list_changes",
    "prediction_columns",
    "read_catalogue_provenance",
    "read_catalogue_tree",
    "write_catalogue",
    "write_predictions",
    "write_products",
]

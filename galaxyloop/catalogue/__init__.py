"""The catalogue that the chunks' predictions make, and the products made from it."""

from galaxyloop.catalogue.card import CatalogueFacts
from galaxyloop.catalogue.changes import list_changes, write_changes
from galaxyloop.catalogue.exports.formats import check_galaxies
from galaxyloop.catalogue.products import ProductsConfig, check_products, write_products
from galaxyloop.catalogue.provenance import (
    CatalogueProvenance,
    is_friendly_catalogue,
    read_catalogue_provenance,
    read_catalogue_tree,
)
from galaxyloop.catalogue.writing import CatalogueSummary, catalogue_columns, write_catalogue
from galaxyloop.predictions import prediction_columns, write_predictions

__all__ = [
    "CatalogueFacts",
    "CatalogueProvenance",
    "CatalogueSummary",
    "ProductsConfig",
    "catalogue_columns",
    "check_galaxies",
    "check_products",
    "is_friendly_catalogue",
    "list_changes",
    "prediction_columns",
    "read_catalogue_provenance",
    "read_catalogue_tree",
    "write_catalogue",
    "write_changes",
    "write_predictions",
    "write_products",
]

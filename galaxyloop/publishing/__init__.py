"""Catalogues at the place they were asked for, and the survey versions beside them."""

from galaxyloop.publishing.addresses import fetch, publish_tree
from galaxyloop.publishing.catalogues import (
    CATALOGUE,
    POINTER,
    CatalogueRecord,
    Publication,
    PublishedFile,
    find_last_catalogue,
    find_missing_chunks,
    find_standing,
    find_surveys,
    keep_survey,
    publish_products,
    read_publication,
    read_record,
    survey_place,
)

__all__ = [
    "CATALOGUE",
    "POINTER",
    "CatalogueRecord",
    "Publication",
    "PublishedFile",
    "fetch",
    "find_last_catalogue",
    "find_missing_chunks",
    "find_standing",
    "find_surveys",
    "keep_survey",
    "publish_products",
    "publish_tree",
    "read_publication",
    "read_record",
    "survey_place",
]

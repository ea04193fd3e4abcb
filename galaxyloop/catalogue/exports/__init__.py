"""A catalogue in the formats that astronomers' tools open."""

from galaxyloop.catalogue.exports.formats import EXPORTS, export_catalogue, export_path

__all__ = ["EXPORTS", "export_catalogue", "export_path"]

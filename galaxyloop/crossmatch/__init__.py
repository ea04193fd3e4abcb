"""Votes published under other ids: each row is given the survey's id by its place on the sky."""

from galaxyloop.crossmatch.crossmatching import Crossmatch, crossmatch_table

__all__ = ["Crossmatch", "crossmatch_table"]

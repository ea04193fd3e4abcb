"""Workflows: only wiring."""

"""Posteriors over vote fractions: samples, exact intervals, predicted counts."""

from galaxyloop.posterior.binomial import binomial_concentrations
from galaxyloop.posterior.config import PosteriorConfig
from galaxyloop.posterior.counts import (
    answer_against_rest,
    vote_count_interval,
    vote_count_probability,
)
from galaxyloop.posterior.intervals import mixture_interval
from galaxyloop.posterior.sampling import VotePredictor, dropout_masks, predict_concentrations
from galaxyloop.posterior.summary import PosteriorSummary, asked_probability, summarise

__all__ = [
    "PosteriorConfig",
    "PosteriorSummary",
    "VotePredictor",
    "answer_against_rest",
    "asked_probability",
    "binomial_concentrations",
    "dropout_masks",
    "mixture_interval",
    "predict_concentrations",
    "summarise",
    "vote_count_interval",
    "vote_count_probability",
]

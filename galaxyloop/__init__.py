"""Survey images and volunteers' votes into galaxy foundation models and Bayesian catalogues."""

__version__ = "0.1.0"

"""A study on simulated galaxies, whose truth is known: has this galaxy a bar?"""

from dataclasses import replace

import numpy as np
import pandas as pd

from galaxyloop.finetuning.labels import Labels
from galaxyloop.finetuning.targets import Target
from galaxyloop.label_efficiency.arms import arms_with_starts, standard_arms
from galaxyloop.label_efficiency.config import LabelEfficiencyConfig
from galaxyloop.label_efficiency.data import CutoutArray, StudyData, prepare_study
from galaxyloop.synthetic import SimulationConfig, simulate_galaxies

LEAST_STRENGTH = 0.3
"""Bars that are weaker are not labelled as bars; one galaxy in ten has one."""
_WITHHELD = ["bar"]
_LABEL_SET = "gz2"


def simulated_config(
    epochs: int, arms: list[str], n_labels: list[int], n_steps: list[int], n_draws: int
) -> LabelEfficiencyConfig:
    """Some of the standard arms and what they start from; simulated votes as the only label set.

    Args:
        epochs: of each pretraining.
        arms: names of standard arms.
        n_labels: see ``LabelEfficiencyConfig``.
        n_steps: see ``LabelEfficiencyConfig``.
        n_draws: see ``LabelEfficiencyConfig``.
    """
    chosen = arms_with_starts(standard_arms(epochs), arms)
    return LabelEfficiencyConfig(
        arms=[replace(arm, label_set=_LABEL_SET if arm.label_set else "") for arm in chosen],
        n_labels=n_labels,
        n_steps=n_steps,
        n_draws=n_draws,
        withheld=_WITHHELD,
    )


def simulate_study(simulation: SimulationConfig, config: LabelEfficiencyConfig) -> StudyData:
    """Cutouts and votes of simulated galaxies, and for each the truth about its bar.

    Args:
        simulation: the galaxies and their volunteers.
        config: the study; it should withhold the question about bars.
    """
    survey = simulate_galaxies(simulation)
    id_strs = survey.galaxies["id_str"].to_numpy(dtype=object)
    has_bar = survey.parameters["bar_strength"].to_numpy() > LEAST_STRENGTH
    target = Target("binary", "bar", ["no-bar", "bar"])
    table = pd.DataFrame({"id_str": id_strs, "label": np.where(has_bar, "bar", "no-bar")})
    table = table.assign(y=has_bar.astype(np.float64)).sort_values("id_str", ignore_index=True)
    counts = dict.fromkeys(("n_read", "n_used"), len(table)) | {"n_repeated": 0, "n_rejected": 0}
    votes = pd.DataFrame(survey.votes, columns=list(survey.tree.columns))
    votes.insert(0, "id_str", id_strs)
    voted = votes[survey.galaxies["is_labelled"].to_numpy()].reset_index(drop=True)
    return prepare_study(
        CutoutArray(survey.images, id_strs),
        survey.galaxies,
        Labels(table, target, counts, "the simulation's truth"),
        {_LABEL_SET: (voted, survey.tree)},
        config,
    )

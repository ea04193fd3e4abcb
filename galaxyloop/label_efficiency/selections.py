"""Parts of a study, each with no more in its settings than decides its result."""

from dataclasses import replace

from galaxyloop.finetuning.published import without_weights
from galaxyloop.label_efficiency.config import ArmConfig, LabelEfficiencyConfig
from galaxyloop.training.config import SupervisedRun


def groups_of_cells(config: LabelEfficiencyConfig) -> list[tuple[str, str, int]]:
    """Cells that run together, and again only together: arm, kind and draw.

    One more draw repeats none of the others. Absent arms have no cells.
    """
    return [
        (arm.name, kind, draw)
        for arm in config.arms
        for kind in arm.kinds
        for draw in range(config.n_draws)
        if not arm.is_absent
    ]


def only_group(config: LabelEfficiencyConfig, arm: str, kind: str) -> LabelEfficiencyConfig:
    """The study with one arm used in one way, which is all that its cells depend on.

    What made the arm's encoder is left out, for cells are given the encoder; so are the splits and
    what was withheld, for they are in the data.
    """
    chosen = config.arm(arm)
    bare = ArmConfig(
        name=chosen.name,
        pretraining="none" if chosen.pretraining == "none" else "random",
        supervised=SupervisedRun(encoder=chosen.run.encoder),
        kinds=[kind],
        finetune=without_weights(chosen.finetune) if chosen.has_checkpoint else chosen.finetune,
        steps_factor=chosen.steps_factor,
    )
    plain = LabelEfficiencyConfig(arms=[bare])
    return replace(config, arms=[bare], n_draws=1, split=plain.split, withheld=plain.withheld)

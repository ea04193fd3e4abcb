"""Parts of a study, each with no more in its settings than decides its result."""

from dataclasses import replace

from galaxyloop.label_efficiency.config import ArmConfig, LabelEfficiencyConfig


def groups_of_cells(config: LabelEfficiencyConfig) -> list[tuple[str, str, list[int]]]:
    """Cells that are worth running together: arm, kind and numbers of labels.

    All probes of an arm share the features of its encoder; each number of labels is finetuned by
    itself, so that they run at the same time. Absent arms have none.
    """
    groups: list[tuple[str, str, list[int]]] = []
    for arm in config.arms:
        if arm.is_absent:
            continue
        for kind in arm.kinds:
            parts = [config.n_labels] if kind == "probe" else [[n] for n in config.n_labels]
            groups += [(arm.name, kind, part) for part in parts]
    return groups


def only_group(config: LabelEfficiencyConfig, arm: str, kind: str) -> LabelEfficiencyConfig:
    """The study with one arm used in one way, which is all that its cells depend on."""
    chosen = config.arm(arm)
    bare = ArmConfig(
        name=chosen.name,
        pretraining=chosen.pretraining,
        label_set=chosen.label_set,
        supervised=chosen.supervised,
        kinds=[kind],
        finetune=chosen.finetune,
        steps_factor=chosen.steps_factor,
    )
    return replace(config, arms=[bare])

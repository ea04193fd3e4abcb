"""The arms that a study compares by default."""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from galaxyloop.augment import AugmentConfig, ContrastiveAugmentConfig
from galaxyloop.finetuning.config import FinetuneRun, FinetuneTraining
from galaxyloop.label_efficiency.config import ArmConfig
from galaxyloop.objectives.hybrid import HybridConfig
from galaxyloop.training.config import ByolRun, HybridRun, SupervisedRun, TrainingConfig

PUBLISHED = "published"
_PRETRAINED_RATE, _DIRECT_RATE = 1e-4, 1e-3
_PRETRAINED_STEPS = 0.5
"""What is pretrained is finetuned in half the steps of what is not, to save time; after few votes
that costs up to a point of AUC."""
_GENTLE_RATE, _GENTLE_STEPS = 3e-5, 1 / 3
"""After many votes the head that starts at the probe is nearly right. With few labels more steps at
a higher rate drive the probabilities of the rare class too low: chosen on galaxies outside the
test, where at 50 labels it gained a point of balanced accuracy and at 250 and 750 changed
nothing."""
_MANY_VOTES = "gz2_efigi"
"""The set of votes that asks many questions."""
_WHOLE_GALAXY = 0.9
"""Share of a frame's side that every view shows: all of a galaxy that fills its frame."""
_VIEWS = AugmentConfig(galaxy_share=_WHOLE_GALAXY, min_field=0.96, max_field=1.2, max_shift=0.02)
_CONTRASTIVE_VIEWS = ContrastiveAugmentConfig(
    galaxy_share=_WHOLE_GALAXY, min_field=0.96, max_field=1.3, max_shift=0.02
)


def standard_arms(
    epochs: dict[str, int] | int | None = None, published: tuple[str, Path] | None = None
) -> list[ArmConfig]:
    """Nothing, random features, votes, images alone, both; two sets of votes; published weights.

    All encoders are ``resnet_mini``, each pretrained once. All that are pretrained are finetuned
    in half the steps of training from nothing, those on both sets of votes in a third and at a
    lower rate. The hybrids go on from the encoders that were trained on the same votes. No view,
    of pretraining or of finetuning, cuts what the frames show: frames may be scaled to the galaxy,
    and outer rings lie at their borders.

    Args:
        epochs: of each arm's pretraining by name, or one number for all; ``STANDARD_EPOCHS`` by
            default.
        published: timm name and file of published weights; None leaves that arm absent.
    """
    if isinstance(epochs, int):
        epochs = dict.fromkeys(STANDARD_EPOCHS, epochs)
    epochs = STANDARD_EPOCHS | (epochs or {})
    direct = ArmConfig("direct", kinds=["finetune"], finetune=_from_nothing())
    name, weights = published or ("", "")
    return [
        direct,
        replace(direct, name="direct_x3", steps_factor=3.0),
        ArmConfig("random", "random", kinds=["probe"], supervised=_supervised(0)),
        _on_votes("supervised_gz2", "gz2", epochs),
        _on_votes("supervised_gz2_efigi", "gz2_efigi", epochs),
        ArmConfig(
            "byol",
            "byol",
            byol=ByolRun(
                augment=_CONTRASTIVE_VIEWS, training=_contrastive_training(epochs["byol"], 1e-3)
            ),
            finetune=_from_encoder(),
            steps_factor=_PRETRAINED_STEPS,
        ),
        _on_both("hybrid_gz2", "gz2", epochs),
        _on_both("hybrid_gz2_efigi", "gz2_efigi", epochs),
        ArmConfig(
            PUBLISHED,
            "published",
            finetune=replace(_from_encoder(), encoder=name, weights=str(weights)),
            steps_factor=_PRETRAINED_STEPS,
        ),
    ]


STANDARD_EPOCHS = {
    "supervised_gz2": 50,
    "supervised_gz2_efigi": 100,
    "byol": 8,
    "hybrid_gz2": 3,
    "hybrid_gz2_efigi": 3,
}
"""Epochs of pretraining: with the cells, about 100 minutes of one core."""


def arms_with_starts(arms: list[ArmConfig], names: Collection[str]) -> list[ArmConfig]:
    """The arms of those names, and those that they start from."""
    needed = {arm.start for arm in arms if arm.name in names} | set(names)
    return [arm for arm in arms if arm.name in needed]


def _on_votes(name: str, label_set: str, epochs: dict[str, int]) -> ArmConfig:
    """An arm pretrained on votes."""
    return ArmConfig(
        name,
        "votes",
        label_set,
        supervised=_supervised(epochs[name]),
        finetune=_from_votes(label_set),
        steps_factor=_steps(label_set),
    )


def _on_both(name: str, label_set: str, epochs: dict[str, int]) -> ArmConfig:
    """An arm pretrained on votes, then on votes and images."""
    run = HybridRun(
        objective=HybridConfig(votes_weight=4.0),
        augment=_CONTRASTIVE_VIEWS,
        training=_contrastive_training(epochs[name], 3e-4),
    )
    return ArmConfig(
        name,
        "hybrid",
        label_set,
        start=f"supervised_{label_set}",
        hybrid=run,
        finetune=_from_votes(label_set),
        steps_factor=_steps(label_set),
    )


def _supervised(epochs: int) -> SupervisedRun:
    """Pretraining on votes."""
    training = TrainingConfig(epochs=epochs, batch_size=128)
    return SupervisedRun(augment=_VIEWS, training=training)


def _contrastive_training(epochs: int, learning_rate: float) -> TrainingConfig:
    """Small batches, that an epoch of few galaxies still has many steps."""
    return TrainingConfig(epochs=epochs, batch_size=64, learning_rate=learning_rate)


def _from_encoder(learning_rate: float = _PRETRAINED_RATE) -> FinetuneRun:
    """Finetuning that keeps what the encoder knows, its normalisations too."""
    return FinetuneRun(
        layer_decay=1.0,
        augment=_VIEWS,
        training=FinetuneTraining(learning_rate=learning_rate),
    )


def _from_votes(label_set: str) -> FinetuneRun:
    """Finetuning an encoder that knows few or many questions."""
    return _from_encoder(_GENTLE_RATE if label_set == _MANY_VOTES else _PRETRAINED_RATE)


def _steps(label_set: str) -> float:
    """In how large a share of the steps of what is not pretrained."""
    return _GENTLE_STEPS if label_set == _MANY_VOTES else _PRETRAINED_STEPS


def _from_nothing() -> FinetuneRun:
    """Training from first weights."""
    return FinetuneRun(
        encoder="resnet_mini",
        layer_decay=1.0,
        head_start="zero",
        augment=_VIEWS,
        training=FinetuneTraining(learning_rate=_DIRECT_RATE),
    )

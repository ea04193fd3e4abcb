"""What a study of label efficiency compares, and how."""

from dataclasses import dataclass, field

from galaxyloop.config import StrictConfig, require
from galaxyloop.errors import UnknownNameError
from galaxyloop.finetuning.config import FinetuneRun
from galaxyloop.finetuning.probe import ProbeConfig
from galaxyloop.splits import SplitConfig
from galaxyloop.training.config import ByolRun, HybridRun, PretrainingRun, SupervisedRun

PRETRAININGS = ("none", "random", "votes", "byol", "hybrid", "published")
KINDS = ("probe", "finetune")
_USES_VOTES = ("votes", "hybrid")


@dataclass(frozen=True)
class ArmConfig(StrictConfig):
    """One way to come by an encoder, and how it is used where labels are few."""

    name: str
    """Of the arm, in tables and figures."""
    pretraining: str = "none"
    """One of ``PRETRAININGS``: none (each finetuning draws first weights of its own), random (first
    weights, with the statistics that normalisations have on the images), votes, byol (images
    alone), hybrid (both), or published weights."""
    label_set: str = ""
    """Name of the votes to pretrain on, for votes and hybrid."""
    start: str = ""
    """Arm whose encoder the pretraining begins with (byol and hybrid); empty for first weights."""
    supervised: SupervisedRun = field(default_factory=SupervisedRun)
    """Pretraining on votes; of random weights only its encoder and seed count."""
    byol: ByolRun = field(default_factory=ByolRun)
    """Pretraining on images."""
    hybrid: HybridRun = field(default_factory=HybridRun)
    """Pretraining on both."""
    kinds: list[str] = field(default_factory=lambda: list(KINDS))
    """Of ``KINDS``: logistic regression on the frozen encoder, or finetuning of all of it."""
    finetune: FinetuneRun = field(default_factory=FinetuneRun)
    """Finetuning; its encoder and weights are for published ones. The study sets epochs, batches,
    seed and threads."""
    steps_factor: float = 1.0
    """Steps of finetuning in units of the study's, above 0."""

    def __post_init__(self) -> None:
        """Check names and ranges."""
        where = f"of arm '{self.name}'"
        require(bool(self.name), "name of an arm must not be empty")
        require(
            self.pretraining in PRETRAININGS,
            f"pretraining {where} must be one of {', '.join(PRETRAININGS)}, "
            f"got '{self.pretraining}'",
        )
        require(
            bool(self.kinds) and set(self.kinds) <= set(KINDS),
            f"kinds {where} must be some of {', '.join(KINDS)}, got {self.kinds}",
        )
        require(
            self.pretraining != "none" or self.kinds == ["finetune"],
            f"kinds {where} can be finetune only, as it has no pretraining, got {self.kinds}; "
            "take the pretraining 'random' for features of first weights",
        )
        require(
            bool(self.label_set) == (self.pretraining in _USES_VOTES),
            f"label_set {where} goes with pretraining on {' or '.join(_USES_VOTES)}, got "
            f"'{self.label_set}' with '{self.pretraining}'",
        )
        require(
            not self.start or self.pretraining in ("byol", "hybrid"),
            f"start {where} goes with byol or hybrid, got '{self.start}' with '{self.pretraining}'",
        )
        require(self.steps_factor > 0, f"steps_factor {where} must be > 0, got {self.steps_factor}")

    @property
    def has_checkpoint(self) -> bool:
        """Whether an encoder is made, or read, once for all its cells."""
        return self.pretraining != "none" and not self.is_absent

    @property
    def run(self) -> PretrainingRun:
        """The settings of its own pretraining; of random weights those of ``supervised``."""
        runs: dict[str, PretrainingRun] = {"byol": self.byol, "hybrid": self.hybrid}
        return runs.get(self.pretraining, self.supervised)

    @property
    def is_absent(self) -> bool:
        """Whether published weights are asked for and none are given."""
        is_given = self.finetune.pretrained or bool(self.finetune.weights)
        return self.pretraining == "published" and not is_given


@dataclass(frozen=True)
class LabelEfficiencyConfig(StrictConfig):
    """A study: arms x kinds x numbers of labels x draws of labels."""

    arms: list[ArmConfig]
    """What is compared; ``standard_arms`` gives them."""
    n_labels: list[int] = field(default_factory=lambda: [50, 100, 250, 750])
    """Numbers of labels, each at least 4, rising."""
    n_steps: list[int] = field(default_factory=lambda: [60, 80, 110, 180])
    """Steps of finetuning at each of them; whole epochs come as near as they can."""
    batch_size: int = 48
    """Galaxies a step of finetuning at most."""
    n_draws: int = 5
    """Draws of labels; the first labels of a draw are those of its smaller numbers."""
    seed: int = 0
    """Of the draws and of finetuning."""
    split: SplitConfig = field(default_factory=lambda: SplitConfig(test_share=0.25))
    """Shares of galaxies that test, and that tell pretraining when it was best."""
    withheld: list[str] = field(default_factory=lambda: ["ring", "odd"])
    """Questions with one of these in their name or answers are no part of pretraining; nor are
    those that are asked after one of their answers. Galaxy Zoo 2 asks for rings only where there
    is "something odd", so that question tells of rings too."""
    probe: ProbeConfig = field(default_factory=ProbeConfig)
    """Logistic regression."""
    n_bootstrap: int = 500
    """Resamplings of the test galaxies behind the intervals of one model."""
    n_threads: int | None = 1
    """CPU threads of each pretraining and finetuning; equal bytes need equal numbers."""

    def __post_init__(self) -> None:
        """Check names and ranges."""
        names = [arm.name for arm in self.arms]
        require(
            bool(names) and len(set(names)) == len(names),
            f"arms must be one or more with names that differ, got {names}",
        )
        for arm in self.arms:
            self._check_start(arm)
        is_rising = self.n_labels == sorted(set(self.n_labels)) and bool(self.n_labels)
        require(
            is_rising and self.n_labels[0] >= 4,
            f"n_labels must be numbers >= 4 that rise, got {self.n_labels}",
        )
        require(
            len(self.n_steps) == len(self.n_labels) and min(self.n_steps) >= 1,
            f"n_steps must be one number >= 1 for each of n_labels={self.n_labels}, "
            f"got {self.n_steps}",
        )
        for name in ("batch_size", "n_draws", "n_bootstrap"):
            require(getattr(self, name) >= 1, f"{name} must be >= 1, got {getattr(self, name)}")
        require(self.seed >= 0, f"seed must be >= 0, got {self.seed}")

    def _check_start(self, arm: ArmConfig) -> None:
        """An arm may begin with an earlier arm's checkpoint, of the same encoder."""
        starts = [one for one in self.arms[: self.arms.index(arm)] if one.name == arm.start]
        require(
            not arm.start or (bool(starts) and starts[0].has_checkpoint),
            f"start of arm '{arm.name}' must name an earlier arm that is pretrained here, "
            f"got '{arm.start}'",
        )
        encoders = sorted({one.run.encoder for one in (*starts, arm)})
        require(
            len(encoders) == 1,
            f"arm '{arm.name}' and its start '{arm.start}' must share one encoder, got {encoders}",
        )

    def arm(self, name: str) -> ArmConfig:
        """The arm of that name.

        Raises:
            UnknownNameError: there is none.
        """
        arms = {arm.name: arm for arm in self.arms}
        if name not in arms:
            raise UnknownNameError("arm", name, arms)
        return arms[name]

import pytest

from galaxyloop.acquisition import AcquisitionConfig
from galaxyloop.checks import check_names
from galaxyloop.errors import ConfigError, UnknownNameError
from galaxyloop.splits import SplitConfig
from galaxyloop.training import SupervisedRun

GOOD = {
    "campaigns": ["gz2"],
    "run": SupervisedRun(),
    "split": SplitConfig(),
    "n_folds": 5,
    "acquisition": AcquisitionConfig(),
}


def test_check_names__takes_several_campaigns_and_any_timm_encoder() -> None:
    check_names(**GOOD)
    run = SupervisedRun(encoder="resnet18")
    check_names(**{**GOOD, "campaigns": ["gz2", "gz_decals_dr5", "gz2"], "run": run, "n_folds": 0})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"campaigns": ["gz9"]}, "no campaign 'gz9'; choose one of: efigi, gz2"),
        ({"campaigns": []}, "at least one table with its campaign, got none"),
        ({"run": SupervisedRun(encoder="resnet_mni")}, "no encoder 'resnet_mni'.*resnet_mini"),
        ({"acquisition": AcquisitionConfig(name="bald")}, "no acquisition 'bald'"),
        ({"acquisition": AcquisitionConfig(questions=["bar"])}, "no question 'bar'.*bar-gz2"),
        ({"acquisition": AcquisitionConfig("disagreement")}, "'disagreement' scores .*lack"),
        ({"n_folds": 6}, "from 2 to split.n_folds=5, got 6"),
        ({"n_folds": 1}, "got 1"),
    ],
)
def test_check_names__refuses(changes: dict[str, object], message: str) -> None:
    with pytest.raises((ConfigError, UnknownNameError), match=message):
        check_names(**{**GOOD, **changes})

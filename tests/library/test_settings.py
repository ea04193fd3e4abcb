import pytest
import yaml

from galaxyloop.active_learning.config import ActiveLearningConfig
from galaxyloop.errors import UnknownNameError
from galaxyloop.settings import SETTINGS, describe_settings
from galaxyloop.training import SupervisedRun


@pytest.mark.parametrize("name", SETTINGS)
def test_describe_settings__documents_every_setting(name: str) -> None:
    lines = describe_settings(name).splitlines()
    for above, line in zip(lines[1:], lines[2:], strict=False):
        if not line.strip().startswith("#"):
            assert above.strip().startswith("#"), f"{line} has no line of text in its config"


def test_describe_settings__is_yaml_that_the_config_takes() -> None:
    settings = yaml.safe_load(describe_settings("run"))["run"]
    assert SupervisedRun.from_dict(settings) == SupervisedRun()


def test_describe_settings__of_a_study_has_the_key_that_its_workflow_takes() -> None:
    settings = yaml.safe_load(describe_settings("active_learning"))
    assert ActiveLearningConfig.from_dict(settings["study"]) == ActiveLearningConfig()


def test_describe_settings__lists_the_stages_for_a_wrong_name() -> None:
    with pytest.raises(UnknownNameError, match="no stage with settings 'trianing'"):
        describe_settings("trianing")

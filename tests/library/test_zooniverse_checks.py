"""Settings of a selection that are refused before any data are read."""

import pytest

from galaxyloop.acquisition import AcquisitionConfig, RetirementConfig
from galaxyloop.errors import ConfigError, UnknownNameError
from galaxyloop.zooniverse.checks import check_rules
from tests.library.selection_sources import TREE


@pytest.mark.parametrize(
    ("campaigns", "acquisition", "retirement", "message"),
    [
        (["gz9"], {}, {}, "there is no campaign 'gz9'"),
        ([], {"name": "best"}, {}, "there is no acquisition 'best'"),
        ([], {"questions": ["odd"]}, {}, "there is no question 'odd'"),
        (["gz2"], {}, {"questions": ["bar-toy"]}, "there is no question 'bar-toy'"),
    ],
)
def test_check_rules__refuses_names_that_do_not_exist(
    campaigns: list[str],
    acquisition: dict[str, object],
    retirement: dict[str, object],
    message: str,
) -> None:
    rules = (AcquisitionConfig.from_dict(acquisition), RetirementConfig.from_dict(retirement))
    with pytest.raises(UnknownNameError, match=message):
        check_rules(campaigns, TREE, *rules)


def test_check_rules__refuses_an_acquisition_that_predictions_cannot_rank() -> None:
    with pytest.raises(ConfigError, match=r"'disagreement' .*information.expected_votes=1"):
        check_rules([], TREE, AcquisitionConfig("disagreement"), RetirementConfig())

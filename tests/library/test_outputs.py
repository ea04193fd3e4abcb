"""Results are never written where they would be lost."""

import pytest

from galaxyloop.errors import ConfigError
from galaxyloop.outputs import check_output


def test_check_output__refuses_a_containers_disk() -> None:
    check_output("round", must_be_remote=False)
    check_output("s3://bucket/round", must_be_remote=True)
    with pytest.raises(ConfigError, match="must be an address such as s3://.*, got 'round'"):
        check_output("round", must_be_remote=True)
    with pytest.raises(ConfigError, match="got ''"):
        check_output("", must_be_remote=False)

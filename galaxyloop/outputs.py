"""Where results are asked to go."""

from galaxyloop.errors import ConfigError
from galaxyloop.storage import local_path


def check_output(output: str, must_be_remote: bool) -> None:
    """Refuse a place where results would be lost.

    Raises:
        ConfigError: nothing is named, or a container's own disk is.
    """
    if not output:
        raise ConfigError("output must name a folder or address for the results, got ''")
    if must_be_remote and local_path(output) is not None:
        raise ConfigError(
            f"output must be an address such as s3://bucket/round on a cluster, got '{output}': "
            "a container's own disk is lost with it"
        )

"""``pyflyte run`` as a person meets it: short refusals, and help without JSON schemas."""

import errno
import sys
from typing import Any

from flytekit.clis.sdk_in_container import run, utils

from galaxyloop.config import StrictConfig
from galaxyloop.errors import GalaxyloopError
from galaxyloop.settings import SETTINGS

_print_in_full = utils.pretty_print_exception
_make_option = run.to_click_option


def install() -> None:
    """Put both in place of flytekit's own; it offers no other way."""
    utils.pretty_print_exception = print_briefly
    run.to_click_option = make_short_option


def print_briefly(error: Exception, verbosity: int = 1) -> None:
    """A refusal in a few lines; a traceback for what nobody foresaw, or with ``-v``."""
    if isinstance(error, GalaxyloopError) and verbosity == 0:
        text = str(error.args[0]) if error.args else str(error)
        utils.click.secho(text, fg="red", err=True)
        sys.exit(1)
    if _is_full_disk(error) and verbosity == 0:
        told = "the disk is full: make prune lists what can go from the local store; "
        utils.click.secho(f"{told}then run again, what is finished is kept", fg="red", err=True)
        sys.exit(1)
    _print_in_full(error, verbosity)


def _is_full_disk(error: BaseException | None) -> bool:
    """Whether an error comes of a disk, or a share of it, that is full."""
    while error is not None:
        is_full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        if is_full or "disk is full" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def make_short_option(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - click is untyped here
    """An option whose help says where a config's settings are listed, not its JSON schema."""
    option = _make_option(*arguments, **named)
    variable, config_type = arguments[3:5]
    if isinstance(config_type, type) and issubclass(config_type, StrictConfig):
        stage = _stage_of(config_type)
        option.help = f"{variable.description} Settings: galaxyloop settings {stage}"
        option.show_default = False
    return option


def _stage_of(config_type: type[StrictConfig]) -> str:
    """The name under which ``galaxyloop settings`` lists a config."""
    wanted = config_type.__name__
    return next((name for name, place in SETTINGS.items() if place.endswith(f":{wanted}")), wanted)

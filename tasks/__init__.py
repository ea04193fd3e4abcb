"""Thin Flyte tasks: unwrap, call one library function, wrap."""

from tasks import literal_types, local_run

literal_types.install()
local_run.install()

"""Thin Flyte tasks: unwrap, call one library function, wrap."""

from tasks import local_run

local_run.install()

"""The local store as a person looks after it: ``python -m tasks.store status`` and ``prune``."""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from galaxyloop.errors import GalaxyloopError
from galaxyloop.stored_results import (
    UNFINISHED,
    StoredResult,
    find_unneeded,
    list_results,
    remove_results,
    size_and_change,
)
from schemas.artefacts import ARTEFACTS
from tasks.cached_results import CachedResult, read_caches
from tasks.local_run import store_directory
from tasks.registry.lineage import digests_in_lineages

KINDS = (*(artefact.kind for artefact in ARTEFACTS), "raw", "training-state", UNFINISHED)
"""The folders of results; whatever else lies in a store is left alone."""


@click.group()
def main() -> None:
    """Look after the local store."""


@main.command()
def status() -> None:
    """Say what cached results there are, how large they are, and what nothing needs."""
    store = store_directory()
    with _refusing():
        cached, results = read_caches(store), list(list_results(store, KINDS))
        click.echo(f"store  {store}, {_megabytes(size_and_change(store)[0])}\n")
        for line in (*_tell_cached(cached, results), "", *_tell_kinds(cached, results), ""):
            click.echo(line)
        unneeded = _unneeded(store, cached, results)
    click.echo(f"make prune lists {_tell_sum(unneeded)} that nothing needs any more")


@main.command()
@click.option("--yes", is_flag=True, help="Remove it; else it is only listed.")
def prune(yes: bool) -> None:
    """Remove what no cached result, no model and no run of the last day needs."""
    store = store_directory()
    with _refusing():
        cached, results = read_caches(store), list(list_results(store, KINDS))
        unneeded = _unneeded(store, cached, results)
        for one in unneeded:
            changed = datetime.fromtimestamp(one.changed_s, UTC).date()
            click.echo(f"{'/'.join(one.key)}  of {changed}, {_megabytes(one.n_bytes)}")
        if unneeded and yes:
            remove_results(store, unneeded)
    told = {True: "removed", False: "make prune YES=1 would remove"}[yes and bool(unneeded)]
    click.echo(f"{told} {_tell_sum(unneeded)} from {store}")


def _unneeded(
    store: Path, cached: list[CachedResult], results: list[StoredResult]
) -> list[StoredResult]:
    """What nothing needs any more."""
    needed = {key for one in cached for key in one.points_at}
    return find_unneeded(results, needed, digests_in_lineages(store))


def _tell_cached(cached: list[CachedResult], results: list[StoredResult]) -> Iterator[str]:
    """A line for each task and code version, then one for each entry that cannot be read."""
    tasks: dict[tuple[str, str], list[CachedResult]] = defaultdict(list)
    for one in cached:
        if not one.fault:
            tasks[one.task, one.version].append(one)
    yield f"{'cached results of':50}{'code':>6}{'entries':>9}{'MB':>10}"
    for (task, version), found in sorted(tasks.items()):
        points_at = frozenset[tuple[str, str]]().union(*(one.points_at for one in found))
        n_bytes = sum(one.n_bytes for one in results if one.key in points_at)
        yield f"{task:50}{version:>6}{len(found):>9}{n_bytes / 1e6:>10.1f}"
    for one in cached:
        if one.fault:
            yield f"DAMAGED  a result of {one.task}, made again when it is wanted: {one.fault}"


def _tell_kinds(cached: list[CachedResult], results: list[StoredResult]) -> Iterator[str]:
    """A line for each folder: all that lies there, and what cached results do not point at."""
    pointed = {key for one in cached for key in one.points_at}
    yield f"{'folder':20}{'entries':>9}{'MB':>10}{'not pointed at':>17}{'MB':>10}"
    for kind in sorted({one.path.parent.name for one in results}):
        here = [one for one in results if one.path.parent.name == kind]
        free = [one for one in here if one.key not in pointed]
        sizes = [sum(one.n_bytes for one in group) / 1e6 for group in (here, free)]
        yield f"{kind:20}{len(here):>9}{sizes[0]:>10.1f}{len(free):>17}{sizes[1]:>10.1f}"


def _tell_sum(results: list[StoredResult]) -> str:
    """How many and how large."""
    return f"{len(results)} directories, {_megabytes(sum(one.n_bytes for one in results))},"


def _megabytes(n_bytes: int) -> str:
    """A size as it is read."""
    return f"{n_bytes / 1e6:.1f} MB"


@contextmanager
def _refusing() -> Iterator[None]:
    """Errors with a remedy are told in a line, with a status of 1."""
    try:
        yield
    except GalaxyloopError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()

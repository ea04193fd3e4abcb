"""Fetching the images of a survey, with a record from which a later run goes on."""

import hashlib
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from galaxyloop.cutout_services.addresses import REJECT_COLUMNS, CutoutRequest, plan_requests
from galaxyloop.cutout_services.answers import FAILED, FETCHED, REJECTED, Answer
from galaxyloop.cutout_services.client import ask_all
from galaxyloop.cutout_services.config import CutoutServiceConfig
from galaxyloop.cutout_services.guard import RunGuard
from galaxyloop.cutout_services.output import OutputFolder
from galaxyloop.errors import TooManyRejectsError

MANIFEST = "manifest.csv"
REJECTS = "rejects.csv"
_PASSED_ON = ["ra_deg", "dec_deg", "survey", "group_id"]


@dataclass(frozen=True)
class FetchSummary:
    """How fetching ended: ``n_galaxies = n_fetched + n_resumed + n_rejected + n_failed``."""

    n_galaxies: int
    """Galaxies that were given."""
    n_fetched: int
    """Images that came in this run."""
    n_resumed: int
    """Images that lay there already."""
    n_rejected: int
    """Galaxies without an image for good: refused now or earlier, or without a usable position."""
    n_failed: int
    """Galaxies without an image for reasons that may pass: the next run asks again."""
    n_requests: int
    """Requests sent in this run, further attempts among them."""
    n_bytes: int
    """Size of the images that came in this run [bytes]."""
    manifest: str
    """Where the manifest of the images is."""
    rejects: str
    """Where the table of galaxies without an image is, with reasons."""


def fetch_cutouts(
    galaxies: pd.DataFrame, config: CutoutServiceConfig, directory: str | Path
) -> FetchSummary:
    """Ask a service for each galaxy's image, and keep the images that are what was asked for.

    Writes ``images/``, ``record.jsonl`` (what was asked and answered), ``manifest.csv`` (for
    ``read_manifest``) and ``rejects.csv``. A later run with the same directory asks for what is
    missing only, however the earlier one ended.

    Args:
        galaxies: ``id_str``, ``ra_deg`` and ``dec_deg`` [ICRS], the config's size columns, and
            optionally ``survey`` and ``group_id``, which the manifest passes on.
        config: which service, what to ask, how gently.
        directory: folder or address; locally only one process at a time may fill it.

    Raises:
        ConfigError: no service is named, its login is not set, the directory holds images of
            another request, or the first ``max_same_rejects`` answers are refused alike.
        ManifestError: a column is missing.
        CutoutServiceError: the service refuses the login.
        StorageError: the service or the storage fails, or another process fills the directory.
        TooManyRejectsError: more than ``max_reject_rate`` have no image; what came is kept.
    """
    galaxies = galaxies.reset_index(drop=True)
    requests, unusable = plan_requests(galaxies, config)
    with OutputFolder(str(directory), config.request_settings()) as folder:
        done = _find_done(requests, folder, config)
        todo = [request for request in requests if request.id_str not in done]
        todo.sort(key=lambda request: _failed_at(folder.record.last.get(request.id_str)))
        n_requests = _fetch(todo, config, folder)
        lines = [folder.record.last[request.id_str] for request in requests]
        rejects = _rejects(lines, unusable)
        summary = FetchSummary(
            n_galaxies=len(galaxies),
            n_requests=n_requests,
            **_count(lines, [request.id_str for request in todo], len(unusable)),
            manifest=folder.write(MANIFEST, _csv(_manifest(galaxies, requests, lines))),
            rejects=folder.write(REJECTS, _csv(rejects)),
        )
    _check_rate(summary, rejects, config.max_reject_rate)
    return summary


def _find_done(
    requests: Sequence[CutoutRequest], folder: OutputFolder, config: CutoutServiceConfig
) -> set[str]:
    """Ids that need not be asked for: their image lies there, or was refused for good."""
    sizes, checks = folder.image_sizes(), config.checks_digest()
    done = set()
    for request in requests:
        line = folder.record.last.get(request.id_str)
        if line is None or line["url"] != request.url:
            continue
        is_same_check = line.get("checks") in ("", checks)
        if line["outcome"] == REJECTED and is_same_check and not config.retry_rejected:
            done.add(request.id_str)
        if line["outcome"] == FETCHED and sizes.get(line["file"]) == line["n_bytes"]:
            known, n_bytes = line["sha256"], line["n_bytes"]
            if not config.verify_digests or folder.image_digest(line["file"], n_bytes) == known:
                done.add(request.id_str)
    return done


def _failed_at(line: dict[str, Any] | None) -> str:
    """When asking for a galaxy last failed; empty, so first in order, if it did not."""
    return str(line["fetched_at"]) if line is not None and line["outcome"] == FAILED else ""


def _fetch(todo: list[CutoutRequest], config: CutoutServiceConfig, folder: OutputFolder) -> int:
    """Ask, and keep what comes; the number of requests sent."""
    checks, n_requests = config.checks_digest(), 0
    known = folder.record.last.values()
    guard = RunGuard(
        config,
        has_images=any(
            line["outcome"] == FETCHED and line.get("checks") == checks for line in known
        ),
    )
    with closing(_shown(todo, config)) as answers:
        for request, answer in answers:
            place = folder.place(request.id_str, answer.suffix) if answer.content else ""
            folder.keep(_line(request, answer, place, checks), answer.content)
            n_requests += answer.n_attempts
            guard.judge(answer)
    return n_requests


def _shown(
    todo: list[CutoutRequest], config: CutoutServiceConfig
) -> Generator[tuple[CutoutRequest, Answer], None, None]:
    """All answers, with a progress bar."""
    with closing(ask_all(todo, config)) as answers:
        yield from tqdm(answers, "images", len(todo), disable=None)


def _line(request: CutoutRequest, answer: Answer, place: str, checks: str) -> dict[str, object]:
    """What the record says of an answer; with which checks, if it got as far as that."""
    is_fetched = answer.outcome == FETCHED
    is_checked = answer.status is not None and 200 <= answer.status < 300
    return {
        "id_str": request.id_str,
        "url": request.url,
        "outcome": answer.outcome,
        "reason": answer.reason,
        "value": answer.value,
        "status": answer.status,
        "content_type": answer.content_type,
        "n_bytes": len(answer.content),
        "sha256": hashlib.sha256(answer.content).hexdigest() if is_fetched else "",
        "file": place,
        "fetched_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "n_attempts": answer.n_attempts,
        "checks": checks if is_checked else "",
    }


def _count(lines: list[dict[str, Any]], asked: list[str], n_unusable: int) -> dict[str, int]:
    """How many galaxies ended how."""
    counts, now = Counter(line["outcome"] for line in lines), set(asked)
    new = [line for line in lines if line["outcome"] == FETCHED and line["id_str"] in now]
    return {
        "n_fetched": len(new),
        "n_resumed": counts[FETCHED] - len(new),
        "n_rejected": counts[REJECTED] + n_unusable,
        "n_failed": counts[FAILED],
        "n_bytes": sum(line["n_bytes"] for line in new),
    }


def _manifest(
    galaxies: pd.DataFrame, requests: list[CutoutRequest], lines: list[dict[str, Any]]
) -> pd.DataFrame:
    """One row an image, as ``read_manifest`` reads it, with the scale that was asked for."""
    pairs = [
        (request.id_str, line["file"], request.pixel_scale_arcsec)
        for request, line in zip(requests, lines, strict=True)
        if line["outcome"] == FETCHED
    ]
    images = pd.DataFrame(pairs, columns=["id_str", "image_uri", "pixel_scale_arcsec"])
    known = galaxies.assign(id_str=galaxies["id_str"].astype(str)).drop_duplicates("id_str")
    passed_on = [name for name in _PASSED_ON if name in galaxies]
    manifest = images.merge(known[["id_str", *passed_on]], on="id_str", how="left")
    is_scaled = manifest["pixel_scale_arcsec"].notna().any()
    scale = ["pixel_scale_arcsec"] if is_scaled else []
    return manifest[["id_str", "image_uri", *passed_on, *scale]]


def _rejects(lines: list[dict[str, Any]], unusable: pd.DataFrame) -> pd.DataFrame:
    """Every galaxy without an image: those that could not be asked for first."""
    refused = pd.DataFrame(
        [
            (line["id_str"], "image_uri", line["value"], line["reason"])
            for line in lines
            if line["outcome"] != FETCHED
        ],
        columns=REJECT_COLUMNS,
    )
    return pd.concat([unusable, refused], ignore_index=True)


def _check_rate(summary: FetchSummary, rejects: pd.DataFrame, max_reject_rate: float) -> None:
    """Refuse to call a run done that left too many galaxies without an image."""
    n_without = summary.n_rejected + summary.n_failed
    if n_without > max_reject_rate * summary.n_galaxies:
        words = rejects["reason"].where(
            rejects["column"] == "image_uri", rejects["column"] + " " + rejects["reason"]
        )
        reasons = {str(reason): int(n) for reason, n in words.value_counts().items()}
        raise TooManyRejectsError("images", n_without, summary.n_galaxies, max_reject_rate, reasons)


def _csv(table: pd.DataFrame) -> bytes:
    """A table as the bytes of a csv file."""
    return table.to_csv(index=False).encode()

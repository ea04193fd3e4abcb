"""What a survey's predictions cost in hours and money: rates, a simulated cluster, a table.

``python -m benchmarks.scale`` prints the tables; ``--document docs/scale.md`` puts them there and
draws the figure beside. Rates come from the committed results of ``benchmarks.catalogue``; what is
no measurement of ours says so in its name. Every other number is an input, here in sight.
"""

import argparse
import json
import math
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.scale_simulation import Cluster, Outcome, simulate

RESULTS = Path(__file__).parent / "results"
SURVEYS = (1_000_000, 100_000_000, 1_000_000_000)
N_MACHINES = (1, 4, 16, 64)
SEEDS = (0, 1, 2)
SHARD_SIZE = 100_000
SHARD_SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
BYTES_224_PX = 224 * 224 * 3
RANGE_BYTES = 8 * 2**20
OBJECTS_A_SHARD = 6
"""Chunk, cutouts, index, rejects, summary, predictions."""
PUBLISHED_IMAGES_PER_S = 12_128.0
"""efficientnet_b0, 224 px, mixed precision, on an RTX PRO 6000: from timm's published results."""
BANDWIDTH_RATIO = 3.35 / 1.79
"""Memory of an H100 over that of an RTX PRO 6000 [TB/s over TB/s, data sheets]."""


@dataclass(frozen=True)
class Prices:
    """What things cost [dollars]; inputs, to be replaced by one's own."""

    gpu_hour: float = 3.0
    """One H100 with 16 cores."""
    core_hour: float = 0.05
    """One core of a machine without an accelerator."""
    thousand_gets: float = 0.0004
    gigabyte_month: float = 0.023
    """Cutouts kept in an object store."""


@dataclass(frozen=True)
class Machine:
    """What predicts: its rate on decoded cutouts of 224 pixels with efficientnet_b0."""

    name: str
    galaxies_per_s: float
    hour: float
    """Price of one hour [dollars]."""
    basis: str
    """Where the rate comes from."""


@dataclass(frozen=True)
class Rates:
    """What the committed results say."""

    job_per_s: float
    """Galaxies a second of the whole job on one core."""
    share: float
    """Of the bare encoder's rate, that the job reaches."""
    cut_out_per_s: float
    """Images decoded and cut out, a second and core."""
    rows_per_s: float
    """Rows of 102 columns written, a second."""
    hardware: str


PRICES = Prices()
NETWORK_BYTES_PER_S = 2e9
"""From the store to one machine."""
CHECKED_BYTES_PER_S = 0.93e9
"""SHA-256 of the pixels on their way to the encoder, by one core (measured)."""
CORES_A_MACHINE = 8


def read_rates(folder: Path = RESULTS) -> Rates:
    """The rates of the committed results of this project's benchmarks."""
    found, cutting = (_result(folder / f"{name}.json") for name in ("catalogue", "cutouts"))
    figures, hardware = found["figures"], found["hardware"]
    case = "efficientnet_b0_224_px"
    return Rates(
        job_per_s=figures[f"images_per_s_from_shard_{case}"] / hardware["torch_threads"],
        share=min(1.0, figures[f"share_of_bare_encoder_from_shard_{case}"]["median"]),
        cut_out_per_s=cutting["figures"]["images_per_second_from_424_px"]
        / cutting["hardware"]["n_cores"],
        rows_per_s=figures["rows_written_per_s"],
        hardware=f"{hardware['processor']}, {hardware['torch_threads']} thread",
    )


def _result(path: Path) -> dict[str, Any]:
    """A committed result."""
    if not path.is_file():
        raise SystemExit(f"{path} is missing; run python -m benchmarks.{path.stem} --save")
    result: dict[str, Any] = json.loads(path.read_text())
    return result


def machines(rates: Rates, folder: Path = RESULTS) -> list[Machine]:
    """Cores as measured, an H100 as estimated, and a GPU as measured where there is a result."""
    cores = Machine(
        f"{CORES_A_MACHINE} cores",
        CORES_A_MACHINE * rates.job_per_s,
        CORES_A_MACHINE * PRICES.core_hour,
        f"{rates.job_per_s:.3g}/s on one core, measured on {rates.hardware}",
    )
    encoder = PUBLISHED_IMAGES_PER_S * BANDWIDTH_RATIO
    feeding, of_feeding = _feeding()
    estimated = Machine(
        "H100, estimated",
        min(encoder * rates.share, feeding),
        PRICES.gpu_hour,
        f"estimate: {encoder:,.0f}/s by scaling a published rate by memory bandwidth, of which "
        f"{rates.share:.0%} as measured on cores; {of_feeding}",
    )
    path = folder / "catalogue_gpu.json"
    if not path.is_file():
        return [cores, estimated]
    found = _result(path)
    name, figures = found["hardware"]["accelerator"], found["figures"]
    rate = figures["images_per_s_from_shard_efficientnet_b0_224_px"]
    measured = Machine(
        f"{name}, measured",
        min(rate, feeding),
        PRICES.gpu_hour,
        f"{rate:,.0f}/s measured from a local disk; {of_feeding}",
    )
    return [cores, measured]


def _feeding() -> tuple[float, str]:
    """Galaxies a second that reach the encoder of one machine, and why no more."""
    reading = NETWORK_BYTES_PER_S / BYTES_224_PX
    checking = CHECKED_BYTES_PER_S / BYTES_224_PX
    text = (
        f"reading at 2 GB/s allows {reading:,.0f}/s, checking pixels on one core {checking:,.0f}/s"
    )
    return min(reading, checking), text


@lru_cache(maxsize=256)
def runs(n_galaxies: int, shard_size: int, cluster: Cluster) -> tuple[Outcome, ...]:
    """The same survey under several seeds."""
    return tuple(simulate(n_galaxies, shard_size, cluster, seed) for seed in SEEDS)


def n_gets(n_galaxies: int, shard_size: int) -> int:
    """Requests that reading every cutout of 224 pixels once takes."""
    n_shards = math.ceil(n_galaxies / shard_size)
    return math.ceil(n_galaxies * BYTES_224_PX / RANGE_BYTES) + 2 * n_shards


def rate_table(found: list[Machine]) -> str:
    """Where the rates come from."""
    lines = ["| machine | galaxies/s | dollars an hour | basis |", "|---|---|---|---|"]
    lines += [
        f"| {one.name} | {one.galaxies_per_s:,.0f} | {one.hour:.2f} | {one.basis} |"
        for one in found
    ]
    return "\n".join(lines)


def cost_table(machine: Machine) -> str:
    """Hours and money by survey and number of machines; the middle of the seeds."""
    lines = [
        f"| galaxies | machines ({machine.name}) | hours by arithmetic | hours simulated | "
        "machine-hours paid | dollars | attempts lost | shards missing |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for n_galaxies in SURVEYS:
        gets = n_gets(n_galaxies, SHARD_SIZE) / 1000 * PRICES.thousand_gets
        for n_machines in N_MACHINES:
            cluster = Cluster(n_machines, machine.galaxies_per_s)
            ideal_s = n_galaxies / machine.galaxies_per_s / n_machines
            found = runs(n_galaxies, SHARD_SIZE, cluster)
            ends = sorted(outcome.end_s / 3600 for outcome in found)
            paid = median(outcome.held_s for outcome in found) / 3600
            lost = median(outcome.n_failures + outcome.n_preemptions for outcome in found)
            missing = max(outcome.n_missing for outcome in found)
            lines.append(
                f"| {n_galaxies // 10**6:,} M | {n_machines} | {_brief(ideal_s / 3600)} | "
                f"{_brief(median(ends))} ({_brief(ends[0])} to {_brief(ends[-1])}) | "
                f"{_brief(paid)} | {_brief(paid * machine.hour + gets)} | {lost:,.0f} | {missing} |"
            )
    return "\n".join(lines)


def count_table(rates: Rates) -> str:
    """What else a survey needs: shards, objects, requests, items, workflows, cores, disk."""
    lines = [
        "| galaxies | shards | map items (cut out + predict) | workflows of at most 1,000 | "
        "objects | TB of cutouts | dollars a month | GETs | dollars | core-hours to cut out | "
        "hours to write the catalogue |",
        "|" + "---|" * 11,
    ]
    for n_galaxies in SURVEYS:
        n_shards = math.ceil(n_galaxies / SHARD_SIZE)
        gets = n_gets(n_galaxies, SHARD_SIZE)
        n_bytes = n_galaxies * BYTES_224_PX
        lines.append(
            f"| {n_galaxies // 10**6:,} M | {n_shards:,} | {2 * n_shards:,} | "
            f"{math.ceil(n_shards / Cluster.shards_a_group):,} | {OBJECTS_A_SHARD * n_shards:,} | "
            f"{_brief(n_bytes / 1e12)} | {_brief(n_bytes / 1e9 * PRICES.gigabyte_month)} | "
            f"{gets:,} | {_brief(gets / 1000 * PRICES.thousand_gets)} | "
            f"{_brief(n_galaxies / rates.cut_out_per_s / 3600)} | "
            f"{_brief(n_galaxies / rates.rows_per_s / 3600)} |"
        )
    return "\n".join(lines)


def size_table(machine: Machine, n_galaxies: int = SURVEYS[1], n_machines: int = 16) -> str:
    """How the size of shards matters."""
    lines = [
        f"| galaxies a shard | shards | seconds a shard ({machine.name}) | hours simulated | "
        "machine-hours paid | of which predicting |",
        "|---|---|---|---|---|---|",
    ]
    for shard_size in SHARD_SIZES:
        cluster = Cluster(n_machines, machine.galaxies_per_s)
        found = runs(n_galaxies, shard_size, cluster)
        held, work = (median(getattr(one, name) for one in found) for name in ("held_s", "work_s"))
        lines.append(
            f"| {shard_size:,} | {found[0].n_shards:,} | "
            f"{_brief(shard_size / machine.galaxies_per_s)} | "
            f"{_brief(median(one.end_s for one in found) / 3600)} | {_brief(held / 3600)} | "
            f"{work / held:.0%} |"
        )
    return "\n".join(lines)


def tables(folder: Path = RESULTS) -> dict[str, str]:
    """Every table by name."""
    rates = read_rates(folder)
    found = machines(rates, folder)
    return {
        "rates": rate_table(found),
        "counts": count_table(rates),
        "cores": cost_table(found[0]),
        "gpus": cost_table(found[1]),
        "sizes": size_table(found[1]) + "\n\n" + size_table(found[0]),
    }


def put_into(text: str, found: dict[str, str]) -> str:
    """The document with each table between its two marks."""
    for name, table in found.items():
        pattern = re.compile(rf"(<!-- begin {name} -->\n).*?(\n?<!-- end {name} -->)", re.DOTALL)
        text, n_places = pattern.subn(lambda match: f"{match[1]}{table}\n{match[2].lstrip()}", text)  # noqa: B023
        if n_places != 1:
            raise SystemExit(f"the document needs one '<!-- begin {name} -->', it has {n_places}")
    return text


def _brief(value: float) -> str:
    """Two or three digits that matter."""
    if value == 0 or value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 1 else f"{value:.2g}"


def main() -> None:
    """Print the tables; write them and the figure where asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--document", type=Path, help="Markdown file whose tables are renewed")
    parser.add_argument("--figure", type=Path, help="picture to draw; by default images/scale.png")
    arguments = parser.parse_args()
    found = tables()
    for name, table in found.items():
        print(f"{name}\n\n{table}\n")
    figure = arguments.figure
    if arguments.document:
        text = arguments.document.read_text(encoding="utf-8")
        arguments.document.write_text(put_into(text, found), encoding="utf-8")
        figure = figure or arguments.document.parent / "images" / "scale.png"
    if figure:
        from benchmarks.scale_figure import draw

        draw(*machines(read_rates()), figure)


if __name__ == "__main__":
    main()

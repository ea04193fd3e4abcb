"""The catalogue's job at the scale of a survey: speed, cost of error bars, requests, memory.

One run, paired, on the same images: the whole job against the bare encoder, thirty posterior
samples against one, intervals and mutual information against scipy, Parquet against CSV, the whole
job against five passes of everything, GETs from an S3 server, and memory as the survey grows. On a
machine with an accelerator the networks run there.
"""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.acquisition import measure_information
from benchmarks.catalogue_memory import FEW, MANY, measure_memory
from benchmarks.catalogue_peer import measure_peer
from benchmarks.catalogue_speed import measure_samples, measure_shares
from benchmarks.catalogue_storage import measure_requests
from benchmarks.catalogue_survey import DEVICE, LARGE, SMALL, Jobs, jobs
from benchmarks.catalogue_tables import measure_writing
from benchmarks.harness import Gate, finish, parse_arguments
from benchmarks.posterior import measure_intervals

Measured = tuple[dict[str, object], list[Gate]]


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    n_rounds: int
    n_images: dict[str, int]
    """By case; on a processor the large one takes forty milliseconds an image."""
    n_for_peer: dict[str, int]
    """Images of the comparison with five passes, by case."""


def sizes(is_quick: bool) -> Sizes:
    """Rounds and images, by machine."""
    if DEVICE.type == "cuda":
        n_images, n_rounds = (1024, 3) if is_quick else (8192, 5)
        quarter, half = n_images // 4, n_images // 2
        return Sizes(n_rounds, _by_case(n_images, n_images), _by_case(quarter, half))
    if is_quick:
        return Sizes(2, _by_case(64, 128), _by_case(16, 128))
    return Sizes(5, _by_case(128, 512), _by_case(48, 384))


def _by_case(large: int, small: int) -> dict[str, int]:
    """A number for each network and size."""
    return {LARGE.name: large, SMALL.name: small}


def parts(work: Jobs, is_quick: bool) -> dict[str, Callable[[], Measured]]:
    """What is measured, in the order in which it is."""
    size = sizes(is_quick)
    n_rounds, few_rounds = size.n_rounds, 1 if is_quick else size.n_rounds
    few, many = (FEW // 10, MANY // 10) if is_quick else (FEW, MANY)
    n_for_intervals, n_rows = (60, 8_000) if is_quick else (300, 40_000)
    return {
        "share of the bare encoder": lambda: measure_shares(work, n_rounds, size.n_images),
        "thirty samples": lambda: measure_samples(work, few_rounds, size.n_images),
        "five passes": lambda: measure_peer(work, few_rounds, size.n_for_peer),
        "intervals": lambda: measure_intervals(n_for_intervals, n_rounds),
        "mutual information": lambda: measure_information(n_rounds),
        "writing": lambda: measure_writing(work.folder, n_rows, n_rounds),
        "requests": lambda: measure_requests(*((1, 800) if is_quick else (3, 3_000))),
        "memory": lambda: measure_memory(few, many),
    }


def main() -> None:
    """Measure, compare, judge."""
    arguments = parse_arguments(__doc__ or "")
    size = sizes(arguments.quick)
    figures: dict[str, object] = {"n_images": size.n_images, "n_rounds": size.n_rounds}
    gates: list[Gate] = []
    with jobs(max(size.n_images.values())) as work:
        for name, measure in parts(work, arguments.quick).items():
            print(f"measuring: {name}", flush=True)
            found, found_gates = measure()
            figures |= found
            gates += found_gates
    # A result of each kind of machine is kept beside the other.
    finish("catalogue_gpu" if DEVICE.type == "cuda" else "catalogue", figures, gates, arguments)


if __name__ == "__main__":
    main()

"""What every benchmark shares: paired timing, gates, and one line of JSON at the end.

Run a benchmark from the root of the repository: ``python -m benchmarks.posterior --quick``.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

RESULTS = Path(__file__).parent / "results"
_WITHOUT_EFFECT = ("save", "results", "work")


@dataclass(frozen=True)
class Ratio:
    """How many times faster a candidate is than its baseline, over paired rounds."""

    median: float
    low: float
    high: float
    baseline_s: float
    """Median time of the baseline [s]."""
    candidate_s: float
    """Median time of the candidate [s]."""


@dataclass(frozen=True)
class Gate:
    """A bound on a figure."""

    figure: str
    value: float
    bound: float
    is_minimum: bool
    """The value must be at least the bound, else at most."""

    @property
    def is_passed(self) -> bool:
        """Whether the bound is kept; never by NaN."""
        return self.value >= self.bound if self.is_minimum else self.value <= self.bound


def at_least(figure: str, value: float, bound: float) -> Gate:
    """A gate from below."""
    return Gate(figure, float(value), bound, is_minimum=True)


def at_most(figure: str, value: float, bound: float) -> Gate:
    """A gate from above."""
    return Gate(figure, float(value), bound, is_minimum=False)


def time_pairs(
    baseline: Callable[[], object], candidate: Callable[[], object], n_rounds: int = 5
) -> Ratio:
    """Time both in turn, so that what else the machine does falls on both alike."""
    baseline()
    candidate()
    seconds: list[tuple[float, float]] = []
    for i in range(n_rounds):
        if i % 2:
            second, first = _seconds(candidate), _seconds(baseline)
        else:
            first, second = _seconds(baseline), _seconds(candidate)
        seconds.append((first, second))
    ratios = [first / second for first, second in seconds]
    return Ratio(
        statistics.median(ratios),
        min(ratios),
        max(ratios),
        statistics.median(first for first, _ in seconds),
        statistics.median(second for _, second in seconds),
    )


def hardware() -> dict[str, object]:
    """Processor, threads and versions, without names of machines or people."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = lines[0].split(":", 1)[1].strip() if lines else model
    return {
        "processor": model,
        "n_cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def parse_arguments(description: str) -> argparse.Namespace:
    """``--quick``, ``--save`` and ``--threads``, the same for every benchmark."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="smaller sizes, under a minute")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/<name>.json")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    return arguments


def finish(
    name: str, figures: dict[str, object], gates: list[Gate], arguments: argparse.Namespace
) -> None:
    """Print the result as the last line, store it if asked, and exit with 1 past a gate."""
    options = "".join(f" {text}" for text in _given(arguments))
    program = name.removesuffix("_gpu").removesuffix("_bars")
    plain = {key: _plain(value) for key, value in figures.items()}
    passed = all(gate.is_passed for gate in gates)
    result = {
        "name": name,
        "command": f"python -m benchmarks.{program}{options}",
        "passed": passed,
        "figures": plain,
        "gates": [{**asdict(gate), "is_passed": gate.is_passed} for gate in gates],
        "hardware": hardware(),
    }
    for gate in gates:
        sign = ">=" if gate.is_minimum else "<="
        verdict = "ok" if gate.is_passed else "MISSED"
        print(f"{verdict:6} {gate.figure} = {gate.value:.4g}, must be {sign} {gate.bound:g}")
    if arguments.save:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))
    sys.exit(0 if passed else 1)


def _given(arguments: argparse.Namespace) -> list[str]:
    """The options that were given, less those that change no figure; paths without their place."""
    texts = []
    for name, value in vars(arguments).items():
        if name in _WITHOUT_EFFECT or value in (None, False, []):
            continue
        values = value if isinstance(value, list | tuple) else [value]
        words = [Path(one).name if isinstance(one, str) else str(one) for one in values]
        words = ["FOLDER" if isinstance(value, Path) else word for word in words]
        texts.append(" ".join([f"--{name.replace('_', '-')}", *(() if value is True else words)]))
    return texts


def _seconds(function: Callable[[], object]) -> float:
    """Wall-clock time of one call."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def _plain(value: object) -> object:
    """Numbers that read well; a ratio as its parts."""
    if isinstance(value, Ratio):
        return {key: float(f"{part:.4g}") for key, part in asdict(value).items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value

"""Peak memory of the job on few and on many galaxies, each in a process of its own.

``python -m benchmarks.catalogue_memory SHARD OUTPUT`` is such a process: it predicts one shard,
writes the catalogue, and prints the most memory it ever held.
"""

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch

from benchmarks.catalogue_survey import Case, case_model, posterior, predict, shard_of_noise
from benchmarks.harness import Gate, at_most
from galaxyloop.catalogue import CatalogueProvenance, write_catalogue
from galaxyloop.decision_tree import DecisionTree, Question

GROWTH_GATE = 1.2
IMAGE_SIZE_PX = 16
FEW, MANY = 20_000, 200_000
_BYTES_OF_MAXRSS = 1 if sys.platform == "darwin" else 1024


def measure_memory(few: int = FEW, many: int = MANY) -> tuple[dict[str, object], list[Gate]]:
    """Peak of one shard of many galaxies over the peak of one of few."""
    megabytes = {}
    with tempfile.TemporaryDirectory() as place:
        for n_galaxies in (few, many):
            shard = shard_of_noise(Path(place) / str(n_galaxies), n_galaxies, IMAGE_SIZE_PX)
            output = Path(place) / f"{n_galaxies}.parquet"
            megabytes[n_galaxies] = _peak_of_process(shard, output) / 1e6
    growth = megabytes[many] / megabytes[few]
    name = f"peak_memory_at_{many}_galaxies_over_{few}"
    figures: dict[str, object] = {
        name: growth,
        f"peak_megabytes_at_{few}_galaxies": megabytes[few],
        f"peak_megabytes_at_{many}_galaxies": megabytes[many],
        "megabytes_of_cutouts_beyond": (many - few) * IMAGE_SIZE_PX**2 * 3 / 1e6,
    }
    return figures, [at_most(name, growth, GROWTH_GATE)]


def _peak_of_process(shard: Path, output: Path) -> float:
    """Most bytes that a process predicting the shard held."""
    command = [sys.executable, "-m", "benchmarks.catalogue_memory", str(shard), str(output)]
    root = Path(__file__).parent.parent
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr[-2000:]}")
    return float(json.loads(done.stdout.splitlines()[-1])["peak_bytes"])


def main() -> None:
    """Predict one shard with a cheap network, and write its catalogue."""
    torch.set_num_threads(1)
    shard, output = Path(sys.argv[1]), Path(sys.argv[2])
    questions = (Question("smooth", ("yes", "no")), Question("bar", ("yes", "no")))
    case = Case("resnet_mini", IMAGE_SIZE_PX, 256)
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 16, 3), dtype=np.uint8)
    model = case_model(case, pixels, DecisionTree("short", questions))
    predicted = output.with_suffix(".predictions")
    predict(model, shard, posterior(case, 2, n_grid=16), predicted)
    names = "model_name model_version checkpoint_digest campaign code_version date survey_digest"
    provenance = CatalogueProvenance(**dict.fromkeys(names.split(), "benchmark"))
    write_catalogue([predicted], model.tree, provenance, output)
    print(json.dumps({"peak_bytes": peak_bytes()}))


def peak_bytes() -> int:
    """The most memory that this process ever held.

    Linux's ru_maxrss also knows what the parent held when it started the process; VmHWM does not.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        lines = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(lines[0].split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _BYTES_OF_MAXRSS


if __name__ == "__main__":
    main()

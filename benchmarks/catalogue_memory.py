"""Peak memory of the job on surveys of few and of many galaxies, each in a process of its own.

``python -m benchmarks.catalogue_memory SURVEY`` is such a process: it predicts a survey's shards
one after another, puts the catalogue together with the friendly one, and prints the most memory it
ever held.
"""

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from benchmarks.catalogue_survey import Case, case_model, posterior, predict, shard_of_noise
from benchmarks.harness import Gate, at_most
from galaxyloop.catalogue import CatalogueProvenance, write_catalogue
from galaxyloop.catalogue.friendly import write_friendly_catalogue

GROWTH_GATE = 1.2
IMAGE_SIZE_PX = 16
FEW, MANY = 20_000, 200_000
CHUNK_SIZE = 10_000
_BYTES_OF_MAXRSS = 1 if sys.platform == "darwin" else 1024


def measure_memory(few: int = FEW, many: int = MANY) -> tuple[dict[str, object], list[Gate]]:
    """Peak of a survey of many galaxies over the peak of one of few."""
    megabytes = {}
    with tempfile.TemporaryDirectory() as place:
        for n_galaxies in (few, many):
            survey = _survey_of_noise(Path(place) / str(n_galaxies), n_galaxies)
            megabytes[n_galaxies] = _peak_of_process(survey) / 1e6
    growth = megabytes[many] / megabytes[few]
    name = f"peak_memory_at_{many}_galaxies_over_{few}"
    figures: dict[str, object] = {
        name: growth,
        f"peak_megabytes_at_{few}_galaxies": megabytes[few],
        f"peak_megabytes_at_{many}_galaxies": megabytes[many],
        "galaxies_a_chunk_of_the_memory_test": min(CHUNK_SIZE, few),
    }
    return figures, [at_most(name, growth, GROWTH_GATE)]


def _survey_of_noise(folder: Path, n_galaxies: int) -> Path:
    """Shards of a survey's chunks, and the chunks' tables beside them."""
    for first in range(0, n_galaxies, CHUNK_SIZE):
        n_here = min(CHUNK_SIZE, n_galaxies - first)
        shard = folder / f"shard-{first:09}"
        shard_of_noise(shard, n_here, IMAGE_SIZE_PX, first)
        ids = [f"galaxy-{i:09}" for i in range(first, first + n_here)]
        chunk = pd.DataFrame({"id_str": ids, "image_digest": "none"})
        chunk = chunk.assign(ra_deg=10.0, dec_deg=5.0, is_alive=True)
        chunk.to_parquet(folder / f"chunk-{first:09}.parquet", index=False)
    return folder


def _peak_of_process(survey: Path) -> float:
    """Most bytes that a process making the survey's catalogue held."""
    command = [sys.executable, "-m", "benchmarks.catalogue_memory", str(survey)]
    root = Path(__file__).parent.parent
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr[-2000:]}")
    return float(json.loads(done.stdout.splitlines()[-1])["peak_bytes"])


def main() -> None:
    """Predict the shards with a cheap network, and write their catalogue."""
    torch.set_num_threads(1)
    survey = Path(sys.argv[1])
    case = Case("resnet_mini", IMAGE_SIZE_PX, 256)
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 16, 3), dtype=np.uint8)
    model = case_model(case, pixels)
    predicted = []
    for shard in sorted(survey.glob("shard-*")):
        predicted.append(survey / f"{shard.name}.predictions")
        predict(model, shard, posterior(case, 2, n_grid=16), predicted[-1])
    names = "model_name model_version checkpoint_digest campaign code_version date survey_digest"
    provenance = CatalogueProvenance(**dict.fromkeys(names.split(), "benchmark"))
    catalogue, chunks = survey / "catalogue.parquet", sorted(survey.glob("chunk-*.parquet"))
    write_catalogue(predicted, model.tree, provenance, catalogue, chunks)
    write_friendly_catalogue(catalogue, survey / "friendly.parquet")
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

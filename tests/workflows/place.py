"""Workflows as a person runs them: ``pyflyte run`` in a process of its own."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

PROJECT = Path(__file__).resolve().parents[2]
SMALL = {
    "cutouts": {"image_size_px": 32},
    "vote_checks": {"max_reject_rate": 0.2},
    "ingest": {"chunk_size": 60, "max_image_reject_rate": 0.2},
    "run": {"training": {"epochs": 1, "batch_size": 32, "n_threads": 1}},
    "metrics": {"n_bootstrap": 20},
    "posterior": {"n_samples": 4},
    "calibration": {"min_galaxies": 5},
    "information": {"n_monte_carlo": 20, "max_outcomes": 100},
}


@dataclass
class Place:
    """Where one round's survey, results, store and temporary files lie."""

    root: Path

    def run(self, workflow: str, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        (self.root / "tmp").mkdir(exist_ok=True)
        environment = {
            **os.environ,
            "GALAXYLOOP_STORE": str(self.root / "store"),
            "HOME": str(self.root / "home"),
            "MLFLOW_TRACKING_URI": f"sqlite:///{self.root}/mlflow.db",
            "PYTHONPATH": str(PROJECT),
            "TMPDIR": str(self.root / "tmp"),
            "COLUMNS": "100",
        }
        pyflyte = Path(sys.executable).with_name("pyflyte")
        command = [str(pyflyte), "run", f"workflows/{workflow}.py", name, *arguments]
        return subprocess.run(
            command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=500
        )

    def play(self, **changes: object) -> subprocess.CompletedProcess[str]:
        inputs = {
            "manifest": str(self.root / "survey" / "manifest.csv"),
            "votes": [{"uri": str(self.root / "survey" / "votes.csv"), "campaign": "gz2"}],
            "model_name": "small",
            "output": str(self.root / "round"),
            **SMALL,
            **changes,
        }
        file = self.root / "inputs.yaml"
        file.write_text(yaml.safe_dump(inputs))
        return self.run("campaign", "campaign_round", "--inputs-file", str(file))

    def executed(self) -> dict[str, set[str]]:
        """What the store holds, by kind."""
        kinds = ("cutout-shard", "checkpoint", "evaluation", "prediction")
        return {
            kind: {path.name for path in (self.root / "store" / kind).iterdir()} for kind in kinds
        }

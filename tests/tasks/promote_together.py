"""Several processes that register and promote at once: ``python -m tests.tasks.promote_together``.

Takes a model's name and, as JSON, a list of runs with how good their model is. What they import
they import once; each then is a process of its own, and none begins before all are there.
"""

import json
import os
import sys
import traceback
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier

import mlflow  # noqa: F401 - imported once, for all

from galaxyloop.promotion import PromotionConfig
from tasks import registry
from tests.tasks.fake_versions import evaluation, scores


def main(name: str, offers: list[tuple[str, float]]) -> int:
    """One process an offer; 0 if all went well."""
    context = get_context("fork")
    barrier = context.Barrier(len(offers))
    processes = [context.Process(target=offer, args=(barrier, name, *one)) for one in offers]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return sum(process.exitcode != 0 for process in processes)


def offer(barrier: Barrier, name: str, run_id: str, nats: float) -> None:
    """Register a run's checkpoint and hold it against the champion."""
    barrier.wait()
    try:
        model = registry.register_model(run_id=run_id, name=name, alias="challenger")
        told = registry.promote_model(
            model=model,
            evaluation=evaluation(scores(nats)),
            champion_evaluations=[],
            champion="",
            obstacle="",
            config=PromotionConfig(n_bootstrap=200),
        )
    except Exception:
        traceback.print_exc()
        os._exit(1)
    assert "torch" not in sys.modules
    sys.stdout.write(f"{told}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], json.loads(sys.argv[2])))

"""One round in a process of its own, as ``pyflyte run`` plays it, with a count of what ran.

``python -m benchmarks.rerun_round INPUTS COUNTS`` plays ``campaign_round`` with the inputs of a
YAML file, and writes how often each task's code was called as JSON: a cached result that was found
counts nothing.
"""

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from flytekit.clis.sdk_in_container.pyflyte import main as pyflyte
from flytekit.core.base_task import PythonTask

_execute = PythonTask.dispatch_execute


def main() -> None:
    """Play the round and say what ran."""
    inputs, counts = sys.argv[1:]
    ran: dict[str, Counter[str]] = {"cached": Counter(), "uncached": Counter()}

    def note(task: PythonTask, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401
        ran["cached" if task.metadata.cache else "uncached"][task.name] += 1
        return _execute(task, *arguments, **named)

    PythonTask.dispatch_execute = note
    try:
        round_of = ["workflows/campaign.py", "campaign_round", "--inputs-file", inputs]
        pyflyte(["run", *round_of], standalone_mode=False)
    finally:
        Path(counts).write_text(json.dumps(ran))


if __name__ == "__main__":
    main()

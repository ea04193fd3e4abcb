"""Exports of classifications as Panoptes writes them, row by row."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

HEADER = [
    *("classification_id", "user_name", "user_id", "user_ip"),
    *("workflow_id", "workflow_name", "workflow_version"),
    *("created_at", "gold_standard", "expert", "metadata"),
    *("annotations", "subject_data", "subject_ids"),
]
"""In the order of Panoptes' own code."""
FINISHED = {"started_at": "2026-03-01T10:00:00.000Z", "finished_at": "2026-03-01T10:00:30.000Z"}


def classified(
    number: int, volunteer: str, subject: str, answers: Mapping[str, object], **changes: str
) -> dict[str, str]:
    """One row: who, of which subject, and the value of each task.

    A volunteer whose name begins with ``?`` is not logged in. ``id_str`` is in the subject's
    metadata, hidden by ``#``, and is ``g`` and the subject unless ``galaxy`` says otherwise.
    """
    is_anonymous = volunteer.startswith("?")
    galaxy = changes.pop("galaxy", f"g{subject}")
    data = {subject: {"retired": None, "#id_str": galaxy, "!ra": "1.5"}}
    row = {
        "classification_id": str(number),
        "user_name": f"not-logged-in-{volunteer[1:]}" if is_anonymous else volunteer,
        "user_id": "" if is_anonymous else str(1000 + sum(map(ord, volunteer))),
        "user_ip": "2c61707e96c97a759840",
        "workflow_id": "10581",
        "workflow_name": "Galaxy Zoo",
        "workflow_version": "66.425",
        "created_at": f"2026-03-01 10:{number % 60:02}:00 UTC",
        "gold_standard": "",
        "expert": "",
        "metadata": json.dumps(FINISHED),
        "annotations": json.dumps(
            [{"task": task, "task_label": "?", "value": value} for task, value in answers.items()]
        ),
        "subject_data": json.dumps(data),
        "subject_ids": subject,
    }
    return row | changes


def write_export(rows: Sequence[Mapping[str, str]], path: Path) -> str:
    """The rows as a csv file; its path as text."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, HEADER)
        writer.writeheader()
        writer.writerows(rows)
    return str(path)

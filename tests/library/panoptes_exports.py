"""Exports of classifications as Panoptes writes them, row by row."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from galaxyloop.decision_tree import DecisionTree

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
        "user_id": "" if is_anonymous else str(int.from_bytes(volunteer.encode(), "big")),
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


def walk_down(tree: DecisionTree, rng: np.random.Generator) -> dict[str, str]:
    """The labels that a volunteer gives who answers at random, by task; T0 is the first question.

    Labels are the answers' names in words: ``Cigar shaped``.
    """
    given: set[str] = set()
    answers: dict[str, str] = {}
    for number, question in enumerate(tree.questions):
        if not question.asked_after or given.intersection(question.asked_after):
            answer = str(rng.choice(question.answers))
            given.add(f"{question.name}_{answer}")
            answers[f"T{number}"] = answer.replace("-", " ").capitalize()
    return answers


def classify_subjects(
    manifest: Path, tree: DecisionTree, n_volunteers: Sequence[int], path: Path
) -> str:
    """An export of a subject set's classifications by volunteers who answer at random.

    Args:
        manifest: of the subject set; its columns but the file are the subjects' metadata.
        tree: the workflow's questions.
        n_volunteers: who classify each subject.
        path: the export.
    """
    rng, rows = np.random.default_rng(1), list[dict[str, str]]()
    with manifest.open(newline="", encoding="utf-8") as file:
        subjects = list(csv.DictReader(file))
    for number, (subject, n_seen) in enumerate(zip(subjects, n_volunteers, strict=True)):
        metadata = {name: value for name, value in subject.items() if name != "file"}
        data = {str(5000 + number): {"retired": None, **metadata}}
        for volunteer in range(n_seen):
            row = classified(
                len(rows), f"v{volunteer:03}", str(5000 + number), walk_down(tree, rng)
            )
            rows.append(row | {"subject_data": json.dumps(data)})
    return write_export(rows, path)

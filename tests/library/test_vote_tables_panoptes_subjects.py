"""Ids of subjects come from their metadata exactly, or not at all."""

import json
from pathlib import Path

import pandas as pd
import pytest

from galaxyloop.errors import VoteTableError
from galaxyloop.vote_tables.panoptes_subjects import SubjectIds, find_subject_ids


def ids_of(directory: Path, key: str, *metadata: str) -> SubjectIds:
    """What subjects 0, 1, ... of an export are called."""
    subjects = [str(number) for number in range(len(metadata))]
    table = pd.DataFrame({"subject_id": subjects, "metadata": metadata, "locations": "{}"})
    table.to_csv(directory / "subjects.csv", index=False)
    return find_subject_ids(str(directory / "subjects.csv"), key, set(subjects))


@pytest.mark.parametrize("name", ["id_str", "#id_str", "!id_str", "//id_str"])
@pytest.mark.parametrize("key", ["id_str", "#id_str", "!id_str"])
def test_find_subject_ids__knows_the_key_with_any_mark(name: str, key: str, tmp_path: Path) -> None:
    assert ids_of(tmp_path, key, json.dumps({name: "J000411.19+020924.0"})).ids == {
        "0": "J000411.19+020924.0"
    }


def test_find_subject_ids__keeps_all_digits_and_shows_floats_as_floats(tmp_path: Path) -> None:
    found = ids_of(tmp_path, "id", '{"id": 9007199254740993}', '{"id": 7.0}', '{"id": "007"}')
    assert found.ids == {"0": "9007199254740993", "1": "7.0", "2": "007"}


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ("", "no JSON object"),
        ("{'id': 1}", "no JSON object"),
        ("[1]", "no JSON object"),
        ("[" * 100_000, "no JSON object"),
        ('{"id": ' + "9" * 5000 + "}", "no JSON object"),
        ('{"id": null}', "no id under 'id'"),
        ('{"id": ""}', "no id under 'id'"),
        ('{"id": true}', "no id under 'id'"),
        ('{"ID": "1"}', "no id under 'id'"),
        ('{"#id": "1", "!id": "2"}', "several ids under 'id'"),
        ('{"#id": "ab\\ud800"}', "the id under 'id' has half a character"),
    ],
)
def test_find_subject_ids__says_why_a_subject_has_no_id(
    metadata: str, reason: str, tmp_path: Path
) -> None:
    found = ids_of(tmp_path, "id", metadata)
    assert found.ids == {}
    assert reason in found.problems["0"]


def test_find_subject_ids__prefers_the_key_as_it_is_written(tmp_path: Path) -> None:
    assert ids_of(tmp_path, "!id", '{"#id": "1", "!id": "2"}').ids == {"0": "2"}
    assert ids_of(tmp_path, "id", '{"#id": "1", "!id": "1"}').ids == {"0": "1"}


def test_find_subject_ids__refuses_another_table(tmp_path: Path) -> None:
    pd.DataFrame({"subject_id": [1], "ra": [2]}).to_csv(tmp_path / "s.csv", index=False)
    with pytest.raises(VoteTableError, match="no column metadata .it has subject_id, ra.; give"):
        find_subject_ids(str(tmp_path / "s.csv"), "id", {"1"})

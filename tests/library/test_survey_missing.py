"""Chunks that gave nothing: told, refused, tabulated."""

from pathlib import Path

import pandas as pd
import pytest

from galaxyloop.errors import MissingChunksError
from galaxyloop.surveys import IngestConfig, SurveyVersion, version_survey
from galaxyloop.surveys.missing import (
    CUTTING_OUT,
    PREDICTION,
    UNTOLD,
    check_missing,
    find_missing,
    tabulate_missing,
)


@pytest.fixture
def survey(tmp_path: Path) -> SurveyVersion:
    """Four chunks of three galaxies."""
    names = [f"g{number:02}" for number in range(12)]
    rows = pd.DataFrame(
        {
            "id_str": names,
            "image_uri": names,
            "ra_deg": 10.0,
            "dec_deg": -5.0,
            "survey": "toy",
            "group_id": names,
        }
    )
    config = IngestConfig(chunk_size=3, fingerprint="uri")
    return version_survey(rows, config, None, tmp_path / "version")


def test_find_missing__tells_chunks_with_their_galaxies_and_why(survey: SurveyVersion) -> None:
    first, second, third, fourth = survey.chunks
    is_done, reasons = [True, False, True, False], ["", "no such file", "", ""]
    missing = find_missing(survey, survey.chunks, is_done, (CUTTING_OUT, reasons))
    assert [(one.chunk, one.n_galaxies, one.step, one.reason) for one in missing] == [
        (second, 3, CUTTING_OUT, "no such file"),
        (fourth, 3, CUTTING_OUT, UNTOLD),
    ]
    assert find_missing(survey, survey.chunks, [True] * 4, (PREDICTION, [""] * 4)) == []


def test_check_missing__names_the_chunk_and_the_remedy(survey: SurveyVersion) -> None:
    missing = find_missing(
        survey,
        survey.chunks,
        [True, False, True, True],
        (PREDICTION, ["", "out of memory", "", ""]),
    )
    with pytest.raises(MissingChunksError) as caught:
        check_missing(missing, 4, allow_missing=False)
    message = str(caught.value)
    assert message.startswith(
        f"1 of 4 chunks failed: chunk {survey.chunks[1][:12]} (3 galaxies), prediction: out of "
        "memory. The others are kept"
    )
    assert "set allow_missing for a catalogue without them" in message
    assert caught.value.chunks == [survey.chunks[1]]
    assert caught.value.n_galaxies == 3
    check_missing(missing, 4, allow_missing=True)
    check_missing([], 4, allow_missing=False)


def test_check_missing__shows_a_few_of_many_and_never_lets_all_be_missing(
    survey: SurveyVersion,
) -> None:
    missing = find_missing(survey, survey.chunks, [False] * 4, (PREDICTION, ["why"] * 4))
    with pytest.raises(MissingChunksError, match="4 of 4 chunks failed: .*; and 1 more") as caught:
        check_missing(missing, 4, allow_missing=True)
    assert "allow_missing" not in str(caught.value)


def test_tabulate_missing__lists_every_galaxy(survey: SurveyVersion) -> None:
    missing = find_missing(
        survey, survey.chunks, [True, False, False, True], ("x", ["", "a", "b", ""])
    )
    table = tabulate_missing(survey, missing)
    assert table["id_str"].tolist() == [f"g{number:02}" for number in range(3, 9)]
    assert table["reason"].tolist() == ["a"] * 3 + ["b"] * 3
    assert (table["ra_deg"] == 10).all()
    assert list(tabulate_missing(survey, []).columns) == list(table.columns)

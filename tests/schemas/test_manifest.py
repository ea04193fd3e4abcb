"""The manifest's table."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galaxyloop.errors import ManifestError
from galaxyloop.surveys import IngestConfig, judge_rows, read_manifest
from schemas.manifest import judge_manifest

TEXT = st.sampled_from(["a", "b", "", " ", " c", "d ", "5.87e+17", "587.0", " 1e+3"])
TEXT |= st.sampled_from(["nan", " NaN", "None", "null", "<NA>", "a\nb", "a\x00", "\u2028", "naN1"])
GROUP = st.sampled_from(["g", "h", "5.87e+17", "g\th"])
ANGLE = st.sampled_from([np.nan, 0.0, -0.1, 90.0, 90.1, -90.0, 360.0, 361.0, np.inf])


def rows_of(**columns: list[object]) -> pd.DataFrame:
    good = {
        "id_str": ["a", "b"],
        "image_uri": ["a.jpg", "b.jpg"],
        "ra_deg": [1.0, np.nan],
        "dec_deg": [2.0, np.nan],
        "survey": ["s", "s"],
        "group_id": ["a", "b"],
    }
    return pd.DataFrame(good | columns)


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.tuples(TEXT, TEXT, ANGLE, ANGLE, GROUP), min_size=1, max_size=6))
def test_judge_manifest__agrees_with_the_library(
    rows: list[tuple[str, str, float, float, str]],
) -> None:
    columns = ["id_str", "image_uri", "ra_deg", "dec_deg", "group_id"]
    frame = pd.DataFrame(rows, columns=columns).assign(survey="s")
    frame = frame.astype(
        {"id_str": str, "image_uri": str, "group_id": str, "ra_deg": float, "dec_deg": float}
    )
    frame.index += 10
    found = [
        set(judge(frame)[["row", "column", "value", "reason"]].itertuples(index=False, name=None))
        for judge in (judge_manifest, judge_rows)
    ]
    assert found[0] == found[1]


def test_judge_manifest__finds_nothing_in_good_rows() -> None:
    assert len(judge_manifest(rows_of())) == 0


def test_judge_manifest__refuses_other_columns_and_types() -> None:
    with pytest.raises(ManifestError, match="exactly the columns id_str.*'extra'"):
        judge_manifest(rows_of(extra=[1, 2]))
    with pytest.raises(ManifestError, match="in their types"):
        judge_manifest(rows_of(ra_deg=["1", "2"]))


def test_read_manifest__gives_good_rows_once_under_the_schemas_judgement(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text(
        "id_str,image_uri,ra_deg,dec_deg\na,a.jpg,1,2\na,b.jpg,1,2\nc,c.jpg,400,2\nd,d.jpg,,\n"
    )
    manifest = read_manifest(
        str(tmp_path / "m.csv"), IngestConfig(max_reject_rate=1.0), judge_manifest
    )
    assert judge_manifest(manifest.galaxies).empty
    assert manifest.galaxies["id_str"].tolist() == ["a", "d"]
    assert manifest.rejects["row"].tolist() == [1, 2]

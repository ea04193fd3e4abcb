"""What changed between two catalogues: galaxies that came, went, or have another image."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from galaxyloop.catalogue import list_changes, write_changes
from galaxyloop.catalogue.changes import iterate_changes
from galaxyloop.surveys import versions
from tests.library.catalogue_tables import make_survey


def test_list_changes__names_who_came_went_and_has_another_image(tmp_path: Path) -> None:
    images = {f"g{i}": f"{i}.png" for i in range(8)}
    before = make_survey(tmp_path / "before", images)
    grown = {**images, "g2": "new.png", "g9": "9.png"}
    del grown["g5"]
    now = make_survey(tmp_path / "now", grown, before)
    changes = list_changes(before, now)
    assert changes.to_numpy().tolist() == [["g2", "changed"], ["g5", "removed"], ["g9", "added"]]
    counts = write_changes(before, now, tmp_path / "changes.parquet")
    assert counts == {"added": now.n_added, "changed": now.n_changed, "removed": now.n_removed}
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "changes.parquet"), changes)


def test_list_changes__finds_none_in_the_same_galaxies_in_other_chunks(tmp_path: Path) -> None:
    images = {f"g{i}": f"{i}.png" for i in range(8)}
    parts = make_survey(tmp_path / "first", {"g0": "0.png"})
    parts = make_survey(tmp_path / "second", images, parts)
    anew = make_survey(tmp_path / "anew", images)
    assert set(parts.chunks) != set(anew.chunks)
    assert list_changes(parts, anew).empty
    assert tuple(list_changes(parts, anew)) == ("id_str", "change")
    assert not any(write_changes(parts, anew, tmp_path / "changes.parquet").values())


def test_list_changes__counts_all_as_added_to_nothing(tmp_path: Path) -> None:
    now = make_survey(tmp_path / "now", {"b": "1", "a": "2"})
    assert list_changes(None, now).to_numpy().tolist() == [["a", "added"], ["b", "added"]]


@pytest.mark.parametrize("batch_rows", [1, 3, 1000])
@pytest.mark.parametrize("seed", range(3))
def test_iterate_changes__equals_a_look_at_every_galaxy(
    seed: int, batch_rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(versions, "_BATCH_ROWS", batch_rows)
    rng = np.random.default_rng(seed)
    names = ["a", "B", "g", "g1", "g10", "g2", "ä", "𝛼", "\uff5e", *(f"h{i}" for i in range(16))]
    before = make_survey(
        tmp_path / "before", dict.fromkeys(rng.permutation(names).tolist()[:20], "1")
    )
    images = {name: str(rng.integers(2)) for name in rng.permutation(names).tolist()[:20]}
    now = make_survey(tmp_path / "now", images, before)
    missing_before, missing = before.chunks[seed : seed + 2], now.chunks[:seed]
    then, today = (
        {
            id_str: digest
            for chunk in version.chunks
            if chunk not in lost
            for id_str, digest in version.alive_in(chunk).items()
        }
        for version, lost in ((before, missing_before), (now, missing))
    )
    expected = [
        *((name, "added") for name in today.keys() - then.keys()),
        *((name, "removed") for name in then.keys() - today.keys()),
        *((name, "changed") for name in today.keys() & then.keys() if then[name] != today[name]),
    ]
    found = pd.concat(iterate_changes(before, now, missing_before, missing))
    assert list(found.itertuples(index=False, name=None)) == sorted(expected)

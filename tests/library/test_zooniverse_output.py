"""A selection takes its place whole, and never that of other things."""

from pathlib import Path

import fsspec
import pytest

from galaxyloop.errors import ConfigError, SubjectSetError
from galaxyloop.zooniverse.output import check_apart, check_place, whole_selection
from tests.library.object_store import new_bucket, put


def test_whole_selection__replaces_a_selection_whole(tmp_path: Path) -> None:
    place = tmp_path / "asked"
    for text in ("first", "second"):
        check_place(str(place))
        with whole_selection(str(place)) as draft:
            (draft / "selection.json").write_text(text)
            (draft / f"{text}.txt").write_text(text)
    assert sorted(path.name for path in place.iterdir()) == ["second.txt", "selection.json"]

    with pytest.raises(SubjectSetError):
        _fail_in(place)
    assert (place / "selection.json").read_text() == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["asked"]


def _fail_in(place: Path) -> None:
    with whole_selection(str(place)) as draft:
        (draft / "selection.json").write_text("third")
        raise SubjectSetError("it fails")


def test_whole_selection__replaces_what_lies_at_an_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with new_bucket(monkeypatch) as bucket:
        for text in ("first", "second"):
            check_place(f"{bucket}/asked")
            with whole_selection(f"{bucket}/asked") as draft:
                (draft / "subject_set").mkdir()
                (draft / "subject_set" / f"{text}.jpg").write_text(text)
                (draft / "selection.json").write_text(text)
        filesystem = fsspec.filesystem("s3")
        filesystem.invalidate_cache()
        found = [path.split("/", 1)[1] for path in filesystem.find(bucket)]
        assert found == ["asked/selection.json", "asked/subject_set/second.jpg"]
        put(bucket, {"thesis/thesis.tex": b"much work"})
        with pytest.raises(ConfigError, match="a folder of its own"):
            check_place(f"{bucket}/thesis")


def test_check_place__refuses_a_folder_of_other_things(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("much work")
    with pytest.raises(ConfigError, match=r"holds thesis\.tex and no selection\.json"):
        check_place(str(tmp_path))
    check_place(str(tmp_path / "new"))


def test_check_apart__refuses_an_earlier_batch_in_the_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "asked" / "subject_set").mkdir(parents=True)
    for name in ("ask_next.csv", "subject_set/manifest.csv"):
        (tmp_path / "asked" / name).write_text("id_str")
    (tmp_path / "link").symlink_to(tmp_path / "asked")
    monkeypatch.chdir(tmp_path)
    for output, earlier in (
        ("asked", "asked/ask_next.csv"),
        ("asked/", f"{tmp_path}/asked/subject_set/manifest.csv"),
        ("link", "asked/ask_next.csv"),
        ("asked", f"file://{tmp_path}/link/ask_next.csv"),
        ("asked", "asked/*.csv"),
        (str(tmp_path / "asked"), "*/ask_next.csv"),
        ("s3://survey/asked", "s3://survey/asked/ask_next.csv"),
    ):
        with pytest.raises(ConfigError, match="lies in output .* an output folder of its own"):
            check_apart(output, ["s3://survey/other.csv", earlier])


def test_check_apart__takes_batches_beside_the_output(tmp_path: Path) -> None:
    for name in ("asked-1", "asked-2"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "ask_next.csv").write_text("id_str")
    earlier = [str(tmp_path / "asked-*" / "ask_next.csv"), "s3://survey/asked-1/ask_next.csv"]
    check_apart(str(tmp_path / "asked-3"), earlier)
    check_apart("s3://survey/asked", earlier)
    check_apart("anywhere", [])

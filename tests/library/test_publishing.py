"""Catalogues in their place, on disk and in an object store."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from galaxyloop.errors import StorageError
from galaxyloop.publishing import (
    RECORD,
    CatalogueRecord,
    fetch,
    find_standing,
    find_survey,
    publish_products,
    publish_tree,
    read_record,
)
from tests.library.object_store import new_bucket, note_requests

WANTED = CatalogueRecord(survey_digest="s" * 64, checkpoint_digests=["c" * 64], settings="{}")


@pytest.fixture(params=["disk", "store"])
def output(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    if request.param == "disk":
        yield str(tmp_path / "output")
    else:
        with new_bucket(monkeypatch) as bucket:
            yield f"{bucket}/catalogues/toy/"


def files(output: str) -> dict[str, str]:
    filesystem, path = fsspec.core.url_to_fs(output)
    filesystem.invalidate_cache()
    found = filesystem.find(path)
    return {
        name.removeprefix(path.rstrip("/") + "/"): filesystem.cat_file(name).decode()
        for name in found
    }


def products(root: Path, **contents: str) -> Path:
    """A catalogue with what belongs to it; ``__`` stands for a folder, ``_parquet`` for an end."""
    for name, content in contents.items():
        path = root / name.replace("__", "/").replace("_parquet", ".parquet")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def survey(root: Path, *chunks: str, digest: str = WANTED.survey_digest) -> Path:
    (root / "chunks").mkdir(parents=True)
    (root / "survey.json").write_text(json.dumps({"digest": digest, "chunks": chunks}))
    for chunk in chunks:
        (root / "chunks" / f"{chunk}.parquet").write_text(chunk)
    return root


def test_publish_products__replaces_what_stood_there(output: str, tmp_path: Path) -> None:
    first = products(tmp_path / "first", catalogue_parquet="1", hats__a="1", hats__b="1", fits="1")
    second = products(tmp_path / "second", catalogue_parquet="2", hats__b="2")
    publish_products(first, survey(tmp_path / "s1", "x", "y"), output, WANTED)
    assert {"hats/a", "fits", "survey/chunks/x.parquet", RECORD} <= set(files(output))
    place = publish_products(second, survey(tmp_path / "s2", "y", "z"), output, WANTED)
    assert place == f"{output.rstrip('/')}/catalogue.parquet"
    after = files(output)
    record = json.loads(after.pop(RECORD))
    assert json.loads(after.pop("survey/survey.json"))["chunks"] == ["y", "z"]
    assert after == {
        "catalogue.parquet": "2",
        "hats/b": "2",
        "survey/chunks/y.parquet": "y",
        "survey/chunks/z.parquet": "z",
    }
    assert record["files"] == ["catalogue.parquet", "hats"]


def test_publish_products__leaves_alone_what_is_not_its_own(output: str, tmp_path: Path) -> None:
    publish_tree(products(tmp_path / "mine", notes="mine"), f"{output.rstrip('/')}/mine")
    made = products(tmp_path / "made", catalogue_parquet="1")
    publish_products(made, survey(tmp_path / "s"), output, WANTED)
    publish_products(made, survey(tmp_path / "t"), output, WANTED)
    assert files(output)["mine/notes"] == "mine"


def test_find_standing__wants_the_same_galaxies_models_and_settings(
    output: str, tmp_path: Path
) -> None:
    assert find_standing(output, WANTED) is None
    assert find_survey(output) == ""
    made = products(tmp_path / "made", catalogue_parquet="1")
    publish_products(made, survey(tmp_path / "s"), output, WANTED)
    found = find_standing(output, WANTED)
    assert found is not None
    assert found.key() == WANTED.key()
    assert find_survey(output) == f"{output.rstrip('/')}/survey"
    for change in (
        {"survey_digest": "other"},
        {"checkpoint_digests": ["c" * 64, "d" * 64]},
        {"settings": '{"n": 1}'},
    ):
        assert find_standing(output, dataclasses.replace(WANTED, **change)) is None


def test_find_standing__wants_all_files_and_no_gaps(output: str, tmp_path: Path) -> None:
    made = products(tmp_path / "made", catalogue_parquet="1", fits="1")
    partial = dataclasses.replace(WANTED, n_missing=3)
    publish_products(made, survey(tmp_path / "s"), output, partial)
    assert find_standing(output, WANTED) is None
    publish_products(made, survey(tmp_path / "t"), output, WANTED)
    filesystem, path = fsspec.core.url_to_fs(f"{output.rstrip('/')}/fits")
    filesystem.rm(path)
    assert find_standing(output, WANTED) is None


def test_publish_products__cut_short_is_not_finished(output: str, tmp_path: Path) -> None:
    made = products(tmp_path / "made", catalogue_parquet="1")
    publish_products(made, survey(tmp_path / "s"), output, WANTED)
    now = dataclasses.replace(WANTED, survey_digest="n" * 64)
    with pytest.raises(StorageError, match="is left as it is"):
        # The new survey version is gone, so the run ends after the catalogue was replaced.
        publish_products(made, tmp_path / "nothing", output, now)
    assert find_standing(output, now) is None
    # The next run begins from the old survey version.
    kept = json.loads(files(output)["survey/survey.json"])
    assert kept["digest"] == WANTED.survey_digest
    assert find_survey(output).endswith("/survey")


def test_publish_products__first_takes_the_record_away(output: str, tmp_path: Path) -> None:
    made = products(tmp_path / "made", catalogue_parquet="1")
    publish_products(made, survey(tmp_path / "s"), output, WANTED)
    (made / "catalogue.parquet").unlink()
    (made / "catalogue.parquet").symlink_to(tmp_path / "nothing")
    with pytest.raises(StorageError):
        publish_products(made, survey(tmp_path / "t"), output, WANTED)
    assert read_record(output) is None


def test_read_record__of_another_code_is_none(tmp_path: Path) -> None:
    (tmp_path / RECORD).write_text('{"something": "else"}')
    assert read_record(str(tmp_path)) is None


def test_publish_tree__writes_the_named_file_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with new_bucket(monkeypatch) as bucket:
        requests = note_requests(monkeypatch)
        publish_tree(survey(tmp_path / "s", "x", "y"), f"{bucket}/survey", last="survey.json")
    written = [line.split("?")[0].rsplit("/", 1)[-1] for line in requests if "PUT" in line]
    assert sorted(written[:-1]) == ["x.parquet", "y.parquet"]
    assert written[-1] == "survey.json"


def test_fetch__brings_back_what_was_published(output: str, tmp_path: Path) -> None:
    made = products(tmp_path / "made", catalogue_parquet="1", hats__a="2")
    publish_products(made, survey(tmp_path / "s", "x"), output, WANTED)
    place = output.rstrip("/")
    assert fetch(f"{place}/catalogue.parquet", tmp_path / "copy.parquet").read_text() == "1"
    copy = fetch(f"{place}/survey", tmp_path / "copied")
    assert (copy / "chunks" / "x.parquet").read_text() == "x"
    assert (copy / "survey.json").is_file()
    with pytest.raises(StorageError, match="give the output of a catalogue"):
        fetch(f"{place}/nothing", tmp_path / "nothing")

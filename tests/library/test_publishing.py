"""Catalogues in their place, on disk and in an object store."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from galaxyloop.errors import CatalogueError, StorageError
from galaxyloop.publishing import (
    POINTER,
    CatalogueRecord,
    fetch,
    find_standing,
    find_surveys,
    keep_survey,
    publish_products,
    publish_tree,
    read_record,
)
from tests.library.object_store import new_bucket, note_requests

WANTED = CatalogueRecord(survey_digest="a" * 64, checkpoint_digests=["c" * 64], settings="{}")
LATER = dataclasses.replace(WANTED, survey_digest="b" * 64)
FIRST, SECOND = f"survey-{'a' * 12}", f"survey-{'b' * 12}"


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as monkeypatch, new_bucket(monkeypatch) as bucket:
        yield bucket


@pytest.fixture(params=["disk", "store"])
def output(request: pytest.FixtureRequest, tmp_path: Path, bucket: str) -> str:
    root = tmp_path if request.param == "disk" else f"{bucket}/{tmp_path.name}"
    return f"{root}/output/"


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


@pytest.fixture
def standing(output: str, tmp_path: Path) -> str:
    """The place of a catalogue with two products, of a survey of two chunks."""
    made = products(tmp_path / "made", catalogue_parquet="1", hats__a="1", hats__b="1", fits="1")
    publish_products(made, survey(tmp_path / "s1", "x", "y"), output, WANTED)
    return output


def test_publish_products__replaces_what_stood_there(standing: str, tmp_path: Path) -> None:
    assert {"hats/a", "fits", f"{FIRST}/chunks/x.parquet", POINTER} <= set(files(standing))
    second = products(tmp_path / "second", catalogue_parquet="2", hats__b="2")
    later = survey(tmp_path / "s2", "y", "z", digest=LATER.survey_digest)
    place = publish_products(second, later, standing, LATER)
    assert place == f"{standing.rstrip('/')}/catalogue.parquet"
    after = files(standing)
    record = json.loads(after.pop(POINTER))
    assert json.loads(after.pop(f"{SECOND}/survey.json"))["chunks"] == ["y", "z"]
    assert after == {
        "catalogue.parquet": "2",
        "hats/b": "2",
        f"{SECOND}/chunks/y.parquet": "y",
        f"{SECOND}/chunks/z.parquet": "z",
    }
    assert [file["name"] for file in record["files"]] == ["catalogue.parquet", "hats"]
    assert [file["n_bytes"] for file in record["files"]] == [1, 1]


def test_publish_products__leaves_alone_what_is_not_its_own(standing: str, tmp_path: Path) -> None:
    mine = products(tmp_path / "mine", notes="mine")
    for name in ("mine", "survey-of-mine"):
        publish_tree(mine, f"{standing.rstrip('/')}/{name}")
    made = products(tmp_path / "again", catalogue_parquet="1")
    later = survey(tmp_path / "s2", digest=LATER.survey_digest)
    publish_products(made, later, standing, LATER)
    left = files(standing)
    assert left["mine/notes"] == left["survey-of-mine/notes"] == "mine"


def test_find_standing__wants_the_same_galaxies_models_and_settings(standing: str) -> None:
    before = files(standing)
    assert find_standing(standing, WANTED) == read_record(standing) == WANTED
    for change in (
        {"survey_digest": "other"},
        {"checkpoint_digests": ["c" * 64, "d" * 64]},
        {"settings": '{"n": 1}'},
    ):
        assert find_standing(standing, dataclasses.replace(WANTED, **change)) is None
    assert files(standing) == before


def test_find_standing__wants_every_file_as_it_was(standing: str) -> None:
    filesystem, root = fsspec.core.url_to_fs(standing.rstrip("/"))
    for name, other in (
        ("catalogue.parquet", b"2"),  # of the same size
        ("catalogue.parquet", b""),
        ("hats/b", b"longer"),
        ("fits", None),
        (f"{FIRST}/survey.json", None),
        (f"{FIRST}/survey.json", b"{}"),
    ):
        path = f"{root}/{name}"
        content = filesystem.cat_file(path)
        if other is None:
            filesystem.rm(path)
        else:
            filesystem.pipe_file(path, other)
        assert find_standing(standing, WANTED) is None, (name, other)
        filesystem.pipe_file(path, content)
        assert find_standing(standing, WANTED) == WANTED


def test_find_standing__wants_no_gaps(output: str, tmp_path: Path) -> None:
    assert find_standing(output, WANTED) is None
    made = products(tmp_path / "made", catalogue_parquet="1")
    partial = dataclasses.replace(WANTED, n_missing=3)
    publish_products(made, survey(tmp_path / "s"), output, partial)
    assert find_standing(output, WANTED) is None
    assert read_record(output).n_missing == 3


def test_keep_survey__is_grown_from_while_the_catalogue_before_stands(
    standing: str, tmp_path: Path
) -> None:
    place = standing.rstrip("/")
    before = files(standing)
    assert find_surveys(standing) == (f"{place}/{FIRST}", f"{place}/{FIRST}")
    later = survey(tmp_path / "later", "y", digest=LATER.survey_digest)
    keep_survey(later, LATER.survey_digest, standing)
    assert find_surveys(standing) == (f"{place}/{SECOND}", f"{place}/{FIRST}")
    assert find_standing(standing, WANTED) == WANTED
    now = files(standing)
    assert {name: now[name] for name in before if name != POINTER} == {
        name: content for name, content in before.items() if name != POINTER
    }


def test_keep_survey__of_a_first_run_is_all_there_is(output: str, tmp_path: Path) -> None:
    assert find_surveys(output) == ("", "")
    keep_survey(survey(tmp_path / "s", "x"), WANTED.survey_digest, output)
    assert find_surveys(output) == (f"{output.rstrip('/')}/{FIRST}", "")
    assert find_standing(output, WANTED) is None
    with pytest.raises(CatalogueError, match="holds no finished catalogue"):
        read_record(output)


def test_keep_survey__refuses_to_take_the_place_of_another_than_was_read(
    standing: str, tmp_path: Path
) -> None:
    read, _ = find_surveys(standing)
    later = survey(tmp_path / "later", "y", digest=LATER.survey_digest)
    keep_survey(later, LATER.survey_digest, standing)
    merged = survey(tmp_path / "merged", "xy", digest="c" * 64)
    before = find_surveys(standing)
    with pytest.raises(StorageError, match=f"{FIRST} is no longer the survey version"):
        keep_survey(merged, "c" * 64, standing, base=read)
    assert find_surveys(standing) == before
    keep_survey(merged, "c" * 64, standing, base=before[0])
    assert find_surveys(standing)[0].endswith("survey-" + "c" * 12)


def test_keep_survey__leaves_a_whole_version_as_it_is_and_mends_another(
    standing: str, tmp_path: Path
) -> None:
    moved = survey(tmp_path / "moved", "elsewhere")
    keep_survey(moved, WANTED.survey_digest, standing)
    assert f"{FIRST}/chunks/x.parquet" in files(standing)
    filesystem, path = fsspec.core.url_to_fs(f"{standing.rstrip('/')}/{FIRST}/survey.json")
    filesystem.rm(path)
    assert find_surveys(standing) == ("", "")
    keep_survey(moved, WANTED.survey_digest, standing)
    left = {name for name in files(standing) if name.startswith(FIRST)}
    assert left == {f"{FIRST}/survey.json", f"{FIRST}/chunks/elsewhere.parquet"}


def test_read_record__of_another_code_is_none(tmp_path: Path) -> None:
    (tmp_path / POINTER).write_text('{"something": "else"}')
    with pytest.raises(CatalogueError, match="build it first"):
        read_record(str(tmp_path))


def test_publish_tree__writes_the_named_file_last(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests = note_requests(monkeypatch)
    publish_tree(survey(tmp_path / "s", "x", "y"), f"{bucket}/survey", last="survey.json")
    written = [line.split("?")[0].rsplit("/", 1)[-1] for line in requests if "PUT" in line]
    assert sorted(written[:-1]) == ["x.parquet", "y.parquet"]
    assert written[-1] == "survey.json"


def test_publish_tree__refuses_what_is_gone(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="nothing is gone"):
        publish_tree(tmp_path / "nothing", str(tmp_path / "there"))


def test_fetch__brings_back_what_was_published(standing: str, tmp_path: Path) -> None:
    place = standing.rstrip("/")
    assert fetch(f"{place}/catalogue.parquet", tmp_path / "copy.parquet").read_text() == "1"
    copy = fetch(f"{place}/{FIRST}", tmp_path / "copied")
    assert (copy / "chunks" / "x.parquet").read_text() == "x"
    assert (copy / "survey.json").is_file()
    with pytest.raises(StorageError, match="give the output of a catalogue"):
        fetch(f"{place}/nothing", tmp_path / "nothing")

"""A survey that grows, from its manifest to the counts of the report."""

import dataclasses
from pathlib import Path

import pandas as pd
import pytest

from galaxyloop.cutout_checks import check_rejects
from galaxyloop.cutouts import CutoutConfig, cut_out_chunk
from galaxyloop.decision_tree import DecisionTree, Question
from galaxyloop.errors import ReportError, ShardError, TooManyRejectsError
from galaxyloop.report.content import ReportContent
from galaxyloop.report.gathering import count_intake
from galaxyloop.shards import CutoutCollection, CutoutShard
from galaxyloop.storage import whole_directory
from galaxyloop.surveys import IngestConfig, SurveyVersion, read_manifest, version_survey
from galaxyloop.vote_tables import VoteSummary
from tests.library.image_files import galaxy_pixels, good_files, png_bytes, write_chunk

TREE = DecisionTree("toy", (Question("smooth-toy", ("yes", "no")),))
NO_VOTES = VoteSummary(0, 0, 0, 0, {}, [], TREE.to_json(), "", [], {})
INGEST = IngestConfig(chunk_size=20)
CONFIG = CutoutConfig(image_size_px=16)


class Survey:
    """A manifest with its images, and shards kept by chunk and settings as the cache keeps them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.images = root / "images"
        self.images.mkdir()
        self.kept: dict[tuple[str, str], CutoutShard] = {}
        self.n_cut_out = 0
        self.versions: list[SurveyVersion] = []

    def add(self, *numbers: int) -> None:
        for number in numbers:
            (self.images / f"g{number:02}").write_bytes(png_bytes(galaxy_pixels(number, 40, 40)))

    def version(self) -> SurveyVersion:
        """The survey as it is now."""
        names = sorted(path.name for path in self.images.iterdir())
        rows = pd.DataFrame({"id_str": names, "image_uri": [f"images/{name}" for name in names]})
        rows.to_csv(self.root / "manifest.csv", index=False)
        manifest = read_manifest(str(self.root / "manifest.csv"), INGEST)
        before = self.versions[-1] if self.versions else None
        directory = self.root / f"version-{len(self.versions)}"
        self.versions.append(
            version_survey(
                manifest.galaxies, INGEST, before, directory, manifest.rejects, manifest.n_read
            )
        )
        return self.versions[-1]

    def shards(self, version: SurveyVersion, config: CutoutConfig = CONFIG) -> list[CutoutShard]:
        """The shard of each chunk; a directory of the same digest stays as it is."""
        self.n_cut_out = 0
        return [self._shard(version, chunk, config) for chunk in version.chunks]

    def _shard(self, version: SurveyVersion, chunk: str, config: CutoutConfig) -> CutoutShard:
        key = (chunk, config.to_json())
        if key not in self.kept:
            self.n_cut_out += 1
            draft = self.root / f"draft-{len(self.kept)}"
            digest = cut_out_chunk(version.read_chunk(chunk), config, draft).digest
            if not (self.root / digest).exists():
                draft.rename(self.root / digest)
            self.kept[key] = CutoutShard.open(self.root / digest, verify=True)
        return self.kept[key]


@pytest.fixture
def survey(tmp_path: Path) -> Survey:
    survey = Survey(tmp_path)
    survey.add(*range(60))
    version = survey.version()
    check_rejects([(version.alive, survey.shards(version))], 0.0)
    assert survey.n_cut_out == 3
    return survey


def test_a_grown_survey__cuts_out_what_is_new_and_loses_nobody(survey: Survey) -> None:
    survey.add(60, 61, 62)
    (survey.images / "g07").unlink()
    recoded = survey.images / "g11"
    recoded.write_bytes(recoded.read_bytes() + b"another end, the same pixels")
    version = survey.version()
    assert (version.n_added, version.n_changed, version.n_removed) == (3, 1, 1)
    shards = survey.shards(version)
    assert survey.n_cut_out == 1
    assert shards[-1].index["id_str"].tolist() == ["g11", "g60", "g61", "g62"]
    check_rejects([(version.alive, shards)], 0.0)
    cutouts = CutoutCollection(shards, version.alive)
    assert set(cutouts.id_strs) == set(version.alive)
    digests = cutouts.index.set_index("id_str")["image_digest"].to_dict()
    assert digests == version.alive
    assert len(cutouts) + len(cutouts.rejects) == len(version.alive) == 62
    intake = count_intake(version, cutouts, NO_VOTES).set_index("step")
    assert intake.loc["images"].tolist() == [62, 62, 0]
    assert intake.loc["rows of the manifest"].tolist() == [62, 62, 0]


def test_count_intake__shows_galaxies_that_were_lost(survey: Survey) -> None:
    (survey.images / "g99").write_bytes(b"<html>")
    version = survey.version()
    shards = survey.shards(version)
    intake = count_intake(version, CutoutCollection(shards, version.alive), NO_VOTES)
    assert intake.set_index("step").loc["images"].tolist() == [61, 60, 1]
    content = ReportContent("title", "s", TREE, "model", intake, pd.DataFrame())
    lossy = count_intake(version, CutoutCollection(shards[1:], version.alive), NO_VOTES)
    with pytest.raises(ReportError, match=r"'images' must add up: read 61 = used 40 \+ rejected 1"):
        dataclasses.replace(content, intake=lossy)


def test_a_grown_survey__sees_an_image_written_anew_without_a_change_of_pixels(
    survey: Survey,
) -> None:
    before = survey.versions[-1]
    for path in survey.images.iterdir():
        path.write_bytes(path.read_bytes() + b"another end")
    version = survey.version()
    shards = survey.shards(version)
    cutouts = CutoutCollection(shards, version.alive)
    assert version.n_changed == 60
    assert len(cutouts) == 60
    assert len(CutoutCollection(survey.shards(before), before.alive)) == 60


def test_a_grown_survey__is_cut_out_anew_though_withdrawn_images_are_gone(survey: Survey) -> None:
    for number in range(0, 60, 3):
        (survey.images / f"g{number:02}").unlink()
    version = survey.version()
    assert version.chunks == survey.versions[0].chunks
    shards = survey.shards(version, CutoutConfig(image_size_px=24))
    assert survey.n_cut_out == 3
    check_rejects([(version.alive, shards)], 0.0)
    cutouts = CutoutCollection(shards, version.alive)
    assert len(cutouts) == len(version.alive) == 40
    assert len(cutouts.rejects) == 0


def test_a_grown_survey__takes_an_unreadable_newcomer_for_one_of_all(survey: Survey) -> None:
    (survey.images / "g99").write_bytes(b"<html>")
    version = survey.version()
    shards = survey.shards(version)
    check_rejects([(version.alive, shards)], 0.05)
    cutouts = CutoutCollection(shards, version.alive)
    assert cutouts.rejects["id_str"].tolist() == ["g99"]
    assert len(cutouts) + len(cutouts.rejects) == version.n_galaxies


def test_check_rejects__judges_the_survey_and_not_a_chunk(tmp_path: Path) -> None:
    chunks = [
        write_chunk(tmp_path / "a", good_files(9)),
        write_chunk(tmp_path / "b", {"bad": b"<html>"}),
    ]
    shards = []
    for i, chunk in enumerate(chunks):
        cut_out_chunk(chunk, CONFIG, tmp_path / f"s{i}")
        shards.append(CutoutShard.open(tmp_path / f"s{i}"))
    rows = pd.concat(chunks)
    alive = dict(zip(rows["id_str"], rows["image_digest"], strict=True))
    check_rejects([(alive, shards)], 0.1)
    with pytest.raises(
        TooManyRejectsError, match=r"1 of 10 images .*max_image_reject_rate=0.05"
    ) as caught:
        check_rejects([(alive, shards)], 0.05)
    assert caught.value.reasons == {"an HTML page instead of an image": 1}
    check_rejects([({name: mark for name, mark in alive.items() if name != "bad"}, shards)], 0.0)
    check_rejects([({}, [])], 0.0)
    with pytest.raises(ShardError, match="9 of 10 galaxies have neither"):
        check_rejects([(alive, shards[1:])], 1.0)


def test_check_rejects__refuses_a_galaxy_that_was_withdrawn_when_cut_out(tmp_path: Path) -> None:
    chunk = write_chunk(tmp_path / "in", good_files(3))
    alive = dict(zip(chunk["id_str"], chunk["image_digest"], strict=True))
    (tmp_path / "in" / "g01").unlink()
    cut_out_chunk(chunk.assign(is_alive=[True, False, True]), CONFIG, tmp_path / "s")
    shards = [CutoutShard.open(tmp_path / "s")]
    with pytest.raises(ShardError, match=r"1 galaxies are back .* another ingest.chunk_size"):
        check_rejects([(alive, shards)], 1.0)
    del alive["g01"]
    check_rejects([(alive, shards)], 0.0)


def test_whole_directory__replaces_at_the_end_or_leaves_what_was_there(tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    (place / "old").touch()
    with pytest.raises(FileNotFoundError), whole_directory(place, replace=True) as draft:
        (draft / "new" / "too deep").touch()
    assert [path.name for path in place.iterdir()] == ["old"]
    with whole_directory(place, replace=True) as draft:
        (draft / "new").touch()
        assert (place / "old").exists()
    assert [path.name for path in place.iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["place"]

"""The commands that read a survey's representations."""

from pathlib import Path

import pytest

from galaxyloop.cli import main
from galaxyloop.representations.config import AnomalyConfig
from galaxyloop.representations.joining import (
    RepresentationProvenance,
    join_representations,
    stamp_representations,
)
from tests.library.representation_tables import (
    random_galaxies,
    random_vectors,
    write_shard_file,
)


@pytest.fixture
def path(tmp_path: Path) -> str:
    galaxies = random_galaxies(50)
    galaxies["ra_deg"] += 0.123456
    file = write_shard_file(tmp_path / "shard.parquet", galaxies, random_vectors(50))
    provenance = RepresentationProvenance("toy", "1", "abc", "survey", "0.1.0", "2026-01-02")
    joined, stamped = tmp_path / "joined.parquet", tmp_path / "representations.parquet"
    join_representations([file], galaxies, AnomalyConfig(), joined)
    stamp_representations(joined, provenance, stamped)
    return str(stamped)


def test_main__lists_similar_galaxies(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["similar", path, "J00007", "--n", "4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    # Declinations are all unknown here, and left out.
    assert lines[0].split() == ["rank", "id_str", "ra_deg", "similarity"]
    assert [line.split()[0] for line in lines[1:]] == ["1", "2", "3", "4"]
    assert "J00007" not in "".join(lines)
    for _, id_str, ra_deg, _ in map(str.split, lines[1:]):
        # A position is told to a fraction of an arcsecond, also near 360 degrees.
        assert len(ra_deg.split(".")[1]) == 5
        expected = 359 / 49 * int(id_str[1:]) + 0.123456
        assert float(ra_deg) == pytest.approx(expected, abs=6e-6)


def test_main__lists_anomalies(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["anomalies", path, "--n", "3"]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == ["id_str", "ra_deg", "anomaly_score", "anomaly_percentile"]
    assert [line.split()[-1] for line in lines] == ["100", "98", "96"]


def test_main__shows_where_representations_are_from(
    path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["provenance", path]) == 0
    told = capsys.readouterr().out
    assert "checkpoint_digest  abc" in told
    assert '"n_reference": 50' in told


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["similar", "{path}", "J7"], "there is no galaxy 'J7'; choose one of: "),
        (["similar", "{path}", "J00007", "--n", "0"], "n must be >= 1, got 0"),
        (["similar", "{path}", "J00007", "--preparation", "pca"], "got 'pca'"),
        (["similar", "nowhere.parquet", "J00007"], "nowhere.parquet is no file"),
        (["similar", "s3://b/r.parquet", "J1"], "s3://b/r.parquet is an address"),
        (["anomalies", "s3://b/r.parquet"], "copy it here and give its path"),
        (["provenance", "s3://b/r.parquet"], "s3://b/r.parquet is an address"),
        (["anomalies", "{path}", "--n", "-1"], "n must be >= 1, got -1"),
        (["anomalies", "{shard}"], "give the representations.parquet of embed_survey"),
    ],
)
def test_main__says_what_is_wrong_with_a_request(
    arguments: list[str], message: str, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shard = Path(path).with_name("shard.parquet")
    assert main([text.format(path=path, shard=shard) for text in arguments]) == 1
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1

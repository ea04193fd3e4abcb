from pathlib import Path

import pandas as pd
import pytest

from galaxyloop.cli import main


def test_main__simulates_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "survey.yaml"
    config.write_text("n_galaxies: 3\nimage_size_px: 32\nn_broken_images: 0\n")
    arguments = ["simulate", str(tmp_path / "survey"), "--config", str(config)]
    assert main(arguments) == 0
    assert (tmp_path / "survey" / "manifest.csv").is_file()
    assert main(arguments) == 0
    assert "already" in capsys.readouterr().out


def test_main__shows_a_tree(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tree", "gz2"]) == 0
    assert "asked after: smooth-or-featured-gz2_smooth" in capsys.readouterr().out


def test_main__lists_the_campaigns_for_a_wrong_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tree", "gz3"]) == 1
    assert "there is no campaign 'gz3'; choose one of: " in capsys.readouterr().err


def test_main__says_which_setting_is_unknown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "survey.yaml"
    config.write_text("n_galaxys: 3\n")
    assert main(["simulate", str(tmp_path / "survey"), "--config", str(config)]) == 1
    assert "did you mean 'n_galaxies'" in capsys.readouterr().err


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What a command that cannot be done says: one line, and exit status 1."""
    assert main([str(argument) for argument in arguments]) == 1
    told = capsys.readouterr().err
    assert told.startswith("galaxyloop: ")
    assert told.count("\n") == 1
    return told


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read (No such file or directory); give a YAML file"),
        (b"n_galaxies: [1,", "must hold YAML for SimulationConfig"),
        (b"n_galaxies: \xff\xfe", "must hold YAML for SimulationConfig"),
        (b"- 1", "must be a mapping of settings"),
        (b"n_galaxies: many", "SimulationConfig.n_galaxies must be int, got 'many'"),
        (b"n_galaxies: 0", "got 0"),
        (b"campaign: gz9", "there is no campaign 'gz9'"),
    ],
)
def test_main__says_what_is_wrong_with_a_config(
    content: bytes | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "survey.yaml"
    if content is not None:
        config.write_bytes(content)
    assert message in refusal(capsys, "simulate", tmp_path / "survey", "--config", config)
    assert not (tmp_path / "survey").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("thesis.tex", "holds no simulated survey; choose another directory"),
        ("simulation.json", "is not of a simulated survey"),
    ],
)
def test_main__simulates_into_no_foreign_directory(
    name: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_text("mine")
    assert message in refusal(capsys, "simulate", tmp_path)
    assert (tmp_path / name).read_text() == "mine"


def test_main__simulates_into_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    refusal(capsys, "simulate", tmp_path / "file")
    assert "choose another place" in refusal(capsys, "simulate", tmp_path / "file" / "survey")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.parquet", "missing.parquet is no file"),
        ("votes.csv", "votes.csv is no parquet file"),
        ("", "is no file that can be read; give the catalogue.parquet of a round"),
        ("votes.parquet", "has no galaxyloop.model_name"),
    ],
)
def test_main__shows_no_provenance_of_what_is_no_catalogue(
    name: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.DataFrame({"id_str": ["1"]})
    table.to_csv(tmp_path / "votes.csv")
    table.to_parquet(tmp_path / "votes.parquet")
    assert message in refusal(capsys, "provenance", tmp_path / name)


def test_main__lists_the_stages_for_a_wrong_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert "choose one of: acquisition, active_learning, anomalies" in refusal(
        capsys, "settings", "ingestion"
    )


def test_main__without_a_command_has_a_line_of_help_for_each(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    for command in ("simulate", "campaigns", "tree", "settings", "provenance"):
        assert any(line.split()[:1] == [command] and len(line.split()) > 2 for line in lines)

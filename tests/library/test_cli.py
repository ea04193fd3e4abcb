from pathlib import Path

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

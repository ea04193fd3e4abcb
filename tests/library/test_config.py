from dataclasses import dataclass, field

import pytest

from galaxyloop.config import StrictConfig, require
from galaxyloop.errors import ConfigError


@dataclass(frozen=True)
class Telescope(StrictConfig):
    aperture_m: float = 2.5
    bands: list[str] = field(default_factory=lambda: ["g", "r", "i"])

    def __post_init__(self) -> None:
        require(self.aperture_m > 0, f"aperture_m must be > 0, got {self.aperture_m}")


@dataclass(frozen=True)
class Observation(StrictConfig):
    target: str
    telescope: Telescope = field(default_factory=Telescope)
    exposures: int = 1
    is_dithered: bool = False
    note: str | None = None


def test_from_json__gives_back_what_to_json_wrote() -> None:
    observation = Observation("NGC 4321", Telescope(8.1, ["r"]), 3, True, "clear")
    assert Observation.from_json(observation.to_json()) == observation


def test_from_dict__takes_an_int_for_a_float() -> None:
    assert Telescope.from_dict({"aperture_m": 8}).aperture_m == 8.0


def test_to_json__is_the_same_text_for_equal_configs() -> None:
    one, other = Telescope(2.0), Telescope.from_dict({"bands": ["g", "r", "i"], "aperture_m": 2})
    assert one.to_json() == other.to_json()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"target": "M51", "exposure": 2}, "no setting 'exposure'; did you mean 'exposures'"),
        ({"target": "M51", "telescope": {"apertur_m": 2}}, "Observation.telescope has no setting"),
        ({"exposures": 2}, "needs a value for: target"),
        ({"target": "M51", "exposures": 2.5}, "exposures must be int, got 2.5"),
        ({"target": "M51", "exposures": True}, "exposures must be int, got True"),
        ({"target": "M51", "is_dithered": 1}, "is_dithered must be bool, got 1"),
        ({"target": 51}, "target must be str, got 51"),
        ({"target": "M51", "telescope": 3}, r"must be a mapping of settings \(\w+.*\), got 3"),
        ({"target": "M51", "telescope": {"bands": "gri"}}, "bands must be a list, got 'gri'"),
        ({"target": "M51", "telescope": {"bands": ["g", 2]}}, r"bands\[1\] must be str, got 2"),
        ({"target": "M51", "telescope": {"aperture_m": -1}}, "aperture_m must be > 0, got -1"),
    ],
)
def test_from_dict__refuses(data: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Observation.from_dict(data)


def test_from_json__refuses_text_that_is_not_json() -> None:
    with pytest.raises(ConfigError, match="Telescope must be a JSON object"):
        Telescope.from_json("aperture_m: 2")


def test_from_yaml__refuses_unknown_keys(tmp_path: object) -> None:
    path = f"{tmp_path}/telescope.yaml"
    with open(path, "w") as file:
        file.write("apperture_m: 3\n")
    with pytest.raises(ConfigError, match="did you mean 'aperture_m'"):
        Telescope.from_yaml(path)

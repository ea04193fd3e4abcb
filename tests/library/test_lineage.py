from pathlib import Path

import cv2
import pytest

from galaxyloop.errors import CatalogueError
from galaxyloop.lineage import Origin, describe_origin, trace_survey
from galaxyloop.plots import new_figure
from galaxyloop.plots.lineage import plot_lineage, save_lineage
from galaxyloop.surveys import SurveyVersion
from tests.library.test_survey_growth import Survey

SHARDS = tuple(Origin("shard", f"{number:064x}") for number in range(9))
TREE = Origin(
    "catalogue",
    "catalogue.parquet",
    {"campaign": "gz2"},
    (
        Origin("survey", "5" * 64),
        Origin("model", "bars version 3", {"aliases": "champion"}, (Origin("training", "run"),)),
    ),
)
TOLD = f"""\
catalogue catalogue.parquet
│   campaign: gz2
├─ survey {"5" * 64}
└─ model bars version 3
   │   aliases: champion
   └─ training run"""


def test_describe_origin__draws_a_tree() -> None:
    assert describe_origin(TREE) == TOLD


def test_origin__keeps_everything_as_plain_values() -> None:
    told = TREE.to_dict()
    assert told["made_of"][1]["made_of"] == [
        {"what": "training", "name": "run", "facts": {}, "made_of": []}
    ]


def test_plot_lineage__draws_a_box_a_thing_and_counts_what_is_many() -> None:
    _, (ax,) = new_figure(3.0, 3.0)
    plot_lineage(Origin("training", "run", made_of=SHARDS), ax)
    assert len(ax.patches) == 4
    assert [text.get_text() for text in ax.texts][-1] == "and 7 more"


def test_plot_lineage__cuts_digests() -> None:
    _, (ax,) = new_figure(3.0, 3.0)
    plot_lineage(Origin("image", "f", {"fingerprint": f"sha256:{'ab' * 32}"}), ax)
    assert ax.texts[-1].get_text() == f"fingerprint: sha256:{'ab' * 6}"


def test_save_lineage__grows_with_the_tree(tmp_path: Path) -> None:
    for name, origin in (("one", SHARDS[0]), ("all", TREE)):
        save_lineage(origin, tmp_path / f"{name}.png")
    (height, width, _), (taller, wider, _) = (
        cv2.imread(str(tmp_path / f"{name}.png")).shape for name in ("one", "all")
    )
    assert width < wider
    assert height < taller


def grown_survey(folder: Path) -> tuple[SurveyVersion, list[str]]:
    """A survey of two chunks."""
    survey = Survey(folder)
    survey.add(1, 2)
    survey.version()
    survey.add(3)
    version = survey.version()
    return version, [str(chunk) for chunk in version.chunks]


def test_trace_survey__tells_a_galaxys_image_and_chunk(tmp_path: Path) -> None:
    version, (older, newer) = grown_survey(tmp_path)
    found = [trace_survey(version.digest, version.directory, name) for name in ("g01", "g03")]
    images = [one.made_of[0] for one in found]
    assert [image.facts["chunk"] for image in images] == [older, newer]
    assert [Path(image.name).name for image in images] == ["g01", "g03"]
    assert found[0].facts["grown from"] == version.previous


def test_trace_survey__refuses_a_galaxy_that_is_not_in_it(tmp_path: Path) -> None:
    version, _ = grown_survey(tmp_path)
    with pytest.raises(CatalogueError, match="holds no galaxy 'g09'"):
        trace_survey(version.digest, version.directory, "g09")


def test_trace_survey__tells_the_digest_of_a_version_that_is_gone() -> None:
    assert trace_survey("5" * 64, None, "g01").name == "5" * 64

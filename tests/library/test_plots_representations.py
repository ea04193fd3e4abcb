"""Galleries show the galaxies that the tables name, in their order."""

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from galaxyloop import plots
from galaxyloop.errors import RepresentationError, UnknownNameError
from galaxyloop.plots.representations import plot_anomalies, plot_similar_galaxies
from galaxyloop.representations.config import GalleryConfig
from galaxyloop.representations.galleries import (
    check_queries,
    choose_galleries,
    choose_queries,
    draw_similar,
    save_galleries,
)
from galaxyloop.representations.similarity import find_similar
from galaxyloop.representations.table import Representations, most_anomalous
from galaxyloop.shards import CutoutCollection
from tests.library.representation_tables import random_representations


class Collection(CutoutCollection):
    """Cutouts in memory: each galaxy's is of one shade, its number."""

    def __init__(self, id_strs: np.ndarray) -> None:
        self.id_strs = id_strs

    def read(self, positions: np.ndarray) -> np.ndarray:
        return np.broadcast_to(positions[:, None, None, None], (len(positions), 4, 4, 3)).astype(
            np.uint8
        )


def scored(n_galaxies: int) -> Representations:
    representations = random_representations(n_galaxies)
    scores = np.linspace(0.1, 0.9, n_galaxies).astype(np.float32)
    galaxies = representations.galaxies.assign(anomaly_score=scores)
    return Representations(galaxies, representations.vectors, {})


def test_plot_similar_galaxies__shows_the_query_then_its_neighbours() -> None:
    representations = scored(60)
    neighbours = find_similar(representations, "J00011", 3)
    shown = ["J00011", *neighbours["id_str"]]
    shades = [int(id_str[1:]) for id_str in shown]
    images = Collection(representations.galaxies["id_str"].to_numpy(str)).read(np.array(shades))
    _, axes = plots.new_figure(4.0, 1.0, 1, 5)
    plot_similar_galaxies("J00011", images, neighbours, axes)
    for ax, id_str, shade in zip(axes, shown, shades, strict=False):
        assert id_str in ax.get_title(loc="left")
        assert (np.asarray(ax.images[0].get_array()) == shade).all()
    assert f"{neighbours['similarity'][2]:.2f}" in axes[3].get_title(loc="left")
    assert not axes[4].images


def test_plot_anomalies__shows_scores_and_the_end_of_long_ids() -> None:
    anomalies = pd.DataFrame({"id_str": ["short", "5" * 30 + "END"], "anomaly_score": [0.5, 0.25]})
    _, axes = plots.new_figure(4.0, 1.0, 1, 3)
    plot_anomalies(np.zeros((2, 4, 4, 1), np.uint8), anomalies, axes)
    titles = [ax.get_title(loc="left") for ax in axes]
    assert titles[0] == "0.50\nshort"
    assert titles[1].endswith("5END")
    assert len(titles[1].splitlines()[1]) == 20
    assert [len(ax.images) for ax in axes] == [1, 1, 0]


def test_save_galleries__writes_two_pictures(tmp_path: Path) -> None:
    representations = scored(60)
    cutouts = Collection(representations.galaxies["id_str"].to_numpy(str))
    config = GalleryConfig(n_queries=2, n_neighbours=3, n_anomalies=9)
    paths = save_galleries(choose_galleries(representations, config), cutouts, tmp_path)
    assert [path.name for path in paths] == ["similar.png", "anomalies.png"]
    for path in paths:
        picture = cv2.imread(str(path))
        assert picture is not None
        assert picture.shape[1] > picture.shape[0]


def test_save_galleries__refuses_a_galaxy_without_a_cutout(tmp_path: Path) -> None:
    representations = scored(60)
    galleries = choose_galleries(representations, GalleryConfig(queries=["J00011"]))
    id_strs = representations.galaxies["id_str"].to_numpy(str)
    with pytest.raises(RepresentationError, match="1 of 8 galaxies .* the first 'J00011'; give"):
        save_galleries(galleries, Collection(np.delete(id_strs, 11)), tmp_path)
    assert not list(tmp_path.iterdir())


def test_choose_galleries__names_everybody_who_is_drawn() -> None:
    representations = scored(60)
    config = GalleryConfig(queries=["J00011", "J00004"], n_neighbours=3, n_anomalies=2)
    galleries = choose_galleries(representations, config)
    assert {"J00004", "J00011", "J00058", "J00059"} <= set(galleries.id_strs)
    assert len(galleries.id_strs) <= 2 * 4 + 2
    pd.testing.assert_frame_equal(
        galleries.similar["J00011"], find_similar(representations, "J00011", 3)
    )
    # Cutouts of these alone are enough, whatever place they have there.
    few = Collection(np.array(galleries.id_strs))
    image = draw_similar(galleries, few).axes[0].images[0].get_array()
    assert (np.asarray(image) == galleries.id_strs.index("J00011")).all()


def test_choose_galleries__refuses_an_unknown_galaxy() -> None:
    with pytest.raises(UnknownNameError, match="no galaxy 'J0'"):
        choose_galleries(scored(20), GalleryConfig(queries=["J0"]))


def test_check_queries__tells_a_stranger_from_a_galaxy_without_cutout() -> None:
    survey = pd.Series([f"J{i:05}" for i in range(9)])
    drawable = survey.drop(3)
    check_queries(["J00000", "J00008"], survey, drawable)
    with pytest.raises(UnknownNameError, match="there is no galaxy 'J0001x'; choose one of"):
        check_queries(["J00000", "J0001x"], survey, drawable)
    with pytest.raises(RepresentationError, match="'J00003' .* image was rejected, .* the 8 that"):
        check_queries(["J00000", "J00003"], survey, drawable)


def test_choose_queries__does_not_depend_on_the_order() -> None:
    representations = scored(50)
    chosen = choose_queries(representations, 5)
    turned = Representations(representations.galaxies[::-1], representations.vectors[::-1], {})
    assert choose_queries(turned, 5) == chosen
    assert len(set(chosen)) == 5


def test_most_anomalous__has_one_image_a_galaxy() -> None:
    galaxies = scored(10).galaxies
    galaxies.loc[[9, 7], "group_id"] = "one galaxy"
    assert most_anomalous(galaxies, 3)["id_str"].tolist() == ["J00009", "J00008", "J00006"]
    with pytest.raises(RepresentationError, match="there are no anomaly scores"):
        most_anomalous(galaxies.drop(columns="anomaly_score"), 3)

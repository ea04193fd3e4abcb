"""Catalogues with gaps, and exports that could not be made: told of early and in full."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from galaxyloop.catalogue import ProductsConfig
from galaxyloop.catalogue.exports import fits_tables
from galaxyloop.errors import CatalogueError
from tests.workflows.survey_night import Night, open_night

pytestmark = pytest.mark.slow


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    """Sixty galaxies without positions, and a model."""
    with open_night(tmp_path) as night:
        night.register(1)
        night.add(range(60), with_positions=False)
        yield night


def changes(night: Night) -> dict[str, str]:
    """What the catalogue's list of changes says of each galaxy."""
    table = pd.read_parquet(night.root / "catalogue" / "changes.parquet")
    return dict(zip(table["id_str"], table["change"], strict=True))


def test_build_catalogue__lists_galaxies_whose_chunk_failed_as_removed_then_added(
    night: Night,
) -> None:
    night.build()
    path = sorted((night.root / "store" / "cutout-shard").glob("*/cutouts.npy"))[1]
    lost = set(pd.read_parquet(path.with_name("index.parquet"))["id_str"])
    path.rename(path.with_suffix(".gone"))
    night.register(2)
    night.build(allow_missing=True)
    assert set(night.read()["id_str"]).isdisjoint(lost)
    assert changes(night) == dict.fromkeys(lost, "removed")
    night.add(range(60, 62), with_positions=False)
    night.build(allow_missing=True)
    assert changes(night) == {"g00060": "added", "g00061": "added"}
    path.with_suffix(".gone").rename(path)
    told = night.build()
    assert "62 of 62 galaxies" in told
    assert changes(night) == dict.fromkeys(lost, "added")


def test_build_catalogue__refuses_exports_before_an_image_is_read(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fits_tables, "MAX_COLUMNS", 5)
    with pytest.raises(CatalogueError, match="columns, and a FITS table at most 5"):
        night.build(products=ProductsConfig(formats=["fits"]))
    assert not night.kept("survey-version")
    with pytest.raises(CatalogueError, match="none of 60 galaxies has a position"):
        night.build(products=ProductsConfig(formats=["hats"]))
    assert not night.kept("cutout-shard")

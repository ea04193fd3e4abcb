"""Exports of catalogues: astropy and pandas read what was written, with units, UCDs and gaps."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.io.votable import parse
from astropy.io.votable.ucd import check_ucd
from astropy.table import Table

from galaxyloop import predictions
from galaxyloop.catalogue import ProductsConfig, check_galaxies, check_products
from galaxyloop.catalogue.columns import describe_columns, describe_friendly_columns
from galaxyloop.catalogue.exports import EXPORTS, export_catalogue, fits_tables, votables
from galaxyloop.catalogue.exports.table import ExportTable
from galaxyloop.catalogue.friendly import write_friendly_catalogue
from galaxyloop.cli import main
from galaxyloop.decision_tree import DecisionTree, Question
from galaxyloop.errors import CatalogueError, UnknownNameError
from tests.library.catalogue_tables import TREE, make_catalogue, make_survey, random_positions

N_GALAXIES = 300


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    positions = random_positions(N_GALAXIES)
    positions.loc[[4, 9], :] = np.nan
    return make_catalogue(tmp_path_factory.mktemp("exports") / "catalogue.parquet", positions)


@pytest.fixture(scope="module")
def friendly(catalogue: Path) -> Path:
    path = catalogue.with_name("catalogue_friendly.parquet")
    write_friendly_catalogue(catalogue, path)
    return path


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports in three batches."""
    monkeypatch.setattr(predictions, "ROW_GROUP_ROWS", 128)


def as_exported(catalogue: Path) -> pd.DataFrame:
    """The catalogue under the names of exports."""
    table = pd.read_parquet(catalogue)
    return table.rename(columns=lambda name: name.replace("-", "_"))


def as_frame(table: Table) -> pd.DataFrame:
    """What astropy read, as pandas stores it: ids as text, masked numbers as NaN."""
    columns = {}
    for name in table.colnames:
        values = np.ma.MaskedArray(table[name])
        filled = values.filled(np.nan) if values.dtype.kind == "f" else values.filled()
        native = filled.astype(filled.dtype.newbyteorder("="))
        columns[name] = native.astype(str) if native.dtype.kind in "SU" else native
    return pd.DataFrame(columns)


def assert_same(read: pd.DataFrame, expected: pd.DataFrame) -> None:
    """Equal values, bit by bit, under equal names."""
    assert list(read) == list(expected)
    assert read["id_str"].tolist() == expected["id_str"].tolist()
    for name in list(expected)[1:]:
        assert read[name].dtype == expected[name].dtype, name
        np.testing.assert_array_equal(read[name].to_numpy(), expected[name].to_numpy(), name)


@pytest.mark.parametrize(("name", "ending"), [("fits", ".fits"), ("votable", ".vot")])
@pytest.mark.parametrize("kind", ["catalogue", "friendly"])
def test_export_catalogue__astropy_reads_back_every_value(
    kind: str, name: str, ending: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path: Path = request.getfixturevalue(kind)
    (written,) = export_catalogue(path, [name], tmp_path)
    assert written == tmp_path / f"{path.stem}{ending}"
    table = Table.read(written)
    assert_same(as_frame(table), as_exported(path))
    assert [table[name].unit for name in ("ra_deg", "dec_deg")] == ["deg", "deg"]
    assert table["bar_toy_yes_fraction"].unit is None
    assert [path.name for path in tmp_path.iterdir()] == [written.name]


def test_write_fits__is_a_sound_file_with_ucds_descriptions_and_provenance(
    catalogue: Path, tmp_path: Path
) -> None:
    export_catalogue(catalogue, ["fits"], tmp_path)
    with fits.open(tmp_path / "catalogue.fits") as units:
        units.verify("exception")
        header = units[1].header
        assert units[1].columns.names == [c.replace("-", "_") for c in pd.read_parquet(catalogue)]
    for number, column in enumerate(describe_columns(TREE), start=1):
        assert check_ucd(header[f"TUCD{number}"], check_controlled_vocabulary=True)
        assert header[f"TUCD{number}"] == column.ucd
        assert header[f"TCOMM{number}"] == column.description
        assert header.get(f"TUNIT{number}", "") == column.unit
    assert "galaxyloop.checkpoint_digest = ab12" in str(header["COMMENT"])
    assert (tmp_path / "catalogue.fits").stat().st_size % 2880 == 0


def test_write_votable__is_binary2_with_ucds_descriptions_and_a_coordinate_system(
    catalogue: Path, tmp_path: Path
) -> None:
    export_catalogue(catalogue, ["votable"], tmp_path)
    document = parse(tmp_path / "catalogue.vot", verify="exception")
    (resource,) = document.resources
    (system,) = resource.coordinate_systems
    (table,) = resource.tables
    assert table.nrows == N_GALAXIES
    assert system.system == "ICRS"
    for column, field in zip(describe_columns(TREE), table.fields, strict=True):
        assert (field.ucd, str(field.unit or "")) == (column.ucd, column.unit)
        assert field.description == column.description
        assert field.ref == ("icrs" if column.name in ("ra_deg", "dec_deg") else None)
    assert {"galaxyloop.survey_digest": "cd34"}.items() <= {
        info.name: info.value for info in resource.infos
    }.items()
    assert b"<BINARY2>" in (tmp_path / "catalogue.vot").read_bytes()


def test_write_votable__streams_lines_that_are_base64_each(
    catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(votables, "_LINE_BYTES", 300)
    export_catalogue(catalogue, ["votable"], tmp_path)
    table = Table.read(tmp_path / "catalogue.vot")
    assert_same(as_frame(table), as_exported(catalogue))


def test_write_csv__gives_back_every_value(friendly: Path, tmp_path: Path) -> None:
    export_catalogue(friendly, ["csv"], tmp_path)
    stored = pd.read_parquet(friendly)
    types = stored.dtypes.to_dict() | {"id_str": object}
    read = pd.read_csv(tmp_path / "catalogue_friendly.csv", dtype=types)
    assert_same(read, stored)
    assert "nan" not in (tmp_path / "catalogue_friendly.csv").read_text().lower()


def test_export_catalogue__of_an_empty_catalogue_is_an_empty_table(tmp_path: Path) -> None:
    path = make_catalogue(tmp_path / "catalogue.parquet", random_positions(0))
    export_catalogue(path, ["fits", "votable", "csv"], tmp_path)
    for name in ("catalogue.fits", "catalogue.vot", "catalogue.csv"):
        table = Table.read(tmp_path / name)
        assert len(table) == 0
        assert len(table.colnames) == len(describe_columns(TREE))


@pytest.mark.parametrize("name", ["fits", "votable"])
def test_export_catalogue__refuses_ids_beyond_ascii(name: str, tmp_path: Path) -> None:
    ids = ["a", "Galäxie"]
    path = make_catalogue(tmp_path / "catalogue.parquet", random_positions(2), ids=ids)
    with pytest.raises(CatalogueError, match="'Galäxie' in the column id_str .*export csv or hats"):
        export_catalogue(path, [name], tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_write_fits__refuses_names_that_do_not_fit_a_card(tmp_path: Path) -> None:
    tree = DecisionTree("long", (Question("q" * 60, ("yes", "no")),))
    path = make_catalogue(tmp_path / "catalogue.parquet", random_positions(2), tree)
    with pytest.raises(CatalogueError, match="has 73 letters, and FITS names at most 68"):
        export_catalogue(path, ["fits"], tmp_path)
    export_catalogue(path, ["votable"], tmp_path)


def test_write_fits__refuses_more_columns_than_a_table_may_have(
    catalogue: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fits_tables, "MAX_COLUMNS", 10)
    with pytest.raises(CatalogueError, match="has 19 columns, and a FITS table at most 10"):
        export_catalogue(catalogue, ["fits"], tmp_path)


def test_export_catalogue__refuses_names_that_become_one(tmp_path: Path) -> None:
    tree = DecisionTree("twice", (Question("a-b", ("c", "d")), Question("a", ("b_c", "e"))))
    path = make_catalogue(tmp_path / "catalogue.parquet", random_positions(2), tree)
    with pytest.raises(CatalogueError, match="'a-b_c_fraction' and 'a_b_c_fraction' would both be"):
        export_catalogue(path, ["votable"], tmp_path)
    export_catalogue(path, ["csv"], tmp_path)


def test_export_catalogue__refuses_a_table_that_is_no_catalogue(tmp_path: Path) -> None:
    pd.DataFrame({"id_str": ["1"]}).to_parquet(tmp_path / "table.parquet")
    with pytest.raises(CatalogueError, match=r"no galaxyloop\.model_name"):
        export_catalogue(tmp_path / "table.parquet", ["csv"], tmp_path)
    with pytest.raises(
        UnknownNameError, match=f"'xls'; choose one of: {', '.join(sorted(EXPORTS))}"
    ):
        export_catalogue(tmp_path / "table.parquet", ["xls"], tmp_path)


def test_export_table__names_itself(catalogue: Path, friendly: Path) -> None:
    assert ExportTable.open(catalogue).title == "galaxyloop catalogue of toy by toy-model 3"
    assert "friendly catalogue" in ExportTable.open(friendly).title


def test_main__exports_a_friendly_catalogue_and_describes_columns(
    catalogue: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copy(catalogue, tmp_path / "c.parquet")
    output = tmp_path / "new" / "folder"
    options = ["--format", "fits", "csv", "--output", str(output), "--friendly"]
    assert main(["export", str(copy), *options]) == 0
    names = {"c_friendly.parquet", "c_friendly.fits", "c_friendly.csv", "columns.csv"}
    assert {path.name for path in output.iterdir()} == names
    assert main(["columns", str(output / "c_friendly.parquet")]) == 0
    told = capsys.readouterr().out
    assert "bar-toy_yes_fraction\n    Expected fraction of volunteers asked 'bar-toy'" in told
    assert "float64, deg, UCD pos.eq.ra;meta.main" in told


def test_main__says_which_formats_there_are(
    catalogue: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--format", "xls", "--output", str(tmp_path / "out")]
    assert main(["export", str(catalogue), *options]) == 1
    assert "there is no export format 'xls'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_main__exports_catalogues_from_before_flags(catalogue: Path, tmp_path: Path) -> None:
    table = pq.read_table(catalogue).drop_columns(["feature_distance", "flags"])
    pq.write_table(table, tmp_path / "old.parquet")
    options = ["--format", "votable", "--output", str(tmp_path), "--friendly"]
    assert main(["export", str(tmp_path / "old.parquet"), *options]) == 0
    assert Table.read(tmp_path / "old_friendly.vot").colnames[-1] == "bar_toy_no_fraction"
    pq.write_table(table.drop_columns(["bar-toy_asked"]), tmp_path / "cut.parquet")
    with pytest.raises(CatalogueError, match=r"lacks \['bar-toy_yes_fraction', 'bar-toy_no"):
        write_friendly_catalogue(tmp_path / "cut.parquet", tmp_path / "friendly.parquet")


LONG = DecisionTree("long", (Question("q" * 60, ("yes", "no")),))
TWICE = DecisionTree("twice", (Question("a-b", ("c", "d")), Question("a", ("b_c", "e"))))


@pytest.mark.parametrize("name", EXPORTS)
@pytest.mark.parametrize("tree", [TREE, LONG, TWICE])
def test_check_products__refuses_what_an_export_refuses(
    name: str, tree: DecisionTree, tmp_path: Path
) -> None:
    """Without a catalogue, with the words of the export that would fail."""
    path = make_catalogue(tmp_path / "catalogue.parquet", random_positions(2), tree)
    told = []
    for attempt in (
        lambda: check_products(ProductsConfig(formats=[name]), tree),
        lambda: export_catalogue(path, [name], tmp_path / "out"),
    ):
        try:
            attempt()
            told.append("")
        except CatalogueError as error:
            told.append(str(error))
    assert told[0] == told[1]
    is_refused = (name == "fits" and tree is LONG) or (name != "csv" and tree is TWICE)
    assert bool(told[0]) == is_refused


def test_check_products__counts_the_columns_of_every_catalogue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    full, friendly = len(describe_columns(TREE)), len(describe_friendly_columns(TREE))
    config = ProductsConfig(formats=["fits"])
    monkeypatch.setattr(fits_tables, "MAX_COLUMNS", full)
    check_products(config, TREE)
    monkeypatch.setattr(fits_tables, "MAX_COLUMNS", friendly)
    with pytest.raises(CatalogueError, match=f"has {full} columns, and a FITS table at most"):
        check_products(config, TREE)


@pytest.mark.parametrize("name", EXPORTS)
def test_check_galaxies__refuses_what_an_export_refuses(name: str, tmp_path: Path) -> None:
    survey = make_survey(tmp_path / "survey", {"a": "1", "b": "2", "Galäxie": "3", "c": "4"})
    check_galaxies([], survey)
    message = {
        "fits": "'Galäxie' in the column id_str",
        "votable": "'Galäxie' in the column id_str",
        "hats": "none of 4 galaxies has a position",
    }
    if name == "csv":
        check_galaxies([name], survey)
        return
    with pytest.raises(CatalogueError, match=message[name]):
        check_galaxies([name, "csv"], survey)

"""FITS tables that are damaged, or whose cells are not what they seem."""

from pathlib import Path

import pytest
from astropy.io import fits

from galaxyloop.errors import VoteTableError
from galaxyloop.table_files import read_batches, read_header


def write_fits(path: Path, form: str = "3A", **cards: str | int) -> str:
    """A table of three rows with a number and a text, its header as given."""
    width = int(form.partition("A")[0]) + 4
    header = fits.Header({"XTENSION": "BINTABLE", "BITPIX": 8, "NAXIS": 2})
    header.update({"NAXIS1": width, "NAXIS2": 3, "PCOUNT": 0, "GCOUNT": 1, "TFIELDS": 2})
    header.update({"TTYPE1": "n", "TFORM1": "J", "TTYPE2": "note", "TFORM2": form, **cards})
    rows = b"".join(bytes([0, 0, 0, i]) + b"abcdef"[: width - 4] for i in range(3))
    start = fits.PrimaryHDU().header.tostring() + header.tostring()
    path.write_bytes(start.encode() + rows.ljust(2880, b"\0"))
    return str(path)


@pytest.mark.parametrize(
    ("cards", "message"),
    [
        ({"NAXIS2": 10**17}, "is a damaged FITS file"),
        ({"NAXIS2": 10**9}, "is truncated: its header tells of 7000005760 bytes and it has 8640"),
        ({"NAXIS2": -1}, "is a damaged FITS file"),
        ({"TZERO1": "abc"}, "is a damaged FITS file .TZERO1 = 'abc' is no number"),
        ({"TSCAL1": "abc"}, "is a damaged FITS file .TSCAL1 = 'abc' is no number"),
        ({"TNULL1": "abc"}, "is a damaged FITS file .TNULL1 = 'abc' is no number"),
    ],
)
def test_read_batches__takes_a_damaged_fits_header_for_no_failing_network(
    cards: dict[str, str | int], message: str, tmp_path: Path
) -> None:
    uri = write_fits(tmp_path / "t.fits", **cards)
    with pytest.raises(VoteTableError, match=message):
        list(read_batches(uri, ["n"], 5))


def test_read_header__refuses_a_fits_header_without_end(tmp_path: Path) -> None:
    uri = write_fits(tmp_path / "t.fits")
    whole = Path(uri).read_bytes()
    Path(uri).write_bytes(whole.replace(b"END     ", b"ENX     "))
    with pytest.raises(VoteTableError, match="is a damaged FITS file .Header missing END card"):
        read_header(uri)


@pytest.mark.parametrize(("form", "cards"), [("6A3", {}), ("6Aw3", {}), ("6A", {"TDIM2": "(3,2)"})])
def test_read_batches__takes_no_array_of_texts_for_one(
    form: str, cards: dict[str, str], tmp_path: Path
) -> None:
    uri = write_fits(tmp_path / "t.fits", form, **cards)
    (batch,) = read_batches(uri, ["n"], 5)
    assert batch.table.to_pydict() == {"n": [0, 1, 2]}
    with pytest.raises(VoteTableError, match="column 'note' holds several values"):
        list(read_batches(uri, ["note"], 5))


@pytest.mark.parametrize(("form", "cards"), [("6A6", {}), ("6A", {"TDIM2": "(6)"}), ("6A", {})])
def test_read_batches__reads_one_text_however_its_width_is_stated(
    form: str, cards: dict[str, str], tmp_path: Path
) -> None:
    (batch,) = read_batches(write_fits(tmp_path / "t.fits", form, **cards), ["note"], 5)
    assert batch.table.to_pydict() == {"note": ["abcdef"] * 3}


def test_read_batches__reads_texts_of_no_width_as_empty(tmp_path: Path) -> None:
    uri = write_fits(tmp_path / "t.fits", "0A", NAXIS1=4)
    whole = Path(uri).read_bytes()
    rows = b"".join(bytes([0, 0, 0, i]) for i in range(3))
    Path(uri).write_bytes(whole[:5760] + rows.ljust(2880, b"\0"))
    (batch,) = read_batches(uri, ["note", "n"], 5)
    assert batch.table.to_pydict() == {"note": ["", "", ""], "n": [0, 1, 2]}

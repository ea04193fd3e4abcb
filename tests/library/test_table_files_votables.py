"""VOTables that are damaged, old, or keep their rows elsewhere."""

import base64
import re
import struct
from pathlib import Path

import pytest
from astropy.io.votable import from_table, writeto
from astropy.table import Table

from galaxyloop.errors import VoteTableError
from galaxyloop.table_files import read_batches, read_header


def read_columns_of(path: Path) -> dict[str, list[object]]:
    (batch,) = read_batches(str(path), read_header(str(path)), 100)
    return dict(batch.table.to_pydict())


def votable(fields: str, data: str, root: str = 'version="1.3"', table: str = "") -> str:
    content = f"<TABLE {table}>{fields}<DATA>{data}</DATA></TABLE>"
    return f'<?xml version="1.0"?><VOTABLE {root}><RESOURCE>{content}</RESOURCE></VOTABLE>'


LONG = '<FIELD name="id" datatype="long"/>'


@pytest.mark.parametrize("table", ["", 'nrows="4"'])
@pytest.mark.parametrize("n_bytes", [32, 24, 20])
def test_read_batches__refuses_a_votable_whose_stream_was_cut(
    n_bytes: int, table: str, tmp_path: Path
) -> None:
    data = base64.b64encode(struct.pack(">4q", 1, 2, 3, 4)[:n_bytes]).decode()
    stream = f'<BINARY><STREAM encoding="base64">{data}</STREAM></BINARY>'
    path = tmp_path / "t.vot"
    path.write_text(votable(LONG, stream, table=table))
    if n_bytes == 32 or (n_bytes == 24 and not table):  # The second is nothing that shows.
        assert read_columns_of(path) == {"id": [1, 2, 3, 4][: n_bytes // 8]}
    else:
        with pytest.raises(VoteTableError, match=rf"truncated: .* after {n_bytes // 8}.* whole"):
            read_columns_of(path)


@pytest.mark.parametrize("form", ["binary", "binary2"])
def test_read_batches__refuses_a_cut_stream_with_texts_of_any_length(
    form: str, tmp_path: Path
) -> None:
    table = Table(
        {
            "id": ["a", "", "bcd"],
            "n": [1, 2, 3],
            "flag": [True, False, True],
            "vector": [[1.0, 2.0]] * 3,
        }
    )
    path = tmp_path / "t.vot"
    document = from_table(table)
    document.get_first_table().fields[0].arraysize = "*"
    writeto(document, str(path), tabledata_format=form)
    text = re.sub(r' nrows="\d+"', "", path.read_text())
    path.write_text(text)
    whole = list(read_batches(str(path), ["id", "flag"], 5))
    assert whole[0].table.to_pydict() == {"id": ["a", "", "bcd"], "flag": [True, False, True]}
    (stream,) = re.findall(r"<STREAM[^>]*>([^<]*)<", text)
    for n_left in (3, 20, 40):
        cut = base64.b64encode(base64.b64decode(stream)[:-n_left]).decode()
        path.write_text(text.replace(stream, cut))
        with pytest.raises(VoteTableError, match="is truncated: its stream ends after"):
            list(read_batches(str(path), ["id"], 5))


@pytest.mark.parametrize(
    "root",
    [
        'version="1.1"',
        "version='1.2' xmlns=\"http://www.ivoa.net/xml/VOTable/v1.2\"",
        'version="1.4"',
        'xmlns:x="y"',
    ],
)
def test_read_batches__takes_empty_whole_numbers_for_null_in_every_version(
    root: str, tmp_path: Path
) -> None:
    cells = "".join(f"<TR><TD>{cell}</TD></TR>" for cell in ("5", "", "0"))
    path = tmp_path / "t.vot"
    path.write_text(votable(LONG, f"<TABLEDATA>{cells}</TABLEDATA>", root))
    assert read_columns_of(path) == {"id": [5, None, 0]}


def test_read_batches__refuses_a_number_that_its_column_cannot_hold(tmp_path: Path) -> None:
    path = tmp_path / "t.vot"
    rows = f"<TABLEDATA><TR><TD>{2**63}</TD></TR></TABLEDATA>"
    path.write_text(votable(LONG, rows))
    with pytest.raises(VoteTableError, match=f"is a damaged VOTable .*{2**63}"):
        read_columns_of(path)


@pytest.mark.parametrize("kind", ["BINARY", "BINARY2", "FITS"])
def test_read_header__follows_no_address_in_a_votable(kind: str, tmp_path: Path) -> None:
    (tmp_path / "payload").write_bytes(struct.pack(">q", 7))
    stream = f'<{kind}><STREAM href="file://{tmp_path}/payload"/></{kind}>'
    (tmp_path / "t.vot").write_text(votable(LONG, stream))
    with pytest.raises(VoteTableError, match="only names the place of its rows, or holds them as"):
        read_header(str(tmp_path / "t.vot"))

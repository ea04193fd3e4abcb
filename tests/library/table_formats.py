"""One table written in every format that galaxyloop reads, and an object store to put it in."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pandas as pd
import pytest
from astropy.io import fits
from astropy.io.votable import from_table
from astropy.table import Table

FORMATS = ("csv", "csv.gz", "parquet", "fits", "fits.gz", "vot", "binary.vot", "vot.gz")


def write_as(frame: pd.DataFrame, ending: str, path: Path) -> str:
    """Write a table without missing cells; gives the path as text."""
    plain = path.with_name(f"{path.name}.plain") if ending.endswith(".gz") else path
    kind = ending.removesuffix(".gz")
    if kind == "csv":
        frame.to_csv(plain, index=False)
    elif kind == "parquet":
        frame.to_parquet(plain, index=False)
    elif kind == "fits":
        hdu = fits.table_to_hdu(as_astropy(frame))
        hdus = [fits.PrimaryHDU(), fits.ImageHDU(np.zeros((3, 3)), name="COVERAGE"), hdu]
        fits.HDUList(hdus).writeto(plain)
    else:
        votable = from_table(as_astropy(frame))
        votable.get_first_table().format = "binary2" if "binary" in kind else "tabledata"
        votable.to_xml(str(plain))
    if plain != path:
        path.write_bytes(gzip.compress(plain.read_bytes()))
        plain.unlink()
    return str(path)


def as_astropy(frame: pd.DataFrame) -> Table:
    """The table with text as fixed-width cells, as FITS stores it."""
    return Table(
        {
            name: np.array(frame[name].tolist(), str)
            if pd.api.types.is_string_dtype(frame[name])
            else frame[name].to_numpy()
            for name in frame
        }
    )


@contextmanager
def object_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An S3 store on this machine, for as long as the block runs."""
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        # Connections are shared by settings, which do not hold the endpoint.
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        yield fsspec.filesystem("s3", skip_instance_cache=True)
    finally:
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        server.stop()

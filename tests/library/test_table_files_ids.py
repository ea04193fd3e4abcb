"""Ids whose last digits are lost are seen, and no others."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galaxyloop.errors import ManifestError, VoteTableError
from galaxyloop.table_files import FLOAT_ID, IdDigits, check_id_digits


def complaint(ids: np.ndarray) -> str:
    digits = IdDigits()
    digits.add(pa.array(ids))
    return digits.complaint()


def through_float(ids: np.ndarray) -> np.ndarray:
    return ids.astype(np.float64).astype(np.int64)


def sdss_objects(n: int) -> np.ndarray:
    """SDSS objID: 1237 648 ... with random run, field and object numbers."""
    random = np.random.default_rng(0)
    run, camera, field = random.integers(90, 8000, n), random.integers(1, 7, n), None
    field, number = random.integers(11, 800, n), random.integers(1, 900, n)
    return (1 << 60) + (301 << 48) + (run << 32) + (camera << 29) + (field << 16) + number


def sdss_spectra(n: int, plates: tuple[int, int], reductions: list[int]) -> np.ndarray:
    """SDSS specObjID: plate, fibre, day and reduction, then ten zero bits."""
    random = np.random.default_rng(1)
    plate, fibre = random.integers(*plates, n), random.integers(1, 1001, n)
    day, reduction = random.integers(5100, 8600, n), random.choice(reductions, n)
    return (plate << 50) + (fibre << 38) + (day << 24) + (reduction << 10)


def test_id_digits__sees_ids_that_went_through_floats() -> None:
    ids = sdss_objects(200)
    assert complaint(ids) == ""
    told = complaint(through_float(ids))
    assert told.startswith(f"all 200 ids above 2^53, such as {through_float(ids)[0]}, are multip")
    assert "take them from the original table" in told
    assert complaint(-through_float(ids)).startswith("all 200 ids")
    assert complaint(through_float(ids).astype(str)) == told
    assert complaint(np.append(through_float(ids), ids[0] | 1)) == ""


def test_id_digits__sees_ids_that_a_spreadsheet_cut() -> None:
    ids = sdss_objects(100)
    cut = ids // 10**4 * 10**4
    assert "end in zeros after the 15th: a spreadsheet cut them" in complaint(cut)
    assert complaint(np.append(cut, ids[0])) == ""


@pytest.mark.parametrize(
    "make",
    [
        lambda: sdss_spectra(3000, (266, 3000), [26, 103, 104]),
        lambda: sdss_spectra(3000, (3500, 8191), [1301, 1303]),
        lambda: np.arange(300, 900) * 10**15 + np.arange(600) * 10**7,
        lambda: np.arange(1000) * 10**16,
        lambda: np.arange(1000) + 10**15,
        lambda: (np.arange(1000) + 10**15) * 1000,
        lambda: (np.arange(1000) + 2**40) << 20,
        lambda: np.arange(1000),
        lambda: through_float(sdss_objects(19)),
        lambda: np.tile(through_float(sdss_objects(15)), 100),
        lambda: np.zeros(0, np.int64),
    ],
)
def test_id_digits__leaves_ids_alone_that_end_in_zeros_by_design(
    make: Callable[[], np.ndarray],
) -> None:
    assert complaint(make()) == ""
    assert complaint(make().astype(str)) == ""


@settings(max_examples=10, deadline=None)
@given(n_bits=st.integers(56, 63), seed=st.integers(0, 1000), n_batches=st.sampled_from([1, 2, 7]))
def test_id_digits__decides_alike_whatever_the_batches(
    n_bits: int, seed: int, n_batches: int
) -> None:
    random = np.random.default_rng(seed)
    ids = random.integers(2 ** (n_bits - 1), min(2**n_bits - 1, 9 * 10**18), 400)
    for expected, column in ((False, ids), (True, through_float(ids))):
        digits = IdDigits()
        for part in np.array_split(column, n_batches):
            digits.add(pa.array(part))
        assert bool(digits.complaint()) == expected
        assert digits.complaint() == complaint(column)


def test_check_id_digits__takes_ids_with_zeros_before_them() -> None:
    padded = pa.array([f"{i:018d}" for i in range(1, 50)] + ["0000000000000123", "-0"])
    check_id_digits(padded, "t", "objid")


def test_check_id_digits__names_table_and_column() -> None:
    ids = pa.chunked_array([pa.array(through_float(sdss_objects(50)))])
    with pytest.raises(VoteTableError, match="t.csv: in column 'objid' all 50 ids above"):
        check_id_digits(ids, "t.csv", "objid")
    with pytest.raises(ManifestError, match="take them from the original table"):
        check_id_digits(ids.cast(pa.string()).dictionary_encode(), "t.csv", "objid", ManifestError)
    check_id_digits(pa.array(["J1", None, "iau"]), "t.csv", "objid")
    check_id_digits(pa.array([2**64 - 1, None], pa.uint64()), "t.csv", "objid")
    check_id_digits(pa.array([1.5]), "t.csv", "objid")


@pytest.mark.parametrize(
    ("text", "is_float"),
    [
        ("5.877e+17", True),
        ("6e+17", True),
        ("587722981742084144.0", True),
        ("12.", True),
        ("587722981742084144", False),
        ("12345e67", False),
        ("J0123.4", False),
        ("12.5", False),
        ("1_2", False),
    ],
)
def test_float_id__knows_numbers_in_floating_point(text: str, is_float: bool) -> None:
    assert bool(FLOAT_ID.fullmatch(text)) == is_float


@pytest.mark.skipif("GALAXYLOOP_REAL_DATA" not in os.environ, reason="needs published tables")
def test_id_digits__tells_real_ids_from_those_that_were_rounded() -> None:
    tables = Path(os.environ["GALAXYLOOP_REAL_DATA"]) / "tables"
    published = pd.read_csv(tables / "gz2_stripe82_coadd_votes.csv.gz", usecols=["objid"])
    ids = np.sort(published["objid"].to_numpy(np.int64))
    assert complaint(ids) == ""
    assert all(complaint(part) == "" for part in np.array_split(ids, 600))
    assert complaint(through_float(ids)).startswith(f"all {len(ids)} ids above 2^53")
    mergers = pd.read_csv(tables / "darg_mergers.csv", usecols=["object1", "object2"], dtype=str)
    assert complaint(mergers["object1"].to_numpy(str)) == ""
    # The published table has the second galaxies' ids as rounded by a float.
    assert complaint(mergers["object2"].to_numpy(str)).startswith("all 3003 ids above 2^53")

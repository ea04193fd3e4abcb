"""Ids that lost their last digits: by a float64, which keeps 53 bits, or by a spreadsheet."""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from galaxyloop.errors import GalaxyloopError, VoteTableError

FLOAT_ID = re.compile(r"[+-]?\d+(\.\d*[eE][+-]?\d+|[eE]\+\d+|\.0*)")
"""An id that was written as a floating-point number: 5.877e+17, 6e+17 or 587722981742084144.0.

Ids such as 12e5 are left alone: hexadecimal ones look like that."""

_MIN_IDS = 20
_ENOUGH = 100
_MIN_ODD = 5
"""Ids that are no multiples of twice their spacing; ids with more zeros by design have none."""
_MIN_BITS = 30
"""Ids with random last digits are all multiples of their spacings with a chance of 2^-30, 1e-9."""
_MIN_SPACING_BITS = 3
_SPREADSHEET_DIGITS = 15
_MIN_ZEROS = 2
_LONG = r"^-?([1-8][0-9]{18}|[1-9][0-9]{15,17})$"


class IdDigits:
    """Looks at the ids of a table, some at a time, for signs that their last digits are lost.

    A whole number above 2^53 that went through a float64 is a multiple of the spacing of floats at
    its size: 128 for SDSS's 18 digits. Ids are held for rounded if all above 2^53 are multiples, at
    least 20 different ones where the spacing is 8 or more, with a chance below 1e-9; and if that
    is not their design: some are no multiples of twice the spacing, and they share no odd divisor.
    A spreadsheet keeps 15 digits and writes zeros behind them.
    """

    def __init__(self) -> None:
        """Begin without ids."""
        self._n_long = 0
        self._example = 0
        self._may_be_rounded = True
        self._n_big, self._divisor = 0, 0
        self._told: set[int] = set()
        self._odd: set[int] = set()
        self._may_be_cut = True
        self._cut: set[int] = set()

    def add(self, ids: "pa.Array | pa.ChunkedArray") -> None:
        """Look at some more ids, text or whole numbers."""
        if not (self._may_be_rounded or self._may_be_cut):
            return
        numbers = _long_numbers(ids)
        if not len(numbers):
            return
        self._n_long += len(numbers)
        self._example = self._example or int(numbers[0])
        sizes = np.abs(numbers)
        self._look_for_floats(sizes)
        self._look_for_spreadsheets(sizes)

    def complaint(self) -> str:
        """What happened to the ids, with the remedy; empty if nothing shows."""
        n_bits = sum(number.bit_length() - 53 for number in self._told)
        enough = len(self._told) >= _MIN_IDS and n_bits >= _MIN_BITS
        by_design = len(self._odd) < _MIN_ODD
        if self._may_be_rounded and enough and not by_design and _odd_part(self._divisor) == 1:
            return (
                f"all {self._n_big} ids above 2^53, such as {self._example}, are multiples of the "
                "spacing of float64 numbers at their size: they went through floating point and "
                "lost their last digits; take them from the original table, as text or as whole "
                "numbers"
            )
        if self._may_be_cut and len(self._cut) >= _MIN_IDS:
            return (
                f"all {self._n_long} ids of more than {_SPREADSHEET_DIGITS} digits, such as "
                f"{self._example}, end in zeros after the {_SPREADSHEET_DIGITS}th: a spreadsheet "
                "cut them; take them from the original table, as text"
            )
        return ""

    def _look_for_floats(self, sizes: np.ndarray) -> None:
        """Whether ids are multiples of the spacing of floats, and how telling that is."""
        big = sizes[sizes > 2**53]
        if not self._may_be_rounded or not len(big):
            return
        spacing_bits = _bit_length(big) - 53
        zeros = _trailing_zero_bits(big)
        if (zeros < spacing_bits).any():
            self._may_be_rounded = False
            return
        self._n_big += len(big)
        told = (spacing_bits >= _MIN_SPACING_BITS) & ~_may_be_spectra(big)
        _remember(big[told], self._told)
        _remember(big[told & (zeros == spacing_bits)], self._odd)
        self._divisor = int(np.gcd.reduce(np.append(big, self._divisor)))

    def _look_for_spreadsheets(self, sizes: np.ndarray) -> None:
        """Whether ids have no digits but zeros after the fifteenth."""
        if not self._may_be_cut:
            return
        n_digits = np.char.str_len(sizes.astype("U20"))
        behind = 10 ** (n_digits - _SPREADSHEET_DIGITS)
        if (sizes % behind != 0).any():
            self._may_be_cut = False
            return
        is_full = sizes % (behind * 10) != 0
        _remember(sizes[is_full & (n_digits >= _SPREADSHEET_DIGITS + _MIN_ZEROS)], self._cut)


def check_id_digits(
    ids: "pa.Array | pa.ChunkedArray",
    uri: str,
    column: str,
    refuse: type[GalaxyloopError] = VoteTableError,
) -> None:
    """Refuse a column of ids whose last digits are lost.

    Args:
        ids: the whole column, text or whole numbers; ``IdDigits`` takes it in pieces.
        uri: names the table in errors.
        column: names the column in errors.
        refuse: the error class.

    Raises:
        GalaxyloopError: of class ``refuse``: they are, practically certainly.
    """
    digits = IdDigits()
    digits.add(ids)
    complaint = digits.complaint()
    if complaint:
        raise refuse(f"{uri}: in column '{column}' {complaint}")


def _long_numbers(ids: "pa.Array | pa.ChunkedArray") -> np.ndarray:
    """Ids of 16 digits or more as int64; others are left out."""
    if pa.types.is_dictionary(ids.type):
        ids = (
            ids.dictionary_decode() if isinstance(ids, pa.Array) else ids.cast(ids.type.value_type)
        )
    if pa.types.is_integer(ids.type):
        is_wide = ids.type.bit_width == 64
        numbers = pc.drop_null(ids).to_numpy() if is_wide else np.zeros(0, np.int64)
        numbers = numbers[numbers < 9 * 10**18].astype(np.int64)
        return numbers[(numbers >= 10**15) | (numbers <= -(10**15))]
    if not (pa.types.is_string(ids.type) or pa.types.is_large_string(ids.type)):
        return np.zeros(0, np.int64)
    is_long = pc.fill_null(pc.match_substring_regex(ids, _LONG), False)
    return np.asarray(pc.cast(ids.filter(is_long), pa.int64()).to_numpy())


def _remember(numbers: np.ndarray, seen: set[int]) -> None:
    """Keep some different numbers, as a table may have one id many times."""
    if len(seen) < _ENOUGH:
        seen.update(np.unique(numbers)[:_ENOUGH].tolist())


def _may_be_spectra(sizes: np.ndarray) -> np.ndarray:
    """Ids that may be SDSS's specObjID of 2^62 and above, multiples of 2^10 by design.

    Their bits are plate (14, here 4096 to 8191: BOSS and eBOSS), fibre (12), days since MJD 50000
    (14), version of the reduction (14), and ten zeros.
    """
    fibre, days = (sizes >> 38) & 0xFFF, (sizes >> 24) & 0x3FFF
    is_fibre = (fibre >= 1) & (fibre <= 1000)
    return np.asarray((sizes >= 2**62) & is_fibre & (days >= 4500) & (days <= 9500))


def _bit_length(numbers: np.ndarray) -> np.ndarray:
    """Bits of positive whole numbers; floats round up near powers of two, which is mended."""
    bits = np.minimum(np.frexp(numbers.astype(np.float64))[1].astype(np.int64), 63)
    return np.asarray(bits - (numbers < np.left_shift(np.int64(1), bits - 1)))


def _trailing_zero_bits(numbers: np.ndarray) -> np.ndarray:
    """Zeros at the end of whole numbers above 0, in binary."""
    lowest = numbers & -numbers
    return np.asarray(np.frexp(lowest.astype(np.float64))[1].astype(np.int64) - 1)


def _odd_part(number: int) -> int:
    """The number without its factors of two."""
    return number // (number & -number) if number else 0

"""Sky positions of a manifest: which columns hold them, and what is no position in degrees."""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float64

from galaxyloop.errors import GalaxyloopError, ManifestError
from galaxyloop.table_files import TableColumn

logger = logging.getLogger("galaxyloop")

PAIRS = (
    ("ra_deg", "dec_deg"),
    ("ra", "dec"),
    ("right_ascension", "declination"),
    ("_raj2000", "_dej2000"),
    ("raj2000", "dej2000"),
    ("ra_icrs", "de_icrs"),
    ("radeg", "dedeg"),
    ("alpha_j2000", "delta_j2000"),
)
"""Names that columns of positions have, in any case; the first pair that a table has is read."""
_DEGREES = {"", "deg", "degs", "degree", "degrees", "decimal degrees", "°"}
_OTHER_UNITS = {"hours", "hour", "hr", "h", "hms", "rad", "radians"}
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_SEXAGESIMAL = r"[+-]?\d{1,3}\s*[:hd°\s]\s*\d{1,2}\s*[:m'′\s]\s*\d{1,2}(?:\.\d*)?\s*[s\"″]?"
_PLACEHOLDER = r"-9{2,}(?:\.(?:0+|9+)?)?"
_ABSENT = ["", "nan", "null", "none", "<na>", "--"]
_TEXT_LIKE = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_null,
)
_MIN_SWAPPED = 10
_MIN_TO_WARN = 50


def find_positions(
    columns: Sequence[TableColumn], uri: str, refuse: type[GalaxyloopError] = ManifestError
) -> dict[str, str]:
    """The columns of a table that hold right ascension and declination: the first whole pair.

    Args:
        columns: the table's.
        uri: names the table.
        refuse: the error class.

    Returns:
        ``ra_deg`` and ``dec_deg`` to the names that the table has for them; empty if it has none.

    Raises:
        GalaxyloopError: of class ``refuse``: they state another unit than degrees, or one of two
            is missing.
    """
    halves: list[dict[str, TableColumn]] = []
    for pair in PAIRS:
        found = {
            name: column
            for name, wanted in zip(("ra_deg", "dec_deg"), pair, strict=True)
            if (column := _find(columns, wanted, uri, refuse)) is not None
        }
        if len(found) == 2:
            return in_degrees(found, uri, refuse)
        halves += [found] if found else []
    if halves:
        ((name, column),) = halves[0].items()
        if column.name.casefold() == name:
            # Where ra_deg or dec_deg stands alone, each row is rejected for want of the other.
            return in_degrees(halves[0], uri, refuse)
        raise refuse(
            f"{uri} has the column {column.name} and no other that makes a pair of positions with "
            "it; give both, named ra_deg and dec_deg, or neither"
        )
    _refuse_other_units(columns, uri, refuse)
    return {}


def degrees(
    column: "pa.Array | pa.ChunkedArray",
    name: str,
    uri: str,
    refuse: type[GalaxyloopError] = ManifestError,
) -> Float64[np.ndarray, " row"]:
    """A column of coordinates as any table stores it, in degrees.

    NaN where a cell is absent, a placeholder such as -999, or no number; ``parse_angles`` tells
    these apart. A float32 is read as the shortest decimal number that it stands for, as in csv.

    Args:
        column: numbers or text.
        name: names the column in errors.
        uri: names the table in errors.
        refuse: the error class.

    Raises:
        GalaxyloopError: of class ``refuse``: the column stores neither numbers nor text.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
        column = column.cast(kind)
    if pa.types.is_float64(kind) or pa.types.is_integer(kind):
        values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False).copy()
        values[~np.isfinite(values)] = np.nan
        # Only here can placeholders lie.
        is_low = values <= -99
        values[is_low] = _parse(pa.array(values[is_low]).cast(pa.string()))
        return np.asarray(values)
    if not any(is_kind(kind) for is_kind in _TEXT_LIKE):
        raise refuse(f"{uri}: column '{name}' stores {kind}; positions must be decimal degrees")
    return _parse(column.cast(pa.string()))


def _parse(texts: "pa.Array | pa.ChunkedArray") -> np.ndarray:
    """Text to degrees, NaN where it is none."""
    cells = pd.Series(pc.fill_null(texts, "").to_pandas(), dtype=str)
    return parse_angles(cells)[0].to_numpy(np.float64)


def parse_angles(cells: pd.Series) -> tuple[pd.Series, list[tuple[pd.Series, str]]]:
    """Text to degrees; absent and placeholders such as -999 are NaN.

    Returns:
        The numbers, and for each reason why a cell is none which cells it befell.
    """
    text = cells.str.strip()
    is_number = text.str.fullmatch(_NUMBER)
    told = (is_number & ~text.str.fullmatch(_PLACEHOLDER)).to_numpy(bool)
    values = np.full(len(text), np.nan)
    values[told] = text[told].to_numpy(object).astype(np.float64)
    is_endless = told & ~np.isfinite(values)
    values[is_endless] = np.nan
    is_text = ~is_number & ~text.str.lower().isin(_ABSENT)
    is_sexagesimal = is_text.copy()
    is_sexagesimal[is_text] = text[is_text].str.fullmatch(_SEXAGESIMAL)
    broken = [
        (is_sexagesimal, "sexagesimal; give decimal degrees"),
        (is_text & ~is_sexagesimal | is_endless, "not a number"),
    ]
    return pd.Series(values, index=cells.index), broken


class PositionRange:
    """What a table's positions together look like, seen some at a time."""

    def __init__(self) -> None:
        """Begin with none."""
        self._n_known, self._n_beyond, self._beyond = 0, 0, 0.0
        self._low, self._high = np.full(2, np.inf), np.full(2, -np.inf)

    def add(self, rows: pd.DataFrame) -> None:
        """Look at ``ra_deg`` and ``dec_deg`` of some more rows, before rows are rejected."""
        known = rows[["ra_deg", "dec_deg"]].dropna().to_numpy(np.float64)
        beyond = known[np.abs(known[:, 1]) > 90, 1]
        if not self._n_beyond and len(beyond):
            self._beyond = beyond[0]
        self._n_known += len(known)
        self._n_beyond += len(beyond)
        self._low = np.minimum(self._low, known.min(axis=0, initial=np.inf))
        self._high = np.maximum(self._high, known.max(axis=0, initial=-np.inf))

    def check(self, uri: str, refuse: type[GalaxyloopError] = ManifestError) -> None:
        """Look for coordinates that are swapped or in another unit.

        Small fields and strips of the sky look like hours or radians, so of these a warning tells.

        Args:
            uri: names the table.
            refuse: the error class.

        Raises:
            GalaxyloopError: of class ``refuse``: most declinations are beyond 90 degrees
                and no right ascension is.
        """
        of_ra, of_dec = self._high - self._low
        ra_most, dec_most = np.maximum(-self._low, self._high)
        if self._n_known >= _MIN_SWAPPED and 2 * self._n_beyond > self._n_known and ra_most <= 90:
            raise refuse(
                f"{uri}: {self._n_beyond} of {self._n_known} declinations are beyond 90 degrees, "
                f"as {self._beyond:g}, and all right ascensions are within: the two columns "
                "look swapped; exchange their names"
            )
        if self._n_known < _MIN_TO_WARN:
            return
        within_radians = ra_most <= 2 * np.pi and dec_most <= np.pi / 2
        if within_radians and of_ra > np.pi and of_dec > 1:
            _warn(uri, self._n_known, "radians", "multiply by 180 / pi")
        elif self._low[0] >= 0 and self._high[0] <= 24 and of_ra > 12 and of_dec > 60:
            _warn(uri, self._n_known, "hours of right ascension", "multiply ra by 15")


def check_positions(
    rows: pd.DataFrame, uri: str, refuse: type[GalaxyloopError] = ManifestError
) -> None:
    """As ``PositionRange.check``, of positions that are all at hand."""
    positions = PositionRange()
    positions.add(rows)
    positions.check(uri, refuse)


def _warn(uri: str, n_known: int, unit: str, remedy: str) -> None:
    """Say that positions look like another unit."""
    logger.warning(
        f"{uri}: all {n_known} positions would fit {unit} as well as degrees, which they are taken "
        f"for; if they are {unit}, {remedy}"
    )


def _find(
    columns: Sequence[TableColumn], wanted: str, uri: str, refuse: type[GalaxyloopError]
) -> TableColumn | None:
    """The column of a name: as it stands, else in another case."""
    same = [column for column in columns if column.name.casefold() == wanted]
    exact = [column for column in same if column.name == wanted]
    if len(same) > 1 and not exact:
        raise refuse(
            f"{uri} has the columns {', '.join(column.name for column in same)}, which differ in "
            f"case only; name the one with positions {'ra_deg' if 'r' in wanted else 'dec_deg'}"
        )
    return next(iter([*exact, *same]), None)


def in_degrees(
    found: Mapping[str, TableColumn], uri: str, refuse: type[GalaxyloopError]
) -> dict[str, str]:
    """The columns' names, if none states a unit that is not degrees.

    Raises:
        GalaxyloopError: of class ``refuse``: one does.
    """
    for column in found.values():
        if column.unit.strip("\"'. ").casefold() not in _DEGREES:
            raise refuse(
                f"{uri} states the unit of {column.name} as {column.unit!r}; store decimal degrees "
                "(hours times 15, radians times 180 / pi)"
            )
    return {name: column.name for name, column in found.items()}


def _refuse_other_units(
    columns: Sequence[TableColumn], uri: str, refuse: type[GalaxyloopError]
) -> None:
    """Refuse a table whose only positions are, by their name, in another unit."""
    for column in columns:
        start, _, unit = column.name.casefold().partition("_")
        if start in ("ra", "dec") and unit in _OTHER_UNITS:
            raise refuse(
                f"{uri} has positions in {column.name} only; give ra_deg and dec_deg in decimal "
                f"degrees (hours times 15, radians times 180 / pi), or leave out {column.name}"
            )

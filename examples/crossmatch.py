"""Ask an exported catalogue about a place on the sky, and about galaxies of another list.

After `make demo`:

galaxyloop export demo/catalogue.parquet --format hats --output demo
python examples/crossmatch.py demo/catalogue_hats demo/survey/manifest.csv

The list is any csv with positions in degrees; here it is the survey's own, moved by a third of an
arcsecond as another telescope would measure it, so that the right answer is known.
"""

import argparse
from pathlib import Path

import lsdb
import numpy as np
import pandas as pd

SCATTER_ARCSEC = 0.3
_SHOWN = 5


def main() -> None:
    """Search a cone around the list's first galaxy, then match the whole list."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("catalogue", type=Path, help="what `galaxyloop export --format hats` wrote")
    parser.add_argument("positions", type=Path, help="csv of another list")
    parser.add_argument("--columns", nargs=2, default=("ra_deg", "dec_deg"), metavar=("RA", "DEC"))
    parser.add_argument("--id", default="id_str", metavar="NAME", help="the list's column of ids")
    parser.add_argument("--cone-arcmin", type=float, default=60.0)
    parser.add_argument("--radius-arcsec", type=float, default=1.0)
    options = parser.parse_args()
    others = read_positions(options.positions, options.id, tuple(options.columns))
    catalogue = lsdb.open_catalog(options.catalogue)
    found = search_cone(catalogue, others.iloc[0], options.cone_arcmin)
    print(f"{len(found)} galaxies within {options.cone_arcmin:g} arcmin of {others['name'][0]}")
    print(found.iloc[:_SHOWN, :4].to_string(index=False))
    matched = match(catalogue, others, options.radius_arcsec)
    is_itself = matched["name"] == matched["id_str"]
    print(
        f"\n{len(matched)} of {len(others)} positions match within {options.radius_arcsec:g} "
        f"arcsec, median separation {matched['_dist_arcsec'].median():.2f} arcsec; "
        f"{is_itself.sum()} bear the same id, the others are further images of a galaxy"
    )


def read_positions(path: Path, id_column: str, columns: tuple[str, str]) -> pd.DataFrame:
    """``name, ra, dec`` of a list, moved as another telescope would measure it."""
    table = pd.read_csv(path, dtype={id_column: str}).dropna(subset=list(columns))
    ra, dec = (table[column].to_numpy(dtype=np.float64) for column in columns)
    east, north = np.random.default_rng(0).normal(0, SCATTER_ARCSEC / 3600, (2, len(table)))
    return pd.DataFrame(
        {
            "name": table[id_column].to_numpy(),
            "ra": (ra + east / np.cos(np.radians(dec))) % 360,
            "dec": np.clip(dec + north, -90, 90),
        }
    )


def search_cone(catalogue: lsdb.Catalog, centre: pd.Series, radius_arcmin: float) -> pd.DataFrame:
    """The catalogue's galaxies around a place; only files of that part of the sky are read."""
    cone = catalogue.cone_search(centre["ra"], centre["dec"], radius_arcsec=60 * radius_arcmin)
    return pd.DataFrame(cone.compute())


def match(catalogue: lsdb.Catalog, others: pd.DataFrame, radius_arcsec: float) -> pd.DataFrame:
    """The nearest galaxy of the catalogue to each position, if one is near enough.

    The catalogue comes second: its margin holds neighbours over the borders of its files.
    """
    there = lsdb.from_dataframe(others, ra_column="ra", dec_column="dec", margin_threshold=None)
    matched = there.crossmatch(
        catalogue, radius_arcsec=radius_arcsec, suffix_method="overlapping_columns"
    )
    return pd.DataFrame(matched.compute())


if __name__ == "__main__":
    main()

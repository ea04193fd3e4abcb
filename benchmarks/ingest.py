"""Everything that comes in, together: FITS images, packed and distant images, vote tables."""

from benchmarks import ingest_fits, ingest_storage, ingest_tables
from benchmarks.harness import Gate, finish, parse_arguments

PARTS = {"fits": ingest_fits, "storage": ingest_storage, "tables": ingest_tables}
"""Each has ``figures`` and runs by itself too: ``python -m benchmarks.ingest_tables``."""


def main() -> None:
    """Measure each part in turn."""
    arguments = parse_arguments(__doc__ or "")
    found: dict[str, object] = {}
    gates: list[Gate] = []
    for name, part in PARTS.items():
        figures, bounds = part.figures(arguments.quick)
        found |= {f"{name}_{figure}": value for figure, value in figures.items()}
        gates += bounds
    finish("ingest", found, gates, arguments)


if __name__ == "__main__":
    main()

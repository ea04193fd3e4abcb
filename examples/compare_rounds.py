"""Held-out errors of several rounds side by side, question by question, as a Markdown table.

Usage: python examples/compare_rounds.py ROUND/metrics.csv OTHER_ROUND/metrics.csv ...
"""

import argparse
from pathlib import Path

import pandas as pd


def main() -> None:
    """Print the table of the galaxies that all rounds held out in turn."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("metrics", type=Path, nargs="+", help="metrics.csv of a round's output")
    print(compare(parser.parse_args().metrics))


def compare(paths: list[Path]) -> str:
    """One line a question, two columns a round: error of the fractions, ratio to guessing."""
    rounds = {path.parent.name: read_round(path) for path in paths}
    questions = dict.fromkeys(question for table in rounds.values() for question in table.index)
    heads = [f"{name}: RMSE | ratio to predicting the mean" for name in rounds]
    lines = [f"| question | galaxies | {' | '.join(heads)} |", "|---" * (2 * len(heads) + 2) + "|"]
    for question in questions:
        rows = [table.reindex([question]).iloc[0] for table in rounds.values()]
        n_galaxies = max(int(row["n_galaxies"]) for row in rows if row.notna().any())
        cells = [f"{_show(row['rmse'], 3)} | {_show(row['rmse_ratio'], 2)}" for row in rows]
        lines.append(f"| {question} | {n_galaxies or ''} | {' | '.join(cells)} |")
    return "\n".join(lines)


def read_round(path: Path) -> pd.DataFrame:
    """Metrics of all folds if there are some, else of the test galaxies; a row a question."""
    table = pd.read_csv(path)
    held_out = "folds" if (table["galaxies"] == "folds").any() else "test"
    table = table[table["galaxies"] == held_out]
    wide = table.pivot_table(index="question", columns="metric", values="value", sort=False)
    n_galaxies = table.groupby("question")["n_galaxies"].max()
    return wide.reindex(columns=["rmse", "rmse_ratio"]).assign(n_galaxies=n_galaxies)


def _show(value: float, digits: int) -> str:
    """A number, or nothing where a round has none."""
    return "" if pd.isna(value) else f"{value:.{digits}f}"


if __name__ == "__main__":
    main()

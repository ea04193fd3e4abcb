"""Held-out errors of several rounds side by side, question by question, as a Markdown table.

Usage: python examples/compare_rounds.py ROUND/metrics.csv OTHER_ROUND/metrics.csv ...
"""

import argparse
from pathlib import Path

import pandas as pd

from galaxyloop.metrics import ALL_QUESTIONS, overall_name


def main() -> None:
    """Print the table of the galaxies that all rounds held out in turn."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("metrics", type=Path, nargs="+", help="metrics.csv of a round's output")
    print(compare(parser.parse_args().metrics))


def compare(paths: list[Path]) -> str:
    """One line a question, two columns a round: error of the fractions, ratio to guessing.

    Averages over questions come last; that of a round with one campaign bears its name too.
    """
    names = [path.absolute().parent.name for path in paths]
    if len(set(names)) < len(names):
        raise SystemExit(
            f"rounds are told apart by their folders' names, which must differ, got "
            f"{', '.join(names)}; rename one"
        )
    rounds = {name: read_round(path) for name, path in zip(names, paths, strict=True)}
    questions = dict.fromkeys(question for table in rounds.values() for question in table.index)
    heads = [f"{name}: RMSE | ratio to predicting the mean" for name in rounds]
    lines = [f"| question | galaxies | {' | '.join(heads)} |", "|---" * (2 * len(heads) + 2) + "|"]
    for question in sorted(questions, key=_rank):
        rows = [table.reindex([question]).iloc[0] for table in rounds.values()]
        counts = [int(row["n_galaxies"]) for row in rows if pd.notna(row["n_galaxies"])]
        cells = [f"{_show(row['rmse'], 3)} | {_show(row['rmse_ratio'], 2)}" for row in rows]
        lines.append(f"| {question} | {max(counts, default='')} | {' | '.join(cells)} |")
    return "\n".join(lines)


def read_round(path: Path) -> pd.DataFrame:
    """Metrics of all folds if there are some, else of the test galaxies; a row a question.

    Galaxies are those that the error is over; averages over questions have no such number.
    """
    table = pd.read_csv(path)
    held_out = "folds" if (table["galaxies"] == "folds").any() else "test"
    table = table[table["galaxies"] == held_out]
    is_average_of_one = (table["question"] == ALL_QUESTIONS) & (table["campaign"] != ALL_QUESTIONS)
    named = table["question"].mask(is_average_of_one, table["campaign"].map(overall_name))
    table = table.assign(question=named)
    wide = table.pivot_table(index="question", columns="metric", values="value", sort=False)
    n_galaxies = table[table["metric"] == "rmse"].set_index("question")["n_galaxies"]
    return wide.reindex(columns=["rmse", "rmse_ratio"]).assign(n_galaxies=n_galaxies)


def _rank(question: str) -> int:
    """Questions first, then each campaign's average, then the average of all."""
    if question == ALL_QUESTIONS:
        return 2
    return 1 if question.startswith(overall_name("")) else 0


def _show(value: float, digits: int) -> str:
    """A number, or nothing where a round has none."""
    return "" if pd.isna(value) else f"{value:.{digits}f}"


if __name__ == "__main__":
    main()

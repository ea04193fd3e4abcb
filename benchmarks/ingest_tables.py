"""Checking a published table of votes: batch by batch, against pandera on the whole table."""

import json
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pyarrow
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.harness import Gate, at_least, at_most, finish, parse_arguments, time_pairs
from galaxyloop.campaigns import Campaign, find_campaign
from galaxyloop.vote_tables import VotesConfig, VoteSource, read_vote_table, validate_vote_tables
from schemas.votes import judge_votes

CAMPAIGN = "gz_decals_dr5"
N_TOTALS = 5
"""With the id and 34 answers, 40 columns."""
MIN_SPEED_UP = 3.0
MAX_BYTES_A_ROW = 32.0
"""What an id may cost; nothing else grows with rows."""
_ROWS_AT_ONCE = 131_072
_FLOAT_ID = r"[+-]?\d+(\.\d*[eE][+-]?\d+|[eE]\+\d+|\.0*)"


def write_table(path: Path, n_rows: int) -> None:
    """A parquet table of votes whose volunteers all walk the tree to its end.

    Counts are whole floats, as tables of several campaigns publish them. Rows are drawn once and
    repeated with ids of their own: what a row holds does not matter to the time that it takes.
    """
    votes = _walk_tree(find_campaign(CAMPAIGN), min(n_rows, _ROWS_AT_ONCE))
    kinds = [("iauname", pyarrow.string()), *[(name, pyarrow.float64()) for name in votes]]
    schema = pyarrow.schema(kinds)
    with pq.ParquetWriter(path, schema) as writer:
        for first in range(0, n_rows, _ROWS_AT_ONCE):
            n_here = min(_ROWS_AT_ONCE, n_rows - first)
            columns = [pyarrow.array(column[:n_here]) for column in votes.values()]
            names = _names(first, n_here)
            writer.write_table(pyarrow.Table.from_arrays([names, *columns], schema=schema))


def _walk_tree(campaign: Campaign, n_rows: int) -> dict[str, np.ndarray]:
    """Published counts and totals."""
    generator = np.random.default_rng(0)
    votes: dict[str, np.ndarray] = {}
    published: dict[str, np.ndarray] = {}
    for question in campaign.tree.questions:
        parents = [votes[column] for column in question.asked_after]
        asked = np.sum(parents, axis=0) if parents else generator.integers(30, 41, n_rows)
        shares = generator.dirichlet(np.ones(len(question.answers)))
        drawn = generator.multinomial(asked, shares)
        votes.update(zip(question.columns, drawn.T, strict=True))
    for spelled, column in campaign.published.answers.items():
        published[spelled] = votes[column].astype(float)
    for name, columns in _totals(campaign).items():
        published[name] = np.sum([published[column] for column in columns], axis=0)
    return published


def _totals(campaign: Campaign) -> dict[str, list[str]]:
    """Published totals of the first questions, and the published answers they are sums of."""
    spelled = {column: name for name, column in campaign.published.answers.items()}
    questions = dict(list(campaign.published.questions.items())[:N_TOTALS])
    return {
        f"{name}_total-votes": [
            spelled[column] for column in campaign.tree.question(question).columns
        ]
        for name, question in questions.items()
    }


def _names(first: int, n_rows: int) -> pyarrow.Array:
    """Names like J112953.88+000427.4 in no order."""
    # The factor has no divisor in common with 10, so that no number comes twice.
    numbers = (np.arange(first, first + n_rows) * 736_878_719_333) % 10**15
    digits = pc.utf8_lpad(pc.cast(pyarrow.array(numbers), pyarrow.string()), 15, "0")
    parts = [pc.utf8_slice_codeunits(digits, *cut) for cut in ((0, 6), (6, 8), (8, 14), (14, 15))]
    east = pc.binary_join_element_wise("J", parts[0], "")
    north = pc.binary_join_element_wise("+", parts[2], "")
    return pc.binary_join_element_wise(
        pc.binary_join_element_wise(east, parts[1], "."),
        pc.binary_join_element_wise(north, parts[3], "."),
        "",
    )


def validate_with_pandera(path: Path) -> None:
    """The same checks by pandera's means on the whole table."""
    campaign, config = find_campaign(CAMPAIGN), VotesConfig()
    table = pd.read_parquet(path)
    votes = pa.Column(
        float,
        [
            pa.Check.ge(0),
            pa.Check.le(config.max_votes),
            pa.Check(lambda cells: cells == np.floor(cells)),
        ],
        nullable=False,
    )
    ids = pa.Column(
        str,
        [
            pa.Check(lambda names: names == names.str.strip()),
            pa.Check(lambda names: ~names.str.casefold().isin(["", "nan", "none", "null", "<na>"])),
            pa.Check(lambda names: ~names.str.fullmatch(_FLOAT_ID)),
        ],
        nullable=False,
        unique=True,
    )
    columns = {"iauname": ids, **dict.fromkeys(table.columns[1:], votes)}
    schema = pa.DataFrameSchema(columns, checks=_row_checks(campaign, config), strict=True)
    schema.validate(table, lazy=True)


def _row_checks(campaign: Campaign, config: VotesConfig) -> list[pa.Check]:
    """Totals are sums, and no question has far more answers than led to it."""

    def is_total(name: str, parts: list[str]) -> pa.Check:
        return pa.Check(lambda table: table[parts].sum(axis=1) == table[name])

    def is_led_to(own: list[str], parents: list[str]) -> pa.Check:
        def has_led(table: pd.DataFrame) -> "pd.Series[bool]":
            allowed = table[parents].sum(axis=1)
            slack = np.maximum(config.max_excess_votes, config.max_excess_share * allowed)
            return table[own].sum(axis=1) - allowed <= slack

        return pa.Check(has_led)

    spelled = {column: name for name, column in campaign.published.answers.items()}
    return [is_total(name, parts) for name, parts in _totals(campaign).items()] + [
        is_led_to(
            [spelled[c] for c in question.columns], [spelled[c] for c in question.asked_after]
        )
        for question in campaign.tree.questions
        if question.asked_after
    ]


def validate(path: Path) -> None:
    """Ours."""
    validate_vote_tables([VoteSource(str(path), CAMPAIGN)], VotesConfig(), judge_votes)


def read_and_write(path: Path) -> None:
    """Ours, with the accepted votes, rejects and summary written into a new directory."""
    directory = path.parent / uuid.uuid4().hex
    read_vote_table([VoteSource(str(path), CAMPAIGN)], VotesConfig(), directory, judge_votes)


_PEAK_OF = """
import json, re, sys
from pathlib import Path
from benchmarks import ingest_tables

def peak():
    # Not ru_maxrss, which a child begins with its parent's.
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

ingest_tables.validate(Path(sys.argv[1]))
before = peak()
getattr(ingest_tables, sys.argv[3])(Path(sys.argv[2]))
print(json.dumps(peak() - before))
"""


def peak_bytes(function: str, small: Path, path: Path) -> int:
    """How far a function raises the memory of a process that has read a small table already."""
    arguments = [sys.executable, "-c", _PEAK_OF, str(small), str(path), function]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True)
    return int(json.loads(done.stdout.splitlines()[-1]))


def figures(quick: bool) -> tuple[dict[str, object], list[Gate]]:
    """Speed and memory of checking a table of votes, and their bounds."""
    n_few, n_many = (800_000, 2_000_000) if quick else (1_000_000, 5_000_000)
    n_rounds, n_compared = (2, n_few) if quick else (3, n_many)
    with tempfile.TemporaryDirectory() as folder:
        tiny, few, many = (Path(folder) / f"{name}.parquet" for name in ("tiny", "few", "many"))
        for path, n_rows in ((tiny, 2 * _ROWS_AT_ONCE), (few, n_few), (many, n_many)):
            write_table(path, n_rows)
        table = few if quick else many
        ratios = {
            "validation_over_pandera": time_pairs(
                lambda: validate_with_pandera(table), lambda: validate(table), n_rounds
            ),
            "reading_and_writing_over_pandera_s_validation": time_pairs(
                lambda: validate_with_pandera(few), lambda: read_and_write(few), n_rounds
            ),
        }
        peaks = {
            name: [peak_bytes(name, tiny, path) for path in (few, many)]
            for name in (
                "validate",
                "read_and_write",
                *(() if quick else ("validate_with_pandera",)),
            )
        }
    growth = {name: (large - small) / (n_many - n_few) for name, (small, large) in peaks.items()}
    found: dict[str, object] = {
        "n_rows": n_compared,
        "n_rows_of_peaks": [n_few, n_many],
        "n_columns": 1 + 34 + N_TOTALS,
        **ratios,
        "rows_per_second": n_compared / ratios["validation_over_pandera"].candidate_s,
    }
    for name, (small, large) in peaks.items():
        found[f"peak_megabytes_{name}"] = [round(small / 1e6), round(large / 1e6)]
        found[f"bytes_a_row_{name}"] = growth[name]
    gates = [
        at_least(
            "vote_table_validation_over_pandera",
            ratios["validation_over_pandera"].median,
            MIN_SPEED_UP,
        ),
        at_most("vote_table_validation_bytes_a_row", growth["validate"], MAX_BYTES_A_ROW),
        at_most("vote_table_reading_bytes_a_row", growth["read_and_write"], MAX_BYTES_A_ROW),
    ]
    return found, gates


def main() -> None:
    """Time checking a table of votes."""
    arguments = parse_arguments(__doc__ or "")
    finish("ingest_tables", *figures(arguments.quick), arguments)


if __name__ == "__main__":
    main()

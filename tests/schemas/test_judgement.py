"""A table that its schema's judge finds fault with stops the run, with the place of the fault."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from galaxyloop import judgement
from galaxyloop.acquisition import AcquisitionConfig, rank_galaxies
from galaxyloop.decision_tree import DecisionTree, Question
from galaxyloop.errors import CatalogueError
from galaxyloop.predictions import prediction_columns, table_schema, write_row_groups
from schemas.acquisition import judge_acquisition
from schemas.predictions import judge_predictions

TREE = DecisionTree("toy", (Question("bar-toy", ("yes", "no")),))
FIRST_ROW_OF_SECOND_GROUP = 65_536


def predictions(n_galaxies: int) -> pd.DataFrame:
    table = pd.DataFrame(0.5, index=range(n_galaxies), columns=list(prediction_columns(TREE)))
    table["id_str"] = [str(i) for i in range(n_galaxies)]
    return table.assign(image_digest="d", flags=0)


def write(table: pd.DataFrame, path: Path) -> Path:
    schema = table_schema(prediction_columns(TREE))
    write_row_groups(
        iter([pa.Table.from_pandas(table, schema=schema, preserve_index=False)]), schema, path
    )
    return path


def test_check_file__judges_every_row_group(tmp_path: Path) -> None:
    table = predictions(FIRST_ROW_OF_SECOND_GROUP + 2)
    path = write(table, tmp_path / "p.parquet")
    assert judgement.check_file(path, TREE, judge_predictions) == len(table)
    table.loc[FIRST_ROW_OF_SECOND_GROUP + 1, "bar-toy_asked"] = -0.25
    path = write(table, tmp_path / "p.parquet")
    with pytest.raises(
        CatalogueError, match=r"p.parquet .* in row 65537, column 'bar-toy_asked': got -0.25: in_ra"
    ):
        judgement.check_file(path, TREE, judge_predictions)


def test_check_file__names_the_rule_between_columns(tmp_path: Path) -> None:
    path = write(predictions(3).assign(**{"bar-toy_no_fraction": 0.25}), tmp_path / "p.parquet")
    with pytest.raises(CatalogueError, match="in row 0: the fractions of bar-toy must sum to 1"):
        judgement.check_file(path, TREE, judge_predictions)


def test_check_table__passes_a_sound_list_and_refuses_another() -> None:
    table = predictions(4).assign(**{"bar-toy_information_nats": np.float32([0, 0.5, 0.2, 0.1])})
    ranked = rank_galaxies(table, TREE, AcquisitionConfig())
    judgement.check_table(ranked, TREE, judge_acquisition, "the acquisition list")
    with pytest.raises(CatalogueError, match="^the acquisition list .* ranks must run 1, 2"):
        judgement.check_table(ranked[::-1], TREE, judge_acquisition, "the acquisition list")
    wrong = ranked.assign(most_informative_question="bulge-toy")
    with pytest.raises(CatalogueError, match="column 'most_informative_question': got bulge-toy"):
        judgement.check_table(wrong, TREE, judge_acquisition, "the acquisition list")

"""Tables of Panoptes reductions give the votes that volunteers gave, or a clear refusal."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from galaxyloop.campaigns import find_campaign
from galaxyloop.errors import ConfigError, VoteTableError
from galaxyloop.vote_tables import (
    VotesConfig,
    VoteSource,
    load_vote_rejects,
    load_votes,
    read_vote_table,
)
from galaxyloop.vote_tables.sources import SourceTable, open_source
from schemas.votes import judge_votes
from tests.library.vote_tables import walk_tree

DR5 = find_campaign("gz_decals_dr5")
TASKS = {f"T{number}": question for number, question in enumerate(DR5.tree.questions)}
LINES = [
    f"{task}.{answer} = {question.name.removesuffix('-dr5')}_{answer}"
    for task, question in TASKS.items()
    for answer in question.answers
]
FIRST = [line for line in LINES if line.startswith("T0.")]


def as_reductions(votes: pd.DataFrame) -> pd.DataFrame:
    """One row a subject and task, as panoptes_aggregation writes them."""
    rows = [
        {
            "subject_id": galaxy["id_str"],
            "workflow_id": 10582,
            "task": task,
            "reducer": "question_reducer",
            "data.aggregation_version": "5.3.1",
            **{
                f"data.{answer}": float(galaxy[column])
                for answer, column in zip(question.answers, question.columns, strict=True)
                if galaxy[column]
            },
        }
        for _, galaxy in votes.iterrows()
        for task, question in TASKS.items()
        if any(galaxy[column] for column in question.columns)
    ]
    return pd.DataFrame(rows)


def opened(table: pd.DataFrame, directory: Path, **settings: object) -> SourceTable:
    table.to_csv(directory / "reductions.csv", index=False)
    source = {"uri": str(directory / "reductions.csv"), "campaign": "gz_decals_dr5", **settings}
    return open_source(VoteSource.from_dict(source))


def first_task(*subjects: str) -> pd.DataFrame:
    """Three votes for smooth by each subject."""
    cells = {"subject_id": subjects, "workflow_id": "1", "task": "T0", "data.smooth": 3.0}
    return pd.DataFrame(cells, index=range(len(subjects)))


@pytest.mark.parametrize("batch_rows", [3, 100])
@pytest.mark.parametrize("file", ["reductions.csv", "reductions.parquet"])
def test_read_vote_table__reads_reductions_as_one_row_a_subject(
    file: str, batch_rows: int, tmp_path: Path
) -> None:
    truth = walk_tree(DR5, 12)
    table = as_reductions(truth).sample(frac=1.0, random_state=0)
    uri = str(tmp_path / file)
    table.to_csv(uri, index=False) if file.endswith("csv") else table.to_parquet(uri, index=False)
    source = VoteSource(uri, "gz_decals_dr5", reductions=LINES)
    config = VotesConfig(batch_rows=batch_rows)
    summary = read_vote_table([source], config, tmp_path / "votes", judge_votes)
    votes = load_votes(tmp_path / "votes")
    assert votes["id_str"].tolist() == table["subject_id"].drop_duplicates().tolist()
    ordered = votes.set_index("id_str").loc[truth["id_str"]].reset_index()[truth.columns]
    pd.testing.assert_frame_equal(ordered, truth, check_dtype=False)
    told = summary.sources[0]
    assert (told.id_column, told.votes_origin, told.n_read) == ("subject_id", "counts", 12)


def test_open_source__reads_answers_numbered_from_zero_as_caesar_exports_them(
    tmp_path: Path,
) -> None:
    table = pd.DataFrame(
        {
            "id": [1, 2],
            "reducer_key": ["smooth", "edge"],
            "workflow_id": 6122,
            "subject_id": [7, 7],
            "subgroup": "_default",
            "data.0": [5, 2],
            "data.1": [2, 0],
        }
    )
    lines = [
        "smooth.0 = smooth-or-featured-dr5_smooth",
        "smooth.1 = smooth-or-featured_featured-or-disk",
        "smooth.2 = smooth-or-featured_artifact",
        "edge.0 = disk-edge-on_yes",
        "edge.1 = disk-edge-on_no",
    ]
    gathered = opened(table, tmp_path, reductions=lines).gathered
    assert gathered is not None
    assert {name: votes.tolist() for name, votes in gathered.votes.items()} == {
        "smooth-or-featured_smooth": [5],
        "smooth-or-featured_featured-or-disk": [2],
        "smooth-or-featured_artifact": [0],
        "disk-edge-on_yes": [2],
        "disk-edge-on_no": [0],
    }


def test_open_source__adds_up_slugs_of_one_answer_and_takes_whole_column_names(
    tmp_path: Path,
) -> None:
    long = "data.smooth-png-https-panoptes-uploads-zooniverse-org-smooth-png-60x-smooth"
    table = first_task("1", "2").assign(**{long: [2.0, np.nan]})
    lines = [*FIRST, f"T0.{long} = smooth-or-featured_smooth"]
    gathered = opened(table, tmp_path, reductions=lines).gathered
    assert gathered is not None
    assert gathered.votes["smooth-or-featured_smooth"].tolist() == [5, 3]


def test_open_source__takes_gz2_s_spelling_of_answers(tmp_path: Path) -> None:
    lines = ["T0.smooth = t01_smooth_or_features_a01_smooth"]
    table = opened(first_task("1"), tmp_path, reductions=lines, campaign="gz2")
    assert table.header == ["subject_id", "t01_smooth_or_features_a01_smooth_count"]


def test_open_source__sets_votes_aside_only_where_told(tmp_path: Path) -> None:
    table = pd.concat([first_task("1"), first_task("1").assign(task="T10")])
    table["data.none-of-these"] = [1.0, 0.0]
    table["data.user_ids_smooth"] = "['5', '6']"
    lines = [*FIRST, "T0.none-of-these =", "T10 ="]
    assert opened(table, tmp_path, reductions=lines).header == [
        "subject_id",
        "smooth-or-featured_smooth",
        "smooth-or-featured_featured-or-disk",
        "smooth-or-featured_artifact",
        "T0.none-of-these",
        "T10",
    ]
    with pytest.raises(VoteTableError, match=r"T0\.none-of-these: 1 votes; T10\.smooth: 3 votes"):
        opened(table, tmp_path, reductions=FIRST)


def test_open_source__reads_the_workflow_asked_for(tmp_path: Path) -> None:
    other = first_task("1", "2").assign(workflow_id="9", task="T5")
    table = pd.concat([first_task("1"), other])
    gathered = opened(table, tmp_path, reductions=FIRST, workflow_id="1").gathered
    assert gathered is not None
    assert gathered.id_strs.tolist() == ["1"]
    with pytest.raises(VoteTableError, match="holds the workflows 1, 9, .* set workflow_id"):
        opened(table, tmp_path, reductions=FIRST)
    with pytest.raises(VoteTableError, match="no reductions of workflow_id '3'; it has .* 1, 9"):
        opened(table, tmp_path, reductions=FIRST, workflow_id="3")


def test_open_source__names_galaxies_by_their_subjects_metadata(tmp_path: Path) -> None:
    table = first_task("11", "12", "13", "14", "11")
    table.loc[4, ["task", "data.smooth"]] = ["T1", np.nan]
    table["data.yes"] = [np.nan] * 4 + [1.0]
    texts = [{"!iauname": "J1", "ra": 1.5}, {"ra": 2}, {"iauname": 587722981742084144}]
    subjects = pd.DataFrame(
        {
            "subject_id": ["11", "11", "12", "13"],
            "metadata": [json.dumps(text) for text in (texts[0], *texts)],
        }
    )
    subjects.to_csv(tmp_path / "subjects.csv", index=False)
    settings = {"subjects": str(tmp_path / "subjects.csv"), "subject_key": "iauname"}
    lines = [*FIRST, "T1.yes = disk-edge-on_yes", "T1.no = disk-edge-on_no"]
    source = opened(table, tmp_path, reductions=lines, **settings)
    assert source.gathered is not None
    assert source.gathered.id_strs.tolist() == ["J1", "587722981742084144"]
    assert source.gathered.rows.tolist() == [0, 2]
    assert [(line.row, line.id_str) for line in source.rejected] == [(1, "12"), (3, "14")]
    assert "no id under 'iauname'; choose another subject_key" in source.rejected[0].reason
    assert "export does not have this subject" in source.rejected[1].reason


@pytest.mark.parametrize(
    ("cell", "reason"),
    [("many", "not a number"), ("-1", "whole number"), ("2.5", "whole"), ("inf", "whole")],
)
def test_open_source__rejects_a_subject_for_one_bad_cell(
    cell: str, reason: str, tmp_path: Path
) -> None:
    table = first_task("1", "2").astype(str)
    table.loc[1, "data.smooth"] = cell
    source = opened(table, tmp_path, reductions=FIRST)
    assert source.gathered is not None
    assert source.gathered.id_strs.tolist() == ["1"]
    line = source.rejected[0]
    assert (line.row, line.id_str, line.column, line.value) == (1, "2", "data.smooth", cell)
    assert reason in line.reason


def test_read_vote_table__counts_subjects_that_cannot_be_rows_among_the_rejects(
    tmp_path: Path,
) -> None:
    table = first_task("1", "2", "3", "1").astype(str)
    table.loc[1, "data.smooth"] = "x"
    table.to_csv(tmp_path / "t.csv", index=False)
    source = VoteSource(str(tmp_path / "t.csv"), "gz_decals_dr5", reductions=FIRST)
    config = VotesConfig(max_reject_rate=1.0)
    summary = read_vote_table([source], config, tmp_path / "votes", judge_votes)
    assert (summary.n_read, summary.n_accepted, summary.n_rejected) == (3, 1, 2)
    rejects = load_vote_rejects(tmp_path / "votes")
    assert rejects[["row", "source", "id_str", "column", "value"]].to_numpy().tolist() == [
        [0, source.uri, "1", "task", "T0"],
        [1, source.uri, "2", "data.smooth", "x"],
    ]


def test_open_source__rejects_a_subject_whose_task_comes_twice(tmp_path: Path) -> None:
    source = opened(first_task("1", "2", "1"), tmp_path, reductions=FIRST)
    assert [(line.row, line.id_str, line.value) for line in source.rejected] == [(0, "1", "T0")]
    assert "several rows of one task" in source.rejected[0].reason


@pytest.mark.parametrize(
    ("change", "lines", "message"),
    [
        ({}, [*FIRST, "T9.yes = bar_strong"], r"no task T9 \(it has T0\)"),
        ({}, ["T0.smooth = smooth-or-featured_smoth"], "did you mean 'smooth-or-featured_smooth'"),
        ({}, ["T0.smooth = t01_a"], "'T0.smooth' is mapped to 't01_a', which is no answer"),
        ({"data.num_votes": 3}, FIRST, "consensus of the volunteers .* question reducer"),
        ({"task": None}, FIRST, "no table of reductions, which has subject_id, task"),
        ({"data.smooth": None}, FIRST, "no table of reductions"),
        ({"classification_id": 1}, FIRST, "no table of reductions"),
        ({"classification_id": 1}, [], "one row a classification; count the votes first"),
        ({}, [], "table of Panoptes reductions, one row a subject and task; set reductions"),
    ],
)
def test_open_source__refuses_what_it_cannot_count(
    change: dict[str, object], lines: list[str], message: str, tmp_path: Path
) -> None:
    table = first_task("1").assign(**change)
    table = table.drop(columns=[name for name, value in change.items() if value is None])
    with pytest.raises(VoteTableError, match=message):
        opened(table, tmp_path, reductions=lines)


def test_open_source__refuses_a_table_with_a_broken_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.csv"
    first_task("1", "2").to_csv(path, index=False)
    path.write_text(path.read_text() + "3,1,T0\n")
    with pytest.raises(VoteTableError, match="row 2 has 3 cells, not 4 .* lacks a task"):
        open_source(VoteSource(str(path), "gz_decals_dr5", reductions=FIRST))


def test_read_vote_table__refuses_reductions_that_leave_an_answer_out(tmp_path: Path) -> None:
    first_task("1").to_csv(tmp_path / "t.csv", index=False)
    source = VoteSource(str(tmp_path / "t.csv"), "gz_decals_dr5", reductions=FIRST[:2])
    with pytest.raises(VoteTableError, match="votes on some answers .* none on .*_artifact"):
        read_vote_table([source], VotesConfig(), tmp_path / "votes", judge_votes)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"reductions": ["T0.smooth: x"]}, r"must read 'TASK\.SLUG = ANSWER'.* got 'T0.smooth: x'"),
        ({"reductions": ["T0 = bar_no"]}, "got 'T0 = bar_no'"),
        ({"reductions": ["T0.a = x", "T0.data.a = y"]}, "names 'T0.a' twice"),
        ({"reductions": ["T0 =", "T0.a = x"]}, "sets all of task 'T0' aside but names 'T0.a'"),
        ({"workflow_id": "3"}, "workflow_id is for tables of Panoptes .* classifications, got '3'"),
        ({"reductions": ["T0.a = x"], "subjects": "s.csv"}, "subjects and subject_key go together"),
        ({"reductions": ["T0.a = x"], "id_column": "n"}, "id_column cannot be set .* got 'n'"),
    ],
)
def test_vote_source__refuses_settings_that_do_not_fit(
    settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        VoteSource.from_dict({"uri": "a.csv", "campaign": "gz2", **settings})


def test_vote_source__comes_back_from_yaml_and_json(tmp_path: Path) -> None:
    (tmp_path / "source.yaml").write_text(
        "uri: reductions.csv\ncampaign: gz_decals_dr5\nworkflow_id: '10582'\n"
        "subjects: subjects.csv\nsubject_key: '!iauname'\nreductions:\n"
        "  - T0.smooth = smooth-or-featured_smooth\n  - T10 =\n"
    )
    source = VoteSource.from_yaml(tmp_path / "source.yaml")
    assert source.reductions == ["T0.smooth = smooth-or-featured_smooth", "T10 ="]
    assert VoteSource.from_json(source.to_json()) == source

"""What pretraining may not see: questions near the label that is studied, and test galaxies."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from galaxyloop.decision_tree import DecisionTree, Question
from galaxyloop.errors import DecisionTreeError, LabelError
from galaxyloop.splits import SplitConfig, split_galaxies
from galaxyloop.storage import whole_directory
from galaxyloop.vote_tables import load_vote_summary, load_vote_tree, load_votes
from galaxyloop.vote_tables.summary import SUMMARY_FILE, VOTES_FILE


def withhold_questions(tree: DecisionTree, words: Sequence[str]) -> DecisionTree:
    """The tree without the questions whose name, or an answer of which, contains a word.

    Questions that only such an answer leads to go too; of the others such parents go. All of a
    question goes, for the votes that are left would tell how many the withheld answer had.

    Args:
        tree: one or several campaigns.
        words: such as ``ring``; letters' case does not matter.

    Raises:
        DecisionTreeError: no question is left.
    """
    gone: set[str] = set()
    kept: list[tuple[Question, str]] = []
    campaigns = tree.campaigns or (tree.name,) * len(tree.questions)
    for question, campaign in zip(tree.questions, campaigns, strict=True):
        parents = tuple(parent for parent in question.asked_after if parent not in gone)
        is_orphan = bool(question.asked_after) and not parents
        if is_orphan or _mentions(question, words):
            gone.update(question.columns)
        else:
            kept.append((Question(question.name, question.answers, parents), campaign))
    if not kept:
        raise DecisionTreeError(
            f"every one of {len(tree.questions)} questions of {tree.name} contains one of "
            f"{list(words)}; pretrain on other votes, or withhold fewer words"
        )
    questions, names = zip(*kept, strict=True)
    return DecisionTree(tree.name, questions, names if tree.campaigns else ())


def withheld_questions(tree: DecisionTree, words: Sequence[str]) -> list[str]:
    """Names of the questions that ``withhold_questions`` leaves out."""
    kept = withhold_questions(tree, words).question_names
    return [name for name in tree.question_names if name not in kept]


def split_study(
    galaxies: pd.DataFrame, labelled: Iterable[str], config: SplitConfig
) -> pd.DataFrame:
    """Which galaxies test, validate and train; only groups with a labelled galaxy can test.

    By hash of the group, as everywhere. Galaxies of test groups are in no pretraining, neither
    with votes nor as images alone.

    Args:
        galaxies: ``id_str`` and ``group_id``.
        labelled: ids of the galaxies with labels.
        config: shares and seed.

    Returns:
        ``id_str``, ``group_id``, ``split`` and ``fold``.

    Raises:
        LabelError: no labelled galaxy is in the test, or none is left to learn from.
    """
    splits = split_galaxies(galaxies, config)
    is_labelled = splits["id_str"].isin(set(labelled))
    groups = set(splits.loc[is_labelled, "group_id"])
    is_free = (splits["split"] == "test") & ~splits["group_id"].isin(groups)
    splits["split"] = splits["split"].mask(is_free, "train").astype(str)
    n_test = int((is_labelled & (splits["split"] == "test")).sum())
    n_pool = int(is_labelled.sum()) - n_test
    if not n_test or not n_pool:
        raise LabelError(
            f"of {int(is_labelled.sum())} labelled galaxies {n_test} are in the test and {n_pool} "
            f"are left to learn from; label more galaxies, or change test_share="
            f"{config.test_share:g}"
        )
    return splits


def withhold_votes(
    votes: pd.DataFrame, tree: DecisionTree, splits: pd.DataFrame, words: Sequence[str]
) -> tuple[pd.DataFrame, DecisionTree]:
    """Votes that pretraining may see, with their tree.

    Args:
        votes: ``id_str`` and the tree's answers.
        tree: the questions.
        splits: what ``split_study`` gives.
        words: see ``withhold_questions``.

    Returns:
        Votes on the questions that are left, of galaxies outside the test.
    """
    kept = withhold_questions(tree, words)
    is_test = votes["id_str"].isin(set(splits.loc[splits["split"] == "test", "id_str"]))
    others = [c for c in votes.columns if c not in tree.columns]
    return votes.loc[~is_test, [*others, *kept.columns]].reset_index(drop=True), kept


def write_withheld_votes(
    directory: Path, splits: pd.DataFrame, words: Sequence[str], target: Path
) -> str:
    """A directory of votes again, with no more in it than pretraining may see.

    Args:
        directory: what ``read_vote_table`` wrote.
        splits: what ``split_study`` gives.
        words: see ``withhold_questions``.
        target: appears complete or not at all.

    Returns:
        Its digest.

    Raises:
        DecisionTreeError: no question is left.
        StorageError: the target holds something already.
    """
    summary = load_vote_summary(directory)
    votes, tree = withhold_votes(load_votes(directory), load_vote_tree(directory), splits, words)
    digest = hashlib.sha256((tree.to_json() + votes.to_csv(index=False)).encode()).hexdigest()
    kept = replace(
        summary,
        columns=list(tree.columns),
        tree=tree.to_json(),
        n_galaxies=len(votes),
        digest=digest,
    )
    with whole_directory(target) as draft:
        # Rejected rows stay behind: their cells may tell of rings and of test galaxies.
        votes.to_parquet(draft / VOTES_FILE, index=False)
        (draft / SUMMARY_FILE).write_text(kept.to_json())
    return digest


def _mentions(question: Question, words: Sequence[str]) -> bool:
    """Whether the question's name or an answer contains a word."""
    text = " ".join((question.name, *question.answers)).casefold()
    return any(word.casefold() in text for word in words)

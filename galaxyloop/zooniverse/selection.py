"""Which galaxies volunteers are asked about next, how often, and why."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float32

from galaxyloop.acquisition import (
    AcquisitionConfig,
    BatchConfig,
    RetirementConfig,
    rank_galaxies,
    read_candidates,
    retire,
    select_batch,
)
from galaxyloop.campaigns import volunteers_questions
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.errors import SubjectSetError
from galaxyloop.predictions import answer_columns
from galaxyloop.representations.table import read_parts, read_schema
from galaxyloop.storage import file_digest

_ENDINGS = ("fraction", "p05", "p95")
CLOSED = "its votes are of a published table, to which none can be added"
ASKED = "it is in an earlier batch, whose votes are to come"
FRACTION_COLUMNS = ("id_str", "question", "answer", *_ENDINGS)


@dataclass(frozen=True)
class SelectionSources:
    """What is known of a survey's galaxies."""

    tree: DecisionTree
    """The model's questions."""
    galaxies: pd.DataFrame
    """The survey as it is now: ``id_str``, ``group_id``, position and ``image_digest``."""
    predictions: Sequence[Path]
    """Files of its shards, oldest first."""
    representations: Sequence[Path]
    """Likewise."""
    votes: pd.DataFrame | None = None
    """Votes given so far; None if there are none."""
    vote_tree: DecisionTree | None = None
    """Their questions, which may be others than the model's."""
    closed: Collection[str] = ()
    """Galaxies whose votes are of a published table: of two tables of a campaign only the first
    counts, so that further votes on them would be lost."""
    asked: Collection[str] = ()
    """Images of earlier batches, whose galaxies are not to be in this one."""


@dataclass(frozen=True)
class SelectionRules:
    """How galaxies are chosen."""

    acquisition: AcquisitionConfig
    batch: BatchConfig
    retirement: RetirementConfig


@dataclass(frozen=True)
class Selection:
    """Who is asked about, among whom, and about whom nobody is asked any more."""

    ranked: pd.DataFrame
    """What ``rank_galaxies`` gives, of every galaxy that is not retired."""
    chosen: pd.DataFrame
    """The batch: rows of ``ranked`` with ``n_votes`` (volunteers so far, on any image of the
    galaxy), ``votes_wanted``, ``asked`` (share of volunteers who would reach the question, 0 to 1)
    and ``why``, which has the predicted fractions of the most informative question with their 90 %
    interval."""
    fractions: pd.DataFrame
    """The same as numbers: ``FRACTION_COLUMNS``, a row a chosen galaxy and answer."""
    retired: pd.DataFrame
    """What ``retire`` gives, of every galaxy with votes or in an earlier batch; those that are
    closed or in an earlier batch are retired too. A row a galaxy, not an image: ``group_id``
    stands in the place of ``id_str``. Galaxies that are not in the survey are ``is_foreign``, and
    their ``group_id`` is their id."""

    @property
    def own(self) -> pd.DataFrame:
        """The rows of ``retired`` that are of the survey's galaxies."""
        return self.retired[~self.retired["is_foreign"]]

    @property
    def n_foreign(self) -> int:
        """Galaxies with votes that are not in the survey."""
        return int((self.retired["is_foreign"] & (self.retired["n_votes"] > 0)).sum())

    def save(self, directory: Path) -> str:
        """Write the four tables as Parquet; gives a digest of them all."""
        digest = hashlib.sha256()
        for field in fields(self):
            path = directory / f"{field.name}.parquet"
            getattr(self, field.name).to_parquet(path, index=False)
            digest.update(file_digest(path).encode())
        return digest.hexdigest()

    @classmethod
    def load(cls, directory: Path) -> "Selection":
        """What ``save`` wrote."""
        names = [field.name for field in fields(cls)]
        return cls(**{name: pd.read_parquet(directory / f"{name}.parquet") for name in names})


def select_galaxies(sources: SelectionSources, rules: SelectionRules) -> Selection:
    """Rank the galaxies whose votes do not suffice, and choose the next batch among them.

    A galaxy with some votes may be asked about again until it is retired, if the table of its votes
    can grow; of several images of one galaxy (one ``group_id``) only the best ranked is chosen, and
    the votes on all of them count.

    Raises:
        SubjectSetError: nobody is left to ask about, or earlier batches are of another survey.
        UnknownNameError: there is no such acquisition or question.
        ConfigError: the predictions lack what the acquisition scores.
        RepresentationError: a candidate has no representation.
    """
    galaxies = sources.galaxies
    retired = _retire(sources, rules.retirement)
    done = galaxies[galaxies["group_id"].isin(retired.loc[retired["is_retired"], "group_id"])]
    ranked = _rank(sources, done["id_str"], rules.acquisition)
    groups = find_groups(ranked["id_str"], galaxies)
    single = ranked[~groups.duplicated().to_numpy()].reset_index(drop=True)
    vectors = None
    if rules.batch.diversity != "none" and len(single) > rules.batch.n_galaxies:
        vectors = read_vectors(sources.representations, galaxies, single["id_str"])
    chosen = select_batch(single, vectors, rules.batch)
    if chosen.empty:
        raise SubjectSetError(
            f"nobody is left to ask about: of {galaxies['group_id'].nunique()} galaxies "
            f"{done['group_id'].nunique()} have votes enough or are in earlier batches, and none "
            f"of the other {len(single)} that are predicted lies where the batch may; widen its "
            "regions, or raise max_votes of retirement"
        )
    fractions = read_fractions(sources, chosen)
    n_votes = find_groups(chosen["id_str"], galaxies).map(retired.set_index("group_id")["n_votes"])
    return Selection(ranked, _explain(chosen, fractions, n_votes, rules), fractions, retired)


def _rank(
    sources: SelectionSources, done: "pd.Series[str]", acquisition: AcquisitionConfig
) -> pd.DataFrame:
    """What ``rank_galaxies`` gives, of images that are not among those that are done."""
    # For the candidates it only matters who has been seen enough.
    seen = pd.DataFrame({"id_str": done, **dict.fromkeys(sources.tree.columns, 1)})
    candidates = read_candidates(
        sources.predictions, sources.tree, sources.galaxies, seen, acquisition.name
    )
    return rank_galaxies(candidates, sources.tree, acquisition)


def find_groups(id_strs: "pd.Series[str]", galaxies: pd.DataFrame) -> "pd.Series[str]":
    """The galaxy that each image shows: its ``group_id``, its own id if it is not in the survey.

    The latter is the group's too if an image that has left the survey gave the group its name.
    """
    return id_strs.map(galaxies.set_index("id_str")["group_id"]).fillna(id_strs)


def _retire(sources: SelectionSources, config: RetirementConfig) -> pd.DataFrame:
    """Who has votes enough, can have no more, or has been asked about; perhaps an empty table.

    The votes on all images of a galaxy are added first.
    """
    tree = sources.vote_tree or sources.tree
    votes = sources.votes
    if votes is None:
        votes = pd.DataFrame({"id_str": pd.Series(dtype="str"), **dict.fromkeys(tree.columns, [])})
    groups = find_groups(votes["id_str"], sources.galaxies)
    counts = votes[list(tree.columns)].groupby(groups, sort=False).sum().reset_index()
    retired = retire(counts, tree, config).rename(columns={"id_str": "group_id"})
    answers = [c for name in volunteers_questions(tree) for c in tree.question(name).columns]
    is_voted = votes[answers].sum(axis=1) > 0
    closed = groups[is_voted & votes["id_str"].isin(set(sources.closed))]
    retired = _retire_too(retired, retired["group_id"].isin(closed), CLOSED)
    table = _retire_too(*_with_asked(retired, sources), ASKED)
    return table.assign(is_foreign=~table["group_id"].isin(sources.galaxies["group_id"]))


def _retire_too(retired: pd.DataFrame, is_meant: "pd.Series[bool]", reason: str) -> pd.DataFrame:
    """Retire further galaxies, those that are retired already for the reason they have."""
    is_new = is_meant & ~retired["is_retired"]
    return retired.assign(
        is_retired=retired["is_retired"] | is_new,
        reason=retired["reason"].mask(is_new, reason).astype("str"),
    )


def _with_asked(
    retired: pd.DataFrame, sources: SelectionSources
) -> tuple[pd.DataFrame, "pd.Series[bool]"]:
    """The table with the survey's galaxies of earlier batches too, and who they are."""
    asked = set(sources.asked)
    own = find_groups(pd.Series(sorted(asked), dtype="str"), sources.galaxies)
    groups = sources.galaxies["group_id"].drop_duplicates()
    known = groups[groups.isin(own)]
    if asked and known.empty:
        raise SubjectSetError(
            f"none of the {len(asked)} galaxies of earlier batches such as {min(asked)!r} is in "
            "this survey; name batches of this survey"
        )
    fresh = known[~known.isin(retired["group_id"])]
    rows = pd.DataFrame({"group_id": fresh, "n_votes": 0, "is_retired": False, "reason": ""})
    table = pd.concat([retired, rows.astype(retired.dtypes)], ignore_index=True)
    return table, table["group_id"].isin(known)


def read_vectors(
    files: Sequence[Path], galaxies: pd.DataFrame, id_strs: "pd.Series[str]"
) -> Float32[np.ndarray, "galaxy feature"]:
    """Representations of some galaxies, in their order; NaN where there is none.

    Args:
        files: of the shards, oldest first; later files win.
        galaxies: ``id_str`` and ``image_digest`` now; vectors of other images do not count.
        id_strs: the galaxies wanted.
    """
    n_features = read_schema(files[0]).field("representation").type.list_size
    vectors = np.full((len(id_strs), n_features), np.nan, dtype=np.float32)
    places = pd.Index(id_strs)
    now = galaxies.set_index("id_str")["image_digest"]
    for file in files:
        for rows, part in read_parts(file, ("id_str", "image_digest")):
            at = places.get_indexer(pd.Index(rows["id_str"]))
            is_current = rows["image_digest"].eq(rows["id_str"].map(now)).to_numpy(dtype=bool)
            kept = (at >= 0) & is_current
            vectors[at[kept]] = part[kept]
    return vectors


def read_fractions(sources: SelectionSources, chosen: pd.DataFrame) -> pd.DataFrame:
    """The predicted fractions of each galaxy's most informative question.

    Args:
        sources: where the predictions are.
        chosen: ``id_str`` and ``most_informative_question``.

    Returns:
        ``FRACTION_COLUMNS`` and ``asked``, galaxy by galaxy in their order.
    """
    tree = sources.tree
    names = list(dict.fromkeys(chosen["most_informative_question"]))
    answers = [column for name in names for column in tree.question(name).columns]
    columns = [
        *("id_str", "image_digest"),
        *(f"{name}_asked" for name in names),
        *(own for answer in answers for own in answer_columns(answer)),
    ]
    wanted = [("id_str", "in", chosen["id_str"].tolist())]
    files = [pd.read_parquet(file, columns=columns, filters=wanted) for file in sources.predictions]
    predicted = pd.concat(files, ignore_index=True).merge(
        sources.galaxies[["id_str", "image_digest"]], on=["id_str", "image_digest"]
    )
    predicted = predicted.drop_duplicates("id_str", keep="last").set_index("id_str")
    rows = []
    pairs = chosen[["id_str", "most_informative_question"]].itertuples(index=False, name=None)
    for id_str, name in pairs:
        question, own = tree.question(name), predicted.loc[id_str]
        for answer, column in zip(question.answers, question.columns, strict=True):
            values = [float(own[one]) for one in answer_columns(column)]
            rows.append((id_str, name, answer, *values, float(own[f"{name}_asked"])))
    return pd.DataFrame(rows, columns=[*FRACTION_COLUMNS, "asked"])


def _explain(
    chosen: pd.DataFrame, fractions: pd.DataFrame, n_votes: pd.Series, rules: SelectionRules
) -> pd.DataFrame:
    """The batch with how many votes there are and are wanted, and what they are wanted for."""
    texts = {
        id_str: ", ".join(
            f"{row.answer} {row.fraction:.2f} ({row.p05:.2f} to {row.p95:.2f})"
            for row in own.itertuples()
        )
        for id_str, own in fractions.groupby("id_str", sort=False)
    }
    n_votes = n_votes.fillna(0).astype(np.int64)
    asked = fractions.drop_duplicates("id_str").set_index("id_str")["asked"]
    return chosen.assign(
        n_votes=n_votes,
        # A galaxy below max_votes may be open for want of certainty alone.
        votes_wanted=(rules.retirement.max_votes - n_votes).clip(lower=1),
        asked=chosen["id_str"].map(asked).astype(np.float64),
        why=chosen["id_str"].map(texts).astype("str"),
    )

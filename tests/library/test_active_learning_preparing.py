import numpy as np
import pandas as pd
import pytest

from galaxyloop.active_learning.preparing import loop_of_labels, loop_of_votes
from galaxyloop.errors import LabelError
from galaxyloop.finetuning.labels import Labels
from galaxyloop.finetuning.targets import Target
from galaxyloop.representations.table import Representations
from galaxyloop.splits import SplitConfig, split_galaxies
from tests.reference.trees import flat_tree

TREE = flat_tree([2])
SPLIT = SplitConfig(test_share=0.3)


def seen(n_galaxies: int) -> Representations:
    """Galaxy i has the vector (i, -i); two images of each galaxy make a group."""
    numbers = np.arange(n_galaxies)
    ids = [f"g{i:03d}" for i in numbers]
    groups = [f"g{i - i % 2:03d}" for i in numbers]
    galaxies = pd.DataFrame({"id_str": ids, "group_id": groups, "ra_deg": 0.0, "dec_deg": 0.0})
    vectors = np.column_stack([numbers, -numbers]).astype(np.float32)
    order = np.random.default_rng(0).permutation(n_galaxies)
    return Representations(galaxies.iloc[order].reset_index(drop=True), vectors[order], {})


def voted(*numbers: int) -> pd.DataFrame:
    table = pd.DataFrame({"id_str": [f"g{i:03d}" for i in numbers]})
    return table.assign(**{TREE.columns[0]: [i % 7 for i in numbers], TREE.columns[1]: 0})


def test_loop_of_votes__joins_votes_and_vectors_by_id_and_splits_by_group() -> None:
    data = loop_of_votes(seen(100), voted(*reversed(range(1, 140))), TREE, SPLIT)
    # Every seventh galaxy has no vote, and 100 to 139 have no representation.
    numbers = [i for i in range(1, 100) if i % 7]
    assert data.id_strs.tolist() == [f"g{i:03d}" for i in numbers]
    assert data.features[:, 0].tolist() == numbers
    assert data.votes[:, 0].tolist() == [i % 7 for i in numbers]
    splits = split_galaxies(seen(100).galaxies, SPLIT).set_index("id_str")["split"]
    assert data.is_test.tolist() == (splits[data.id_strs] == "test").tolist()
    is_test = dict(zip(numbers, data.is_test.tolist(), strict=True))
    assert all(is_test[i] == is_test[i + 1] for i in numbers if not i % 2 and i + 1 in is_test)


def test_loop_of_labels__takes_a_label_for_one_vote() -> None:
    target = Target("binary", "bar", ["none", "bar"])
    table = pd.DataFrame({"id_str": [f"g{i:03d}" for i in range(60)], "label": "x"})
    table = table.assign(y=[float(i % 3 == 0) for i in range(60)])
    data = loop_of_labels(seen(60), Labels(table, target, {}, ""), SPLIT)
    assert data.tree.columns == ("bar_none", "bar_bar")
    assert data.votes[:, 1].tolist() == table["y"].tolist()
    assert (data.votes.sum(axis=1) == 1).all()


def test_loop_of_votes__refuses_ids_that_have_nothing_in_common() -> None:
    with pytest.raises(LabelError, match=r"none of the 3 galaxies .* among the 40"):
        loop_of_votes(seen(40), voted(901, 902, 904), TREE, SPLIT)

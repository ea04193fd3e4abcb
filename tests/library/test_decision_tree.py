import pytest

from galaxyloop.decision_tree import DecisionTree, Question, combine_trees
from galaxyloop.errors import DecisionTreeError

SHAPE = Question("shape", ("smooth", "featured", "artifact"))
EDGE_ON = Question("edge-on", ("yes", "no"), ("shape_featured",))
MERGING = Question("merging", ("yes", "no"), ("shape_smooth", "shape_featured"))


def test_decision_tree__lays_out_columns_question_by_question() -> None:
    tree = DecisionTree("small", (SHAPE, EDGE_ON))
    assert tree.columns[2:] == ("shape_artifact", "edge-on_yes", "edge-on_no")
    assert tree.slices["edge-on"] == slice(3, 5)
    assert tree.question_of_answer == (0, 0, 0, 1, 1)


def test_decision_tree__gives_itself_back_from_json() -> None:
    tree = DecisionTree("small", (SHAPE, EDGE_ON, MERGING))
    assert DecisionTree.from_json(tree.to_json()) == tree


def test_paths_to__follow_every_parent() -> None:
    tree = DecisionTree("small", (SHAPE, EDGE_ON, MERGING))
    paths = list(tree.paths_to("merging_yes"))
    assert paths == [
        {"shape": "shape_smooth", "merging": "merging_yes"},
        {"shape": "shape_featured", "merging": "merging_yes"},
    ]


def test_decision_tree__accepts_parents_that_part_further_up() -> None:
    how_round = Question("how-round", ("round", "cigar"), ("shape_smooth",))
    dust = Question("dust", ("yes", "no"), ("how-round_cigar", "edge-on_yes"))
    DecisionTree("small", (SHAPE, EDGE_ON, how_round, dust))


def test_decision_tree__refuses_parents_given_together() -> None:
    odd = Question("odd", ("yes", "no"), ("shape_featured", "edge-on_yes"))
    with pytest.raises(DecisionTreeError, match="one volunteer can give together"):
        DecisionTree("small", (SHAPE, EDGE_ON, odd))


@pytest.mark.parametrize(
    ("questions", "message"),
    [
        ((EDGE_ON, SHAPE), "no earlier question offers"),
        ((SHAPE, SHAPE), "appear twice"),
        ((Question("bar", ("yes",)),), "two or more different answers"),
        ((Question("bar", ("yes", "yes")),), "two or more different answers"),
    ],
)
def test_decision_tree__refuses(questions: tuple[Question, ...], message: str) -> None:
    with pytest.raises(DecisionTreeError, match=message):
        DecisionTree("small", questions)


def test_combine_trees__keeps_campaigns_side_by_side() -> None:
    other = DecisionTree("other", (Question("shape-b", ("smooth", "featured")),))
    both = combine_trees([DecisionTree("one", (SHAPE,)), other])
    assert both.name == "one+other"
    assert both.columns == (*SHAPE.columns, "shape-b_smooth", "shape-b_featured")


def test_combine_trees__remembers_each_questions_campaign() -> None:
    one = DecisionTree("one", (SHAPE, EDGE_ON))
    other = DecisionTree("other", (Question("shape-b", ("smooth", "featured")),))
    third = DecisionTree("third", (Question("shape-c", ("smooth", "featured")),))
    nested = combine_trees([combine_trees([one, other]), third])
    assert nested == combine_trees([one, other, third])
    assert DecisionTree.from_json(nested.to_json()) == nested
    assert nested.parts == (one, other, third)
    assert nested.by_campaign == {
        "one": ("shape", "edge-on"),
        "other": ("shape-b",),
        "third": ("shape-c",),
    }


def test_decision_tree__of_one_campaign_has_the_text_it_always_had() -> None:
    text = (
        '{"name": "one", "questions": [{"name": "edge-on", "answers": ["yes", "no"], '
        '"asked_after": []}]}'
    )
    tree = combine_trees([DecisionTree("one", (Question("edge-on", ("yes", "no")),))])
    assert tree.to_json() == text
    assert DecisionTree.from_json(text).by_campaign == {"one": ("edge-on",)}


def test_decision_tree__refuses_campaigns_of_other_questions() -> None:
    with pytest.raises(DecisionTreeError, match="small has 1 questions, and campaigns of 2"):
        DecisionTree("small", (SHAPE,), ("one", "other"))


def test_combine_trees__refuses_campaigns_that_share_a_question() -> None:
    tree = DecisionTree("one", (SHAPE,))
    with pytest.raises(DecisionTreeError, match="appear twice"):
        combine_trees([tree, tree])


def test_question__refuses_an_unknown_name() -> None:
    with pytest.raises(DecisionTreeError, match="no question 'bar'; questions: shape"):
        DecisionTree("small", (SHAPE,)).question("bar")

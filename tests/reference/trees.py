"""Small decision trees for tests of the library."""

from collections.abc import Sequence

from galaxyloop.decision_tree import DecisionTree, Question


def flat_tree(n_answers: Sequence[int]) -> DecisionTree:
    """Questions that everybody is asked, with the given numbers of answers."""
    return DecisionTree(
        "flat",
        tuple(
            Question(f"question-{i}", tuple(f"answer-{j}" for j in range(n)))
            for i, n in enumerate(n_answers)
        ),
    )


def spiral_tree() -> DecisionTree:
    """A campaign in small: two levels, and a question that two answers lead to."""
    return DecisionTree(
        "small",
        (
            Question("shape-small", ("smooth", "featured", "artifact")),
            Question("edge-small", ("yes", "no"), ("shape-small_featured",)),
            Question("arms-small", ("one", "two", "three", "many"), ("edge-small_no",)),
            Question("odd-small", ("ring", "none"), ("shape-small_smooth", "shape-small_featured")),
        ),
    )

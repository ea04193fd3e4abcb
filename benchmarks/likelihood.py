"""The vote likelihood of all questions at once against a loop over questions."""

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.harness import at_least, at_most, finish, parse_arguments, time_pairs
from galaxyloop.decision_tree import DecisionTree
from galaxyloop.dirichlet import votes_loss
from tests.reference.trees import flat_tree

ONE_CAMPAIGN = [3, 2, 2, 2, 4, 5, 3, 4, 3, 6]
SIX_CAMPAIGNS = ONE_CAMPAIGN * 6


def loop_loss(concentrations: Tensor, votes: Tensor, tree: DecisionTree) -> Tensor:
    """The same loss, one question after the other."""
    total, n_answered = concentrations.new_zeros(()), votes.new_zeros(())
    for part in tree.slices.values():
        one, counts = concentrations[:, part], votes[:, part]
        n_votes, strength = counts.sum(1), one.sum(1)
        log_p = torch.lgamma(n_votes + 1) - torch.lgamma(counts + 1).sum(1)
        log_p = log_p + torch.lgamma(strength) - torch.lgamma(strength + n_votes)
        log_p = log_p + (torch.lgamma(one + counts) - torch.lgamma(one)).sum(1)
        total = total - log_p.sum()
        n_answered = n_answered + (n_votes > 0).sum()
    return total / n_answered.clamp(min=1)


class CountOperations(TorchDispatchMode):
    """Counts what reaches the device."""

    def __init__(self) -> None:
        """Start at none."""
        super().__init__()
        self.n_operations = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # noqa: ANN001, ANN204
        """Count and carry on."""
        self.n_operations += 1
        return func(*args, **(kwargs or {}))


def random_batch(tree: DecisionTree, n_galaxies: int, share_asked: float) -> tuple[Tensor, Tensor]:
    """Concentrations in (1, 101), and votes on the given share of the questions."""
    rng = np.random.default_rng(0)
    concentrations = rng.uniform(1, 101, (n_galaxies, len(tree.columns)))
    is_asked = rng.random((n_galaxies, len(tree.questions))) < share_asked
    votes = rng.integers(0, 20, concentrations.shape) * is_asked[:, tree.question_of_answer]
    return torch.tensor(concentrations, dtype=torch.float32), torch.tensor(votes).float()


def n_operations(tree: DecisionTree) -> int:
    """Operations of one forward and backward pass."""
    concentrations, votes = random_batch(tree, 4, 1.0)
    votes_loss(concentrations, votes, tree)
    with CountOperations() as counter:
        votes_loss(concentrations.requires_grad_(), votes, tree).backward()
    return counter.n_operations


def main() -> None:
    """Time, compare, judge."""
    arguments = parse_arguments(__doc__)
    n_rounds, n_repeats = (7, 20) if arguments.quick else (15, 60)
    cases = [(ONE_CAMPAIGN, 64, 1.0, 2.5), (ONE_CAMPAIGN, 256, 1.0, 2.5)]
    cases += [(SIX_CAMPAIGNS, 64, 0.17, 7.0), (SIX_CAMPAIGNS, 256, 0.17, 3.0)]
    figures: dict[str, object] = {}
    gates = []
    for sizes, n_galaxies, share_asked, bound in cases:
        tree = flat_tree(sizes)
        concentrations, votes = random_batch(tree, n_galaxies, share_asked)
        gradients = []

        def step(loss, inputs=concentrations, votes=votes, tree=tree):  # noqa: ANN001, ANN202
            for _ in range(n_repeats):
                leaf = inputs.detach().requires_grad_()
                value = loss(leaf, votes, tree)
                value.backward()
            return value.item(), leaf.grad

        case = f"{len(tree.columns)}_answers_{n_galaxies}_galaxies"
        ratio = time_pairs(lambda: step(loop_loss), lambda: step(votes_loss), n_rounds)  # noqa: B023
        figures[f"speed_up_{case}"] = ratio
        gates.append(at_least(f"speed_up_{case}", ratio.median, bound))
        (expected, gradients), (value, gradient) = step(loop_loss), step(votes_loss)
        loss_error = abs(value / expected - 1)
        gradient_error = float((gradient - gradients).abs().max() / gradients.abs().max())
        gates.append(at_most(f"loss_difference_{case}", loss_error, 1e-6))
        gates.append(at_most(f"gradient_difference_{case}", gradient_error, 5e-6))
    few, many = n_operations(flat_tree([3] * 2)), n_operations(flat_tree([3] * 50))
    figures["n_operations"] = few
    gates.append(at_most("operations_added_by_48_more_questions", many - few, 0))
    finish("likelihood", figures, gates, arguments)


if __name__ == "__main__":
    main()

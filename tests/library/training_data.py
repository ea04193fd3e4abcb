"""A survey that is learnt in seconds: the brighter a galaxy, the more say so."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from galaxyloop.decision_tree import DecisionTree, Question

TREE = DecisionTree(
    "toy",
    (
        Question("bright-toy", ("yes", "no")),
        Question("colour-toy", ("red", "green", "blue"), ("bright-toy_yes",)),
    ),
)


@dataclass
class ArrayCutouts:
    """Cutouts in memory."""

    images: np.ndarray
    id_strs: np.ndarray

    def read(self, positions: np.ndarray) -> np.ndarray:
        """Copies of some of them."""
        return self.images[positions]


def toy_survey(
    n_galaxies: int, image_size_px: int = 16, seed: int = 0
) -> tuple[ArrayCutouts, pd.DataFrame, pd.DataFrame]:
    """Cutouts, votes of 20 volunteers and a split of 1 in 4 for validation."""
    rng = np.random.default_rng(seed)
    brightness = rng.uniform(0.05, 0.95, n_galaxies)
    noise = rng.uniform(0, 40, (n_galaxies, image_size_px, image_size_px, 3))
    images = (noise + 200 * brightness[:, None, None, None]).astype(np.uint8)
    ids = np.array([f"toy{i}" for i in range(n_galaxies)])
    yes = rng.binomial(20, brightness)
    colours = rng.multinomial(yes, [0.2, 0.3, 0.5])
    counts = np.column_stack([yes, 20 - yes, colours]).astype(np.int32)
    votes = pd.DataFrame(counts, columns=list(TREE.columns))
    votes.insert(0, "id_str", ids)
    split = np.where(np.arange(n_galaxies) % 4 == 0, "validation", "train")
    return ArrayCutouts(images, ids), votes, pd.DataFrame({"id_str": ids, "split": split})

"""The learning rate: a pure function of the step, so that nothing has to be saved."""

import math

from galaxyloop.training.config import TrainingConfig

_MAX_WARMUP_SHARE = 0.2


def learning_rate_at(step: int, n_batches: int, config: TrainingConfig) -> float:
    """Linear warm-up, then half a cosine down to 0 (Loshchilov & Hutter 2017, arXiv:1608.03983).

    Args:
        step: counts from 0 over the whole run.
        n_batches: steps an epoch.
        config: its epochs, warmup_steps and learning_rate are used.
    """
    n_steps = n_batches * config.epochs
    n_warmup = min(config.warmup_steps, int(_MAX_WARMUP_SHARE * n_steps))
    if step < n_warmup:
        return config.learning_rate * (step + 1) / n_warmup
    done = (step - n_warmup) / max(n_steps - n_warmup, 1)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))

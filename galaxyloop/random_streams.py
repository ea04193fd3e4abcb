"""Random numbers as pure functions of what they are for: no state, the same in any order."""

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float64, Int64, Integer

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def uniforms(
    keys: Sequence[int], items: Integer[np.ndarray, " item"], n_draws: int
) -> Float64[np.ndarray, "item draw"]:
    """Numbers in [0, 1), a pure function of (keys, item, draw).

    A counter-based generator: SplitMix64's finaliser (Steele, Lea & Flood 2014,
    doi:10.1145/2660193.2660195) over the chained keys.

    Args:
        keys: what the numbers are for, such as (seed, epoch).
        items: such as each galaxy's number, >= 0.
        n_draws: how many numbers an item needs.
    """
    key = _mix(_chain(keys) ^ items.astype(np.uint64))
    bits = _mix(key[:, None] ^ np.arange(n_draws, dtype=np.uint64))
    return np.asarray((bits >> np.uint64(11)) * 2.0**-53)


def number_names(names: Iterable[str]) -> Int64[np.ndarray, " name"]:
    """A number >= 0 for each name: a hash, so that it does not depend on the other names."""
    digests = (hashlib.blake2b(name.encode(), digest_size=8).digest() for name in names)
    numbers = np.frombuffer(b"".join(digests), dtype="<u8")
    return (numbers >> np.uint64(1)).astype(np.int64)


def derive_seed(*keys: int) -> int:
    """A seed in [0, 2**63) that is a pure function of the keys and of their order."""
    return int(_chain(keys)[0] >> np.uint64(1))


@contextlib.contextmanager
def seeded(*keys: int) -> Iterator[None]:
    """Torch's default generators start from the keys inside, and are as before outside.

    For what takes no generator: layers' initial weights, dropout, drop-path.
    """
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        torch.manual_seed(derive_seed(*keys))
        yield


def _chain(keys: Sequence[int]) -> np.ndarray:
    """One hash of all keys."""
    key = np.zeros(1, dtype=np.uint64)
    for number in keys:
        key = _mix(key ^ np.uint64(number % 2**64))
    return key


def _mix(bits: np.ndarray) -> np.ndarray:
    """SplitMix64's step and finaliser, on unsigned 64-bit integers that wrap around."""
    bits = bits + _GOLDEN
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(bits ^ (bits >> np.uint64(31)))

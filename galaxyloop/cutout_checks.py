"""Whether a survey's shards hold what they should: counted chunk by chunk."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from galaxyloop.cutouts import WITHDRAWN
from galaxyloop.errors import ShardError, TooManyRejectsError
from galaxyloop.shards import CutoutCollection, CutoutShard

Part = tuple[Mapping[str, str], Sequence[CutoutShard]]
"""The fingerprint of each galaxy's image, by id, and the shards that must account for them."""


def check_rejects(parts: Iterable[Part], max_reject_rate: float) -> dict[str, int]:
    """Whether nearly every galaxy of a survey has a cutout, and the others a reason why not.

    Args:
        parts: a survey as a whole, with ``SurveyVersion.alive`` and the shards of all its chunks,
            or chunk by chunk, so that memory does not grow with it.
        max_reject_rate: share of the galaxies whose image may be rejected, from 0 to 1.

    Returns:
        How many galaxies have no cutout, by reason, the most frequent first.

    Raises:
        TooManyRejectsError: more are.
        ShardError: a galaxy is in no shard, or is back but was withdrawn when its chunk was cut
            out.
    """
    n_alive = n_lost = 0
    reasons: Counter[str] = Counter()
    for alive, shards in parts:
        if alive:
            cutouts = CutoutCollection(shards, alive)
            n_alive += len(alive)
            n_lost += len(alive) - len(cutouts) - len(cutouts.rejects)
            reasons.update(cutouts.rejects["reason"].astype(str))
    if n_lost:
        raise ShardError(
            f"{n_lost} of {n_alive} galaxies have neither a cutout nor a reason why not; give "
            "the shards of all chunks of this survey version"
        )
    if reasons[WITHDRAWN]:
        raise ShardError(
            f"{reasons[WITHDRAWN]} galaxies are back in the survey, but their chunk was cut out "
            "while they were withdrawn; set another ingest.chunk_size, which makes new chunks"
        )
    n_rejected = reasons.total()
    if n_rejected > max_reject_rate * n_alive:
        raise TooManyRejectsError(
            *("images", n_rejected, n_alive, max_reject_rate),
            dict(reasons.most_common()),
            "max_image_reject_rate",
        )
    return dict(reasons.most_common())

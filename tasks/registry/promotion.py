"""The gate: who becomes champion, how that is taken back, and what is written down of it."""

import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from flytekit import task

from galaxyloop.errors import CheckpointError, RegistryError
from galaxyloop.promotion import (
    HeldOutScores,
    PromotionConfig,
    PromotionDecision,
    judge_challenger,
    judge_first,
)
from schemas.artefacts import Evaluation
from schemas.model_version import ModelVersion
from tasks.registry.aliases import (
    CHAMPION,
    PREVIOUS,
    ROLLED_BACK,
    aliased,
    crown,
    history,
    note,
    replaced_by,
)
from tasks.registry.client import address_of, look_up, open_client, telling_failures
from tasks.registry.locking import registry_lock
from tasks.registry.packaging import mirror_aliases
from tasks.registry.runs import DIGEST_TAG
from tasks.registry.scores import (
    SCORED_TAG,
    fetch_scores,
    has_scores,
    keep_scores,
    key_of,
    open_scores,
)
from tasks.registry.versions import download_version
from tasks.resources import CPU_IMAGE, RETRIES, TABLES, retrying_storage

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

DECISION_TAG = "galaxyloop.promotion"
"""Tag of a version, ``promoted`` or ``stays``; with ``.reason``, and with ``.against_N`` for each
other version that it was held against: ``won`` or ``lost``."""


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def find_champion(
    model: ModelVersion, evaluation: Evaluation
) -> tuple[list[ModelVersion], str, str]:
    """The champion, if it has yet to be scored on a challenger's held-out galaxies.

    With its number, and what keeps it from being compared at all; both empty if it need not be
    looked at.
    """
    client = open_client()
    scores = open_scores(evaluation.download())
    with retrying_storage(), telling_failures(client):
        number = aliased(client, model.name, CHAMPION)
        if number is None or number == model.version:
            return [], "", ""
        run_id = str(client.get_model_version(model.name, number).run_id)
        if has_scores(client, run_id, key_of(scores)):
            return [], "", ""
        checkpoint = download_version(client, f"{model.name}/{number}")
    champion = ModelVersion(model.name, number, checkpoint.digest, run_id, address_of(client))
    obstacle = _obstacle(checkpoint.download(), scores)
    return ([] if obstacle else [champion]), number, obstacle


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def promote_model(
    model: ModelVersion,
    evaluation: Evaluation,
    champion_evaluations: list[Evaluation],
    champion: str,
    obstacle: str,
    config: PromotionConfig,
) -> str:
    """Make a version the champion if it is better than the present one; says what came of it.

    Args:
        model: the challenger.
        evaluation: its own.
        champion_evaluations: the champion's of the same galaxies, if it had none before.
        champion: number of the version that this is, as ``find_champion`` says.
        obstacle: what keeps the two from being compared, or nothing.
        config: the bounds.
    """
    client = open_client()
    scores = open_scores(evaluation.download())
    with retrying_storage(), telling_failures(client):
        run_id = str(client.get_model_version(model.name, model.version).run_id)
        keep_scores(client, run_id, scores)
        client.set_model_version_tag(model.name, model.version, SCORED_TAG, key_of(scores))
        for one in champion_evaluations:
            other = client.get_model_version(model.name, champion)
            keep_scores(client, str(other.run_id), open_scores(one.download()))
        known = {champion: obstacle} if obstacle else {}
        return _decide(client, (model.name, model.version), known, config)


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def promote_stored(model: str, config: PromotionConfig) -> str:
    """As ``promote_model``, for a registered version, from the scores that the registry keeps."""
    client = open_client()
    with retrying_storage(), telling_failures(client):
        version = look_up(client, model)
        return _decide(client, (version.name, str(version.version)), {}, config)


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def promote_by_hand(model: str, reason: str) -> str:
    """Make a version champion because a person says so: nothing is compared."""
    _check_reason(reason)
    client = open_client()
    with retrying_storage(), telling_failures(client):
        version = look_up(client, model)
        name, number = version.name, str(version.version)
        with registry_lock(client, name) as still_held:
            champion = aliased(client, name, CHAMPION)
            if champion == number:
                return f"{name} version {number} is the champion already"
            if ROLLED_BACK in client.get_model_version(name, number).tags:
                client.delete_model_version_tag(name, number, ROLLED_BACK)
            crown(client, (name, number), champion, ("promoted by hand", reason), still_held)
    return f"{name} version {number} is the champion, by hand: {reason}"


@task(container_image=CPU_IMAGE, resources=TABLES, retries=RETRIES)
def roll_back_model(name: str, reason: str) -> str:
    """Make the previous version the champion again; the present one never becomes it by itself."""
    _check_reason(reason)
    client = open_client()
    with retrying_storage(), telling_failures(client), registry_lock(client, name) as still_held:
        champion, previous = (aliased(client, name, alias) for alias in (CHAMPION, PREVIOUS))
        changes = history(client, name) if champion is not None else []
        # A rollback that was cut short has moved the first alias and not the second.
        if champion == previous and changes and changes[-1]["action"] == "rolled back to":
            champion = changes[-1]["replaced"]
        if champion is None or previous is None or champion == previous:
            raise RegistryError(
                f"there is nothing to roll '{name}' back to: its champion is "
                f"{champion or 'nobody'}, with no version before; appoint one "
                "(workflows/promotion.py appoint)"
            )
        still_held()
        note(client, name, ("rolled back to", previous, champion, reason))
        client.set_model_version_tag(name, champion, ROLLED_BACK, reason[:1000])
        client.set_registered_model_alias(name, CHAMPION, previous)
        before = replaced_by(client, name, previous)
        if before is None:
            client.delete_registered_model_alias(name, PREVIOUS)
        else:
            client.set_registered_model_alias(name, PREVIOUS, before)
        mirror_aliases(client, name)
    return f"{name} version {previous} is the champion again, version {champion} no more: {reason}"


def _obstacle(checkpoint: Path, scores: HeldOutScores) -> str:
    """What keeps a champion from being scored on the challenger's galaxies; empty if nothing."""
    from galaxyloop.checkpoint import load_checkpoint
    from galaxyloop.promotion.decision import tree_difference

    try:
        model = load_checkpoint(checkpoint)
    except CheckpointError as error:
        return f"the champion answers no questions of a decision tree ({error})"
    if model.image_size_px != scores.image_size_px:
        return (
            f"the champion sees cutouts of {model.image_size_px} px, the challenger of "
            f"{scores.image_size_px} px: no cutouts serve both"
        )
    theirs = HeldOutScores(pd.DataFrame(), model.tree, scores.digest, model.image_size_px)
    return tree_difference(scores, theirs)


def _check_reason(reason: str) -> None:
    """What a person decides without a comparison, the history must be able to explain."""
    if not reason.strip():
        raise RegistryError("give a reason: it is all that the history will know of this decision")


def _decide(
    client: "MlflowClient",
    version: tuple[str, str],
    known: dict[str, str],
    config: PromotionConfig,
) -> str:
    """Judge under the lock against whoever is champion then; move aliases, write down all of it.

    Args:
        client: of the registry.
        version: name and number of the challenger.
        known: versions that cannot be compared with it, and why.
        config: the bounds.
    """
    name, number = version
    with registry_lock(client, name) as still_held:
        entry = client.get_model_version(name, number)
        champion = aliased(client, name, CHAMPION)
        if champion == number:
            mirror_aliases(client, name)
            return f"{name} version {number} is the champion already"
        key = entry.tags.get(SCORED_TAG, "")
        decision = _judge(client, entry, champion, known, (key, config))
        _record(client, entry, champion, key, decision)
        told = "; ".join(decision.reasons)
        if not decision.is_promoted:
            return f"{name} version {number} does not become champion: {told}"
        crown(client, version, champion, ("promoted", told), still_held)
    return f"{name} version {number} is the champion: {told}"


def _judge(
    client: "MlflowClient",
    entry: Any,  # noqa: ANN401 - mlflow is untyped
    champion: str | None,
    known: dict[str, str],
    terms: tuple[str, PromotionConfig],
) -> PromotionDecision:
    """The decision, from scores that the registry keeps under a key."""
    key, config = terms
    scores = fetch_scores(client, entry.run_id, key) if key else None
    if scores is None:
        raise RegistryError(
            f"{entry.name} version {entry.version} has no scores on held-out galaxies, so nothing "
            "to be promoted for; run the workflow that trained it again, or promote it by hand"
        )
    if champion is None:
        return judge_first(scores, config)
    against = known.get(champion, "")
    if ROLLED_BACK in entry.tags:
        against = f"it was rolled back ({entry.tags[ROLLED_BACK]}): promote it by hand"
    if against:
        return PromotionDecision(False, (against,), pd.DataFrame(), config)
    other = client.get_model_version(entry.name, champion)
    theirs = fetch_scores(client, str(other.run_id), key)
    if theirs is None:
        raise RegistryError(
            f"{entry.name} version {champion}, now champion, has no scores on the held-out "
            f"galaxies of version {entry.version}; run the workflow that trained that one again: "
            "it scores the champion, and everything else is there already"
        )
    return judge_challenger(scores, theirs, config)


def _record(
    client: "MlflowClient",
    entry: Any,  # noqa: ANN401 - mlflow is untyped
    champion: str | None,
    key: str,
    decision: PromotionDecision,
) -> None:
    """A file with every number beside the challenger's training; tags on both versions."""
    other = client.get_model_version(entry.name, champion) if champion else None
    sides = {
        side: {
            "version": str(one.version),
            "run_id": one.run_id,
            "checkpoint_digest": one.tags.get(DIGEST_TAG, ""),
        }
        for side, one in (("challenger", entry), ("champion", other))
        if one is not None
    }
    content = {
        "model": entry.name,
        "decided_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "held_out": key,
        **sides,
        **decision.to_dict(),
    }
    with tempfile.TemporaryDirectory() as scratch:
        against = f"version-{champion}" if champion else "nobody"
        path = Path(scratch) / f"{entry.name}-version-{entry.version}-against-{against}.json"
        path.write_text(json.dumps(content, indent=1))
        client.log_artifact(entry.run_id, str(path), "promotion")
    verdict, result = ("promoted", "won") if decision.is_promoted else ("stays", "lost")
    tags = {DECISION_TAG: verdict, f"{DECISION_TAG}.reason": "; ".join(decision.reasons)[:1000]}
    if other is not None:
        tags[f"{DECISION_TAG}.against_{other.version}"] = result
        opposite = "lost" if decision.is_promoted else "won"
        name = f"{DECISION_TAG}.against_{entry.version}"
        client.set_model_version_tag(entry.name, other.version, name, opposite)
    for tag, value in tags.items():
        client.set_model_version_tag(entry.name, entry.version, tag, value)

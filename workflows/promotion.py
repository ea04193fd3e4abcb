"""Who becomes champion: by comparison, by hand, and back again."""

from flytekit import dynamic, workflow

from galaxyloop.metrics import MetricsConfig
from galaxyloop.posterior import PosteriorConfig
from galaxyloop.promotion import PromotionConfig
from schemas.artefacts import CutoutShard, Evaluation, SurveyVersion, VoteTable
from schemas.model_version import ModelVersion
from schemas.splits import KeyedSplits
from tasks.evaluate import evaluate
from tasks.pretrain import digest_labels
from tasks.registry import (
    find_champion,
    promote_by_hand,
    promote_model,
    promote_stored,
    resolve_model,
    roll_back_model,
)
from tasks.resources import CPU_IMAGE, WIRING


@dynamic(container_image=CPU_IMAGE, resources=WIRING)
def score_champion(
    champions: list[ModelVersion],
    survey: SurveyVersion,
    shards: list[CutoutShard],
    votes: VoteTable,
    splits: KeyedSplits,
    posterior: PosteriorConfig,
    metrics: MetricsConfig,
) -> list[Evaluation]:
    """Evaluate the champion on a challenger's held-out galaxies; nothing if it has been."""
    if not champions:
        return []
    digest = digest_labels(survey=survey, shards=shards, votes=votes, splits=splits)
    evaluations = []
    for champion in champions:
        checkpoint, _ = resolve_model(model=f"{champion.name}/{champion.version}")
        evaluations.append(
            evaluate(
                checkpoint=checkpoint,
                data_digest=digest,
                survey=survey,
                shards=shards,
                votes=votes,
                splits=splits,
                posterior=posterior,
                metrics=metrics,
            )
        )
    return evaluations


@workflow
def promote_if_better(
    model: ModelVersion,
    evaluation: Evaluation,
    survey: SurveyVersion,
    shards: list[CutoutShard],
    votes: VoteTable,
    splits: KeyedSplits,
    posterior: PosteriorConfig,
    metrics: MetricsConfig,
    promotion: PromotionConfig,
) -> str:
    """Make a new version champion if it beats the present one on its held-out galaxies.

    Args:
        model: the new version.
        evaluation: its own.
        survey: the survey version its held-out galaxies are of.
        shards: its cutouts.
        votes: validated votes.
        splits: which galaxies are held out.
        posterior: as the new version was evaluated.
        metrics: as the new version was evaluated.
        promotion: how sure one must be.
    """
    champions, champion, obstacle = find_champion(model=model, evaluation=evaluation)
    champion_evaluations = score_champion(
        champions=champions,
        survey=survey,
        shards=shards,
        votes=votes,
        splits=splits,
        posterior=posterior,
        metrics=metrics,
    )
    told: str = promote_model(
        model=model,
        evaluation=evaluation,
        champion_evaluations=champion_evaluations,
        champion=champion,
        obstacle=obstacle,
        config=promotion,
    )
    return told


@workflow
def promote(
    model: str = "galaxyloop@challenger", promotion: PromotionConfig = PromotionConfig()
) -> str:
    """Hold a registered version against the champion by the scores that the registry keeps.

    Args:
        model: registered model as name@alias or name/version.
        promotion: how sure one must be.
    """
    told: str = promote_stored(model=model, config=promotion)
    return told


@workflow
def appoint(model: str, reason: str) -> str:
    """Make a registered version the champion without a comparison.

    Args:
        model: registered model as name@alias or name/version.
        reason: why, for the history.
    """
    told: str = promote_by_hand(model=model, reason=reason)
    return told


@workflow
def roll_back(reason: str, model_name: str = "galaxyloop") -> str:
    """Make the previous version the champion again.

    Args:
        reason: what is wrong with the present one, for the history.
        model_name: name in the model registry.
    """
    told: str = roll_back_model(name=model_name, reason=reason)
    return told

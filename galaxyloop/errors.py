"""Errors that a caller may react to; each carries its numbers as attributes."""

from collections.abc import Iterable, Sequence
from typing import Any


class GalaxyloopError(Exception):
    """Base of every error that galaxyloop raises on purpose: bad input, with the remedy."""

    def __reduce__(self) -> tuple[Any, ...]:
        """An error that crosses to another process keeps its message and its numbers."""
        return _rebuild_error, (type(self), self.args, self.__dict__)


def _rebuild_error(
    kind: type[GalaxyloopError], args: tuple[Any, ...], attributes: dict[str, Any]
) -> GalaxyloopError:
    """The error as it was, made without its constructor, whose arguments are other ones."""
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(attributes)
    return error


class ConfigError(GalaxyloopError, ValueError):
    """A config has an unknown key, a missing key, or a value of the wrong type."""


class DecisionTreeError(GalaxyloopError, ValueError):
    """A decision tree contradicts itself: unknown parent, cycle, parents that overlap."""


class UnknownNameError(GalaxyloopError, KeyError):
    """A name is not in one of the registries (campaigns, encoders, objectives ...).

    Attributes:
        name: what was asked for.
        known: what there is.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        """Say what there is instead."""
        self.name = name
        self.known = sorted(known)
        self.message = f"there is no {kind} '{name}'; choose one of: {', '.join(self.known)}"
        super().__init__(self.message)

    def __str__(self) -> str:
        """The message, without KeyError's quotes."""
        return self.message


class VoteTableError(GalaxyloopError, ValueError):
    """A table cannot be read as vote counts of a campaign."""


class ManifestError(GalaxyloopError, ValueError):
    """A manifest cannot be read: a column is missing or the file is not a table."""


class NoMatchingVotesError(GalaxyloopError, ValueError):
    """The ids of a vote table and the ids of the manifest have (nearly) nothing in common.

    Attributes:
        source: the vote table.
        n_matching: ids in both.
        n_votes: ids with votes in that table.
        n_galaxies: ids in the manifest.
        min_matching_share: the bound, a share of the smaller side from 0 to 1.
    """

    def __init__(
        self,
        source: str,
        vote_ids: Sequence[str],
        survey_ids: Sequence[str],
        min_matching_share: float,
    ) -> None:
        """Show the counts, the bound and examples of ids that only one side has."""
        votes, survey = set(vote_ids), set(survey_ids)
        self.source = source
        self.n_matching = len(votes & survey)
        self.n_votes = len(votes)
        self.n_galaxies = len(survey)
        self.min_matching_share = min_matching_share
        of_votes = [id_str for id_str in vote_ids if id_str not in survey][:3]
        of_survey = [id_str for id_str in survey_ids if id_str not in votes][:3]
        super().__init__(
            f"{self.n_matching} of the {self.n_votes} ids with votes in {source} are among the "
            f"{self.n_galaxies} galaxies of the manifest, below min_matching_share="
            f"{min_matching_share:g} of the fewer of the two; only votes have ids like {of_votes}, "
            f"only the manifest like {of_survey}; give both the same id_str (or set id_column), "
            "drop the table, or lower min_matching_share"
        )


class TooManyRejectsError(GalaxyloopError, ValueError):
    """More rows, images or galaxies were rejected than the config allows.

    Attributes:
        n_rejected: how many were rejected.
        n_read: out of how many.
        max_reject_rate: the bound, a share from 0 to 1.
        reasons: the most frequent reasons with their counts.
    """

    def __init__(
        self,
        what: str,
        n_rejected: int,
        n_read: int,
        max_reject_rate: float,
        reasons: dict[str, int],
        setting: str = "max_reject_rate",
    ) -> None:
        """Show the numbers, the bound, the setting that holds it, and the most frequent reasons."""
        self.n_rejected = n_rejected
        self.n_read = n_read
        self.max_reject_rate = max_reject_rate
        self.reasons = reasons
        counted = "; ".join(f"{count} x {reason}" for reason, count in list(reasons.items())[:5])
        super().__init__(
            f"{n_rejected} of {n_read} {what} were rejected, more than {setting}="
            f"{max_reject_rate:g} allows ({counted}); mend the input or raise {setting}"
        )


class ShardError(GalaxyloopError, ValueError):
    """A cutout shard is damaged or does not fit the others."""


class CheckpointError(GalaxyloopError, ValueError):
    """A checkpoint is damaged, of another kind, or does not fit the request."""


class CatalogueError(GalaxyloopError, ValueError):
    """Predictions, or a table made from them, are damaged, untraceable, or of another tree."""


class PretrainedWeightsError(GalaxyloopError, RuntimeError):
    """Pretrained encoder weights were asked for and cannot be fetched."""


class NoTrainingDataError(GalaxyloopError, ValueError):
    """A split has no galaxy with both a cutout and votes.

    Attributes:
        counts: how many galaxies there are at each step of the match.
    """

    def __init__(self, what: str, counts: dict[str, int]) -> None:
        """Show where the galaxies got lost."""
        self.counts = counts
        listed = ", ".join(f"{count} {name}" for name, count in counts.items())
        super().__init__(
            f"{what} ({listed}); check that cutouts, votes and splits share their id_str, and that "
            "the split shares are large enough"
        )


class StorageError(GalaxyloopError, OSError):
    """A place cannot be read or written now; trying again later may help."""


class RefusedError(GalaxyloopError, PermissionError):
    """A place refuses to be read or written; trying again changes nothing."""


class ReportError(GalaxyloopError, ValueError):
    """A report's content contradicts itself."""


class RegistryError(GalaxyloopError, ValueError):
    """A model is not in the registry, or its files are not what was registered."""


class TrainingDivergedError(GalaxyloopError, ArithmeticError):
    """A loss became infinite or not a number.

    Attributes:
        step: at which it was found, from 0 over the whole run.
        learning_rate: at that step.
        id_strs: the galaxies of the batch; none for a validation loss.
    """

    def __init__(
        self,
        name: str,
        value: float,
        step: int,
        learning_rate: float,
        id_strs: Sequence[str] = (),
    ) -> None:
        """Show the loss, the step, the learning rate and the galaxies."""
        self.step = step
        self.learning_rate = learning_rate
        self.id_strs = tuple(id_strs)
        batch = f"; the batch's galaxies: {', '.join(id_strs)}" if id_strs else ""
        super().__init__(
            f"{name} is {value} at step {step} (learning rate {learning_rate:g}); lower "
            f"learning_rate or max_gradient_norm, or set precision to float32{batch}"
        )


class CutoutServiceError(GalaxyloopError, ValueError):
    """A cutout service refuses to be asked: its login is wrong or has no right to the data."""


class LabelError(GalaxyloopError, ValueError):
    """Labels for finetuning cannot be trained on: missing, contradictory, too few, without images.

    Attributes:
        n_wrong: how many rows, galaxies or examples are at fault.
        n_read: out of how many.
        id_strs: some of the galaxies concerned.
    """

    def __init__(
        self, message: str, n_wrong: int = 0, n_read: int = 0, id_strs: Sequence[str] = ()
    ) -> None:
        """Keep the numbers beside the message."""
        self.n_wrong = n_wrong
        self.n_read = n_read
        self.id_strs = list(id_strs)
        super().__init__(message)


class RepresentationError(GalaxyloopError, ValueError):
    """Representations are damaged, of different checkpoints, or cannot be compared."""


class MissingChunksError(GalaxyloopError, RuntimeError):
    """Chunks of a survey could not be cut out or predicted.

    Attributes:
        chunks: digests of the chunks that failed.
        n_galaxies: galaxies that are in them.
    """

    def __init__(self, message: str, chunks: Sequence[str], n_galaxies: int) -> None:
        """Keep the chunks beside the message."""
        self.chunks = list(chunks)
        self.n_galaxies = n_galaxies
        super().__init__(message)


class RequestError(GalaxyloopError, ValueError):
    """What a served model is asked cannot be answered.

    Attributes:
        rows: numbers of the rows at fault, from 0; none if it is the request as a whole.
    """

    def __init__(self, message: str, rows: Sequence[int] = ()) -> None:
        """Keep the rows beside the message."""
        self.rows = tuple(rows)
        super().__init__(message)


class ChangedImageError(StorageError):
    """An image is no longer the survey version's; no further attempt helps, a new version does."""


class DifferentGalaxiesError(GalaxyloopError, ValueError):
    """Scores of two models are not of the same held-out galaxies.

    Attributes:
        n_challenger: answered questions that only the challenger's scores have.
        n_champion: those that only the champion's have.
    """

    def __init__(self, message: str, n_challenger: int, n_champion: int) -> None:
        """Keep the numbers beside the message."""
        self.n_challenger = n_challenger
        self.n_champion = n_champion
        super().__init__(message)


class ScalingError(GalaxyloopError, ValueError):
    """No law of scaling can be fitted: cells are too few, failed, or have no error above 0."""


class SubjectSetError(GalaxyloopError, ValueError):
    """Galaxies cannot be made subjects of Zooniverse, or it would refuse them."""

"""Artefacts: directories that travel between tasks and are known by the digest of their content.

Flyte keys a file or directory by its path. An artefact's literal is a typed blob whose last path
component is the digest, and every alias below carries the digest as Flyte's hash, so that a task
that takes an artefact is cached on content wherever the bytes happen to lie.
"""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, ClassVar, TypeVar

from flytekit import FlyteContext, FlyteContextManager, HashMethod
from flytekit.core.type_engine import TypeTransformerFailedError
from flytekit.exceptions.system import FlyteDownloadDataException
from flytekit.exceptions.user import FlyteDataNotFoundException, FlyteRecoverableException
from flytekit.extend import TypeEngine, TypeTransformer
from flytekit.models.core.types import BlobType
from flytekit.models.literals import Blob, BlobMetadata, Literal, Scalar
from flytekit.models.types import LiteralType

from galaxyloop.errors import RefusedError, StorageError
from galaxyloop.network_errors import NETWORK_ERRORS, is_lasting

A = TypeVar("A", bound="Artefact")


class FetchError(FlyteRecoverableException, StorageError):
    """An artefact could not be fetched, which may pass: a cluster tries the task again."""


@dataclass(frozen=True)
class Artefact:
    """A directory with a digest of its content; subclasses name what it holds."""

    kind: ClassVar[str] = "artefact"

    uri: str
    """Where the directory lies: a local path or an object-store address."""
    digest: str
    """SHA-256 over the content, computed by the library that wrote it."""

    def download(self) -> Path:
        """The directory as a local path; fetched once a process if it lies elsewhere.

        Raises:
            FetchError: storage or the network failed.
            RefusedError: it may not be read, or is not there.
        """
        access = FlyteContextManager.current_context().file_access
        return _fetch(self.uri) if access.is_remote(self.uri) else Path(self.uri)


@cache
def _fetch(uri: str) -> Path:
    """A local copy of a directory in an object store."""
    local = Path(FlyteContextManager.current_context().file_access.get_random_local_directory())
    fetch(uri, local, is_directory=True)
    return local


def fetch(uri: str, local: Path, is_directory: bool = False) -> None:
    """Copy a file or directory from an object store; raises as ``Artefact.download`` does."""
    access = FlyteContextManager.current_context().file_access
    try:
        access.get_data(uri, str(local), is_multipart=is_directory)
    except FlyteDataNotFoundException as error:
        raise RefusedError(f"there is nothing at {uri}; was it removed since?") from error
    except FlyteDownloadDataException as error:
        # Flyte calls everything a failed download: a refusal, and a server that is away.
        cause = error.__context__
        told = " ".join(str(cause or error).split())
        if isinstance(cause, NETWORK_ERRORS) and is_lasting(cause):
            raise RefusedError(
                f"{uri} may not be read: {told}; check its address and the credentials"
            ) from error
        raise FetchError(
            f"{uri} could not be fetched: {told}; check the network and the endpoint, run again"
        ) from error


@dataclass(frozen=True)
class SurveyVersionDirectory(Artefact):
    """A survey version: its galaxies and the list of its immutable chunks."""

    kind: ClassVar[str] = "survey-version"


@dataclass(frozen=True)
class SurveyChunkDirectory(Artefact):
    """One chunk of a survey: manifest rows to be cut out together."""

    kind: ClassVar[str] = "survey-chunk"


@dataclass(frozen=True)
class CutoutShardDirectory(Artefact):
    """Packed cutouts of one chunk with index and rejects."""

    kind: ClassVar[str] = "cutout-shard"


@dataclass(frozen=True)
class VoteTableDirectory(Artefact):
    """Accepted votes, rejects and summary."""

    kind: ClassVar[str] = "vote-table"


@dataclass(frozen=True)
class CheckpointDirectory(Artefact):
    """Weights, config, learning log and environment of one trained model."""

    kind: ClassVar[str] = "checkpoint"


@dataclass(frozen=True)
class EvaluationDirectory(Artefact):
    """Held-out predictions, metrics and calibration of one checkpoint."""

    kind: ClassVar[str] = "evaluation"


@dataclass(frozen=True)
class PredictionDirectory(Artefact):
    """Posterior summaries of one shard by one checkpoint."""

    kind: ClassVar[str] = "prediction"


@dataclass(frozen=True)
class CatalogueDirectory(Artefact):
    """A Bayesian catalogue with its provenance in the footer."""

    kind: ClassVar[str] = "catalogue"


@dataclass(frozen=True)
class RepresentationsDirectory(Artefact):
    """Representations of the galaxies of a shard or of a survey, by one checkpoint."""

    kind: ClassVar[str] = "representations"


@dataclass(frozen=True)
class AcquisitionDirectory(Artefact):
    """The ranked list of galaxies to ask volunteers about next."""

    kind: ClassVar[str] = "acquisition"


@dataclass(frozen=True)
class ReportDirectory(Artefact):
    """One self-contained HTML page."""

    kind: ClassVar[str] = "report"


@dataclass(frozen=True)
class LabelTableDirectory(Artefact):
    """Labelled galaxies, what their labels mean, and who trains in which round."""

    kind: ClassVar[str] = "label-table"


@dataclass(frozen=True)
class LabelEvaluationDirectory(Artefact):
    """Out-of-sample predictions and metrics of a finetuned model, its probe and a baseline."""

    kind: ClassVar[str] = "label-evaluation"


@dataclass(frozen=True)
class LoopDirectory(Artefact):
    """Features and votes that a simulated loop is played on."""

    kind: ClassVar[str] = "loop"


_by_digest = HashMethod(lambda artefact: str(artefact.digest))

SurveyVersion = Annotated[SurveyVersionDirectory, _by_digest]
SurveyChunk = Annotated[SurveyChunkDirectory, _by_digest]
CutoutShard = Annotated[CutoutShardDirectory, _by_digest]
VoteTable = Annotated[VoteTableDirectory, _by_digest]
Checkpoint = Annotated[CheckpointDirectory, _by_digest]
Evaluation = Annotated[EvaluationDirectory, _by_digest]
Prediction = Annotated[PredictionDirectory, _by_digest]
Catalogue = Annotated[CatalogueDirectory, _by_digest]
Representations = Annotated[RepresentationsDirectory, _by_digest]
Acquisition = Annotated[AcquisitionDirectory, _by_digest]
Report = Annotated[ReportDirectory, _by_digest]
LabelTable = Annotated[LabelTableDirectory, _by_digest]
LabelEvaluation = Annotated[LabelEvaluationDirectory, _by_digest]
Loop = Annotated[LoopDirectory, _by_digest]

ARTEFACTS: tuple[type[Artefact], ...] = (
    SurveyVersionDirectory,
    SurveyChunkDirectory,
    CutoutShardDirectory,
    VoteTableDirectory,
    CheckpointDirectory,
    EvaluationDirectory,
    PredictionDirectory,
    CatalogueDirectory,
    RepresentationsDirectory,
    AcquisitionDirectory,
    ReportDirectory,
    LabelTableDirectory,
    LabelEvaluationDirectory,
    LoopDirectory,
)


def is_kept(literal: Literal) -> bool:
    """Whether the files and directories that a literal names are where they were put.

    Of what lies elsewhere than on this machine that is taken for granted.
    """
    if literal.collection is not None:
        return all(map(is_kept, literal.collection.literals))
    if literal.map is not None:
        return all(map(is_kept, literal.map.literals.values()))
    if literal.scalar is None:
        return True
    if literal.scalar.union is not None:
        return is_kept(literal.scalar.union.value)
    stored = literal.scalar.blob or literal.scalar.structured_dataset
    if stored is None:
        return True
    uri = str(stored.uri)
    return FlyteContextManager.current_context().file_access.is_remote(uri) or Path(uri).exists()


class ArtefactTransformer(TypeTransformer[A]):
    """Between an artefact and a Flyte blob whose format is the artefact's kind."""

    def __init__(self, artefact_type: type[A]) -> None:
        """Serve one artefact type."""
        super().__init__(artefact_type.__name__, artefact_type)
        self._type = artefact_type
        self._blob = BlobType(artefact_type.kind, BlobType.BlobDimensionality.MULTIPART)

    def get_literal_type(self, t: type[A]) -> LiteralType:
        """A multipart blob; its format keeps a checkpoint from passing for a shard."""
        return LiteralType(blob=self._blob)

    def to_literal(
        self, ctx: FlyteContext, python_val: A, python_type: type[A], expected: LiteralType
    ) -> Literal:
        """Upload from a pod; refer to the path in a local run."""
        uri = python_val.uri
        state = ctx.execution_state
        is_local = state is None or state.is_local_execution()
        if not is_local and not ctx.file_access.is_remote(uri):
            remote = os.path.join(ctx.file_access.get_random_remote_directory(), python_val.digest)
            uri = str(ctx.file_access.put_data(uri, remote, is_multipart=True))
        if uri.rstrip("/").rsplit("/", 1)[-1] != python_val.digest:
            raise TypeTransformerFailedError(
                f"a {self._type.kind} must lie in a directory named by its digest "
                f"{python_val.digest}, got {uri}"
            )
        return Literal(scalar=Scalar(blob=Blob(metadata=BlobMetadata(type=self._blob), uri=uri)))

    def to_python_value(self, ctx: FlyteContext, lv: Literal, expected_python_type: type[A]) -> A:
        """The artefact at the blob's address; nothing is downloaded yet."""
        kind = lv.scalar.blob.metadata.type.format
        if kind != self._type.kind:
            raise TypeTransformerFailedError(f"expected a {self._type.kind}, got a {kind}")
        uri = str(lv.scalar.blob.uri).rstrip("/")
        return self._type(uri=uri, digest=uri.rsplit("/", 1)[-1])


for _artefact_type in ARTEFACTS:
    TypeEngine.register(ArtefactTransformer(_artefact_type))

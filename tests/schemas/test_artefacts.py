from pathlib import Path

import pytest
from flytekit import Cache, FlyteContextManager, dynamic, task, workflow
from flytekit.core.local_cache import LocalTaskCache
from flytekit.core.type_engine import TypeTransformerFailedError

from schemas.artefacts import (
    ARTEFACTS,
    Artefact,
    ArtefactTransformer,
    Checkpoint,
    CheckpointDirectory,
    SurveyChunk,
    SurveyChunkDirectory,
)

runs: list[str] = []


@task
def make_chunk(directory: str, digest: str) -> SurveyChunk:
    return SurveyChunkDirectory(uri=f"{directory}/{digest}", digest=digest)


@task(cache=Cache(version="1"))
def count_files(chunk: SurveyChunk) -> int:
    runs.append(chunk.digest)
    return len(list(chunk.download().iterdir()))


@dynamic
def count_each(chunks: list[SurveyChunk]) -> list[int]:
    return [count_files(chunk=chunk) for chunk in chunks]


@task
def both(first: SurveyChunk, second: SurveyChunk) -> list[SurveyChunk]:
    return [first, second]


@workflow
def count(one: str, other: str, directory: str) -> list[int]:
    first = make_chunk(directory=directory, digest=one)
    second = make_chunk(directory=directory, digest=other)
    counted: list[int] = count_each(chunks=both(first=first, second=second))
    return counted


@task
def use_checkpoint(checkpoint: Checkpoint) -> str:
    return checkpoint.digest


@pytest.fixture(autouse=True)
def fresh_cache() -> None:
    runs.clear()
    LocalTaskCache.clear()


@pytest.fixture
def chunks(tmp_path: Path) -> Path:
    for place in ("here", "there"):
        for digest in ("aaa", "bbb", "ccc"):
            (tmp_path / place / digest).mkdir(parents=True)
            (tmp_path / place / digest / "chunk.parquet").touch()
    return tmp_path


def test_artefacts__have_kinds_of_their_own() -> None:
    assert len({artefact.kind for artefact in ARTEFACTS} | {Artefact.kind}) == len(ARTEFACTS) + 1


def test_artefact__elsewhere_with_the_same_digest_is_a_hit(chunks: Path) -> None:
    assert count(one="aaa", other="bbb", directory=str(chunks / "here")) == [1, 1]
    assert count(one="aaa", other="bbb", directory=str(chunks / "there")) == [1, 1]
    assert runs == ["aaa", "bbb"]


def test_artefact__of_a_longer_list_reruns_only_what_is_new(chunks: Path) -> None:
    count(one="aaa", other="bbb", directory=str(chunks / "here"))
    count(one="aaa", other="ccc", directory=str(chunks / "here"))
    assert runs == ["aaa", "bbb", "ccc"]


@workflow
def miswired() -> str:
    used: str = use_checkpoint(checkpoint=make_chunk(directory="/nowhere", digest="aaa"))
    return used


def test_artefact__of_another_kind_is_refused() -> None:
    with pytest.raises(Exception, match="expected a checkpoint, got a survey-chunk"):
        miswired()


def test_artefact__is_known_by_the_end_of_its_address() -> None:
    transformer = ArtefactTransformer(CheckpointDirectory)
    context = FlyteContextManager.current_context()
    checkpoint = CheckpointDirectory(uri="s3://bucket/run/abc", digest="abc")
    literal_type = transformer.get_literal_type(CheckpointDirectory)
    literal = transformer.to_literal(context, checkpoint, CheckpointDirectory, literal_type)
    assert transformer.to_python_value(context, literal, CheckpointDirectory) == checkpoint


def test_artefact__outside_of_a_directory_named_by_its_digest_is_refused() -> None:
    transformer = ArtefactTransformer(CheckpointDirectory)
    context = FlyteContextManager.current_context()
    misplaced = CheckpointDirectory(uri="s3://bucket/run/latest", digest="abc")
    literal_type = transformer.get_literal_type(CheckpointDirectory)
    with pytest.raises(TypeTransformerFailedError, match="digest abc, got s3://bucket/run/latest"):
        transformer.to_literal(context, misplaced, CheckpointDirectory, literal_type)

"""Attempts: lost pods, errors that pass and errors that do not, mapped items that fail, decks."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path

import pytest
import torch
from flyteidl.core.literals_pb2 import Literal

from galaxyloop.acquisition import AcquisitionConfig
from galaxyloop.cutouts import CutoutConfig
from galaxyloop.splits import SplitConfig
from galaxyloop.surveys import IngestConfig
from galaxyloop.training.config import SupervisedRun
from galaxyloop.vote_tables.settings import VotesConfig, VoteSource
from tasks.resources import RETRIES
from tests.flyte.protocol.cluster import Cluster, TaskFailedError
from tests.flyte.protocol.literals import Literals, listed
from tests.flyte.protocol.pods import FreshPods, Pod
from tests.flyte.protocol.registration import fast_registration, package, read_distribution
from tests.flyte.protocol.walks import SMALL, TRAINING, Walks
from tests.library.cutout_server import CutoutServer, fails, running_server, sends
from tests.library.image_files import galaxy_pixels, png_bytes

pytestmark = pytest.mark.slow

EPOCHS = 3


@pytest.fixture(scope="module")
def learnt_from(walks: Walks) -> Literals:
    """What a training on votes takes, but for its settings."""
    execute = walks.cluster.execute_task
    ingested = walks.walk("workflows.ingest.ingest_survey")
    sources = [VoteSource.from_dict(source) for source in walks.votes]
    checks = VotesConfig.from_dict(SMALL["vote_checks"])
    (votes,) = execute("tasks.votes.read_votes", sources=sources, checks=checks).values()
    inputs = {"survey": ingested["o0"], "votes": votes}
    (splits,) = execute("tasks.votes.split_galaxies", config=SplitConfig(), **inputs).values()
    inputs |= {"shards": ingested["o1"], "splits": splits}
    (digest,) = execute("tasks.pretrain.digest_labels", **inputs).values()
    return {**inputs, "data_digest": digest}


def forgetful(cluster: Cluster, **changes: object) -> Cluster:
    """The same cluster with an empty cache."""
    root = cluster.root / f"again-{len(list(cluster.root.iterdir()))}"
    return replace(cluster, root=root, attempts=[], hits=[], _cache={}, **changes)


def train(cluster: Cluster, learnt_from: Literals) -> Path:
    """The checkpoint of a training that saves its state at every step."""
    training = {**TRAINING, "epochs": EPOCHS, "save_every_steps": 1}
    run = SupervisedRun.from_dict({"training": training})
    outputs = cluster.execute_task("tasks.pretrain.pretrain_supervised", run=run, **learnt_from)
    return fetch(cluster, outputs["o0"])


def fetch(cluster: Cluster, artefact: Literal) -> Path:
    """A local copy of an artefact."""
    uri = artefact.scalar.blob.uri
    folder = cluster.root / Path(uri).name
    for name in cluster.store.names(uri):
        cluster.store.fetch(name, folder / name.removeprefix(f"{uri}/"))
    return folder


@dataclass
class Evictions:
    """Takes a pod's node away once it has saved some progress, in its first attempts."""

    cluster: Cluster
    progress: tuple[tuple[int, int], ...]
    """For each attempt to be cut short, epochs and batches to be done before."""
    taken: list[tuple[int, int]] = field(default_factory=list)

    def __call__(self, pod: Pod) -> bool:
        if pod.attempt >= len(self.progress):
            return False
        saved = self.cluster.store.get(f"{pod.checkpoint}/state.pt")
        if saved is None:
            return False
        state = torch.load(BytesIO(saved), weights_only=True)
        place = state["epoch"], state["n_batches"]
        if place < self.progress[pod.attempt]:
            return False
        self.taken.append(place)
        return True


def test_training__cut_short_twice_goes_on_to_the_same_bytes(
    walks: Walks, learnt_from: Literals
) -> None:
    whole = train(forgetful(walks.cluster), learnt_from)
    # The second attempt is lost before it has made any progress of its own.
    evictions = Evictions(walks.cluster, ((1, 1), (1, 1)))
    cluster = forgetful(walks.cluster, is_evicted=evictions)
    resumed = train(cluster, learnt_from)
    first, second, third = cluster.attempts
    assert (first.code, second.code, third.code) == (-9, -9, 0)
    assert len(evictions.taken) == 2
    assert "Epoch 1/3" in first.log
    assert "Epoch 1/3" not in second.log + third.log
    assert "Epoch 3/3" in third.log
    # Named by the digest of its content.
    assert resumed.name == whole.name
    for name in ("weights.safetensors", "config.json"):
        assert (resumed / name).read_bytes() == (whole / name).read_bytes()


@pytest.fixture
def server() -> Iterator[CutoutServer]:
    with running_server() as server:
        yield server


def read_survey(cluster: Cluster, server: CutoutServer) -> Literals:
    manifest = f"{server.address}/manifest.csv?id=manifest"
    return cluster.execute_task(
        "tasks.ingest.read_survey",
        manifest=manifest,
        config=IngestConfig(fingerprint="uri"),
        previous="",
    )


def test_tasks__try_again_when_the_network_fails(walks: Walks, server: CutoutServer) -> None:
    table = sends(b"id_str,image_uri\na,https://example.org/a.png\n", "text/csv")
    server.behave("manifest", *[fails(503)] * RETRIES, table)
    cluster = forgetful(walks.cluster)
    assert read_survey(cluster, server)
    *failed, last = cluster.attempts
    assert len(failed) == RETRIES
    assert last.is_done
    for number, ended in enumerate(failed):
        assert ended.error is not None
        assert ended.error.code == "USER:Recoverable"
        assert "could not be read (503" in ended.error.message
        # What counts on a cluster is the error's file.
        assert ended.code == 0
        assert ended.pod.environment["FLYTE_ATTEMPT_NUMBER"] == str(number)


def test_tasks__are_not_tried_again_when_their_inputs_are_wrong(walks: Walks) -> None:
    cluster = forgetful(walks.cluster)
    with pytest.raises(TaskFailedError, match="there is no campaign 'gz9'; choose one of: "):
        cluster.execute_task(
            "tasks.checks.check_round",
            votes=[VoteSource("s3://nowhere/votes.csv", "gz9")],
            run=SupervisedRun(),
            split=SplitConfig(),
            n_folds=0,
            acquisition=AcquisitionConfig(),
            output="s3://nowhere/round",
        )
    (ended,) = cluster.attempts
    assert ended.pod.attempt == 0


@dataclass
class Small:
    """Four galaxies in a folder of the object store."""

    cluster: Cluster
    address: str
    images: list[str]
    chunk_size: int = 2

    @property
    def config(self) -> IngestConfig:
        return IngestConfig(chunk_size=self.chunk_size, n_readers=1, max_image_reject_rate=0.5)

    def read(self) -> Literal:
        """The survey version."""
        manifest = f"{self.address}/manifest.csv"
        inputs = {"manifest": manifest, "config": self.config, "previous": ""}
        return only(self.cluster.execute_task("tasks.ingest.read_survey", **inputs))

    def chunks(self, survey: Literal) -> Literal:
        return only(self.cluster.execute_task("tasks.ingest.list_chunks", survey=survey))

    def cut_out(self, chunks: Literal) -> Literals:
        """Shards or gaps, and reasons."""
        cutouts = CutoutConfig(image_size_px=32)
        inputs = {"chunks": chunks, "cutouts": cutouts, "ingest": self.config, "group": 1000}
        return self.cluster.execute_task("workflows.ingest.cut_out_chunks", **inputs)

    def check(self, survey: Literal, found: Literals, allow_missing: bool) -> Literals:
        """Whether so many gaps may be."""
        return self.cluster.execute_task(
            "tasks.ingest.check_cutouts",
            survey=survey,
            shards=found["o0"],
            reasons=found["o1"],
            config=self.config,
            allow_missing=allow_missing,
        )


def only(outputs: Literals) -> Literal:
    (literal,) = outputs.values()
    return literal


def small_survey(walks: Walks, name: str, cluster: Cluster) -> Small:
    small = Small(cluster, walks.at(name), [f"g{number}.png" for number in range(4)])
    for number, image in enumerate(small.images):
        cluster.store.put(f"{small.address}/{image}", png_bytes(galaxy_pixels(number)))
    rows = "".join(f"{Path(image).stem},{image}\n" for image in small.images)
    cluster.store.put(f"{small.address}/manifest.csv", f"id_str,image_uri\n{rows}".encode())
    return small


def test_map__leaves_a_gap_that_the_next_run_fills(walks: Walks) -> None:
    small = small_survey(walks, "gap", forgetful(walks.cluster))
    store, address = small.cluster.store, f"{small.address}/{small.images[3]}"
    survey = small.read()
    content = store.get(address)
    assert content is not None
    store.put(address, png_bytes(galaxy_pixels(9)))
    chunks = small.chunks(survey)
    found = small.cut_out(chunks)
    is_gap = [one.scalar.HasField("none_type") for one in found["o0"].collection.literals]
    assert sorted(is_gap) == [False, True]
    # Only a new version of the survey helps, so one attempt is all.
    (failed,) = (ended for ended in small.cluster.attempts if not ended.is_done)
    assert failed.error is not None
    assert "g3.png has changed since the manifest was read" in failed.error.message
    with pytest.raises(TaskFailedError, match="1 of 2 chunks"):
        small.check(survey, found, allow_missing=False)
    checked = small.check(survey, found, allow_missing=True)
    assert [len(checked[name].collection.literals) for name in ("o0", "o1")] == [1, 1]
    store.put(address, content)
    small.cluster.attempts.clear()
    whole = small.cut_out(chunks)
    tasks = [ended.pod.task for ended in small.cluster.attempts]
    assert tasks.count("tasks.ingest.cut_out_chunk") == 1
    assert small.cluster.hits == ["tasks.ingest.cut_out_chunk"]
    assert len(small.check(survey, whole, allow_missing=False)["o0"].collection.literals) == 2


def digest(artefact: Literal) -> str:
    return Path(artefact.scalar.blob.uri).name


def test_commands__do_the_same_in_a_process_of_their_own_and_with_code_that_is_fetched(
    walks: Walks, tmp_path: Path
) -> None:
    warm = small_survey(walks, "same", forgetful(walks.cluster))
    warm.chunk_size = len(warm.images)
    survey = warm.read()
    fresh = replace(warm, cluster=forgetful(walks.cluster, runner=FreshPods()))
    assert digest(fresh.read()) == digest(survey)
    (chunk,) = warm.chunks(survey).collection.literals
    archive = package(tmp_path, "--copy", "all")
    name, code = read_distribution(archive)
    walks.cluster.store.put(walks.at(f"code/{name}"), code)
    fetched = forgetful(
        walks.cluster,
        runner=FreshPods(),
        registration=fast_registration(archive, walks.at(f"code/{name}")),
        # Nothing of ours is in the image.
        environment={**walks.cluster.environment, "PYTHONPATH": str(tmp_path)},
    )
    (wanted,) = warm.cut_out(listed(chunk))["o0"].collection.literals
    (shard,) = replace(warm, cluster=fetched).cut_out(listed(chunk))["o0"].collection.literals
    assert digest(shard) == digest(wanted)
    assert {ended.pod.command[0] for ended in fetched.attempts} == {"pyflyte-fast-execute"}
    assert any("pyflyte-map-execute" in ended.pod.command for ended in fetched.attempts)

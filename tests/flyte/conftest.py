"""What the tests of the container protocol share: a registration, an object store, a cluster."""

from collections.abc import Iterator

import pytest

from tests.flyte.protocol.cluster import Cluster
from tests.flyte.protocol.pods import WarmPods, base_environment
from tests.flyte.protocol.registration import Registration, package, read_archive
from tests.flyte.protocol.storage import ObjectStore, running_store
from tests.flyte.protocol.walks import Walks, write_small_survey


@pytest.fixture(scope="session")
def registration(tmp_path_factory: pytest.TempPathFactory) -> Registration:
    return read_archive(package(tmp_path_factory.mktemp("package")))


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    with running_store() as store:
        yield store


@pytest.fixture(scope="session")
def warm_pods(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WarmPods]:
    folder = tmp_path_factory.mktemp("warm")
    (folder / "tmp").mkdir()
    pods = WarmPods(base_environment(folder))
    yield pods
    pods.close()


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of an MLflow registry that all pods reach."""
    return f"sqlite:///{tmp_path_factory.mktemp('registry')}/mlflow.db"


@pytest.fixture(scope="session")
def cluster(
    registration: Registration,
    object_store: ObjectStore,
    warm_pods: WarmPods,
    registry: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Cluster:
    root = tmp_path_factory.mktemp("cluster")
    environment = {"MLFLOW_TRACKING_URI": registry}
    return Cluster(registration, object_store, warm_pods, root, environment)


@pytest.fixture(scope="session")
def walks(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Walks:
    survey = tmp_path_factory.mktemp("simulated") / "survey"
    write_small_survey(survey)
    cluster.store.put_folder(survey, f"{cluster.store.address}/survey")
    return Walks(cluster, survey)

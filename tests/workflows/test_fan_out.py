"""Many items: locally one by one, on a cluster mapped, beyond a limit nested."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flytekit.configuration import Image, ImageConfig, SerializationSettings
from flytekit.core.array_node_map_task import ArrayNodeMapTask, ArrayNodeMapTaskResolver
from flytekit.core.context_manager import ExecutionState, FlyteContext, FlyteContextManager
from flytekit.core.python_function_task import PythonFunctionTask
from flytekit.core.type_engine import TypeEngine
from flytekit.models.dynamic_job import DynamicJobSpec
from flytekit.models.literals import LiteralMap

from galaxyloop.acquisition import InformationConfig
from galaxyloop.catalogue import ProductsConfig
from galaxyloop.cutouts import CutoutConfig
from galaxyloop.posterior import PosteriorConfig
from galaxyloop.publishing import CatalogueRecord
from galaxyloop.surveys import IngestConfig
from schemas.artefacts import (
    CheckpointDirectory,
    CutoutShardDirectory,
    SurveyVersionDirectory,
)
from schemas.model_version import ModelVersion
from tasks.ingest import list_chunks, read_survey
from tests.workflows.survey_night import Night, open_night
from workflows.catalogue import make_catalogue
from workflows.fan_out import GROUP, in_groups
from workflows.ingest import cut_out_chunks
from workflows.predict import predict_group, predict_shards
from workflows.verify import verify_group

IMAGES = ImageConfig(
    default_image=Image("default", "example.org/cpu", "v1"),
    images=[Image("cpu", "example.org/cpu", "v1"), Image("gpu", "example.org/gpu", "v1")],
)
SETTINGS = SerializationSettings(project="p", domain="d", version="v", env={}, image_config=IMAGES)


@pytest.mark.parametrize(("n_items", "size"), [(0, 3), (1, 3), (3, 3), (4, 3), (1000, 3), (7, 1)])
def test_in_groups__keeps_every_item_in_order(n_items: int, size: int) -> None:
    groups = in_groups(range(n_items), size)
    assert sum(groups, []) == list(range(n_items))
    assert all(0 < len(group) <= size for group in groups)
    assert len(groups) == -(-n_items // size)


def test_group__is_what_one_workflow_can_map() -> None:
    assert GROUP <= 1000


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    with open_night(tmp_path) as night:
        night.add(range(10))
        yield night


def cut_out(night: Night, chunks: list[Any], group: int) -> tuple[list[Any], list[str]]:
    shards, reasons = cut_out_chunks(
        chunks=chunks,
        cutouts=CutoutConfig(image_size_px=32),
        ingest=IngestConfig(n_readers=1),
        group=group,
    )
    return shards, reasons


@pytest.mark.slow
@pytest.mark.parametrize("group", [2, 1000])
def test_cut_out_chunks__goes_on_after_a_chunk_that_fails(night: Night, group: int) -> None:
    config = IngestConfig(chunk_size=2, n_readers=1)
    survey = read_survey(manifest=str(night.root / "manifest.csv"), config=config, previous="")
    chunks = list_chunks(survey=survey)
    assert len(chunks) == 5
    image = night.root / "images" / "g00005.png"
    content = image.read_bytes()
    image.write_bytes((night.root / "images" / "g00004.png").read_bytes())
    shards, reasons = cut_out(night, chunks, group)
    assert [shard is None for shard in shards].count(True) == 1
    (reason,) = filter(None, reasons)
    assert "g00005.png has changed since the manifest was read" in reason
    assert shards[reasons.index(reason)] is None
    assert len(night.kept("cutout-shard")) == 4
    # Mended: the same list, whole, in the same order, and only the one is made.
    image.write_bytes(content)
    again, none = cut_out(night, chunks, group)
    assert len(night.kept("cutout-shard")) == 5
    assert not any(none)
    assert [one for one, shard in zip(again, shards, strict=True) if shard is not None] == [
        shard for shard in shards if shard is not None
    ]


def compile_on_cluster(
    dynamic: PythonFunctionTask, inputs: Mapping[str, object], monkeypatch: pytest.MonkeyPatch
) -> DynamicJobSpec | LiteralMap:
    """What a dynamic workflow's pod hands back to the cluster."""
    monkeypatch.setenv("FLYTE_INTERNAL_EXECUTION_ID", "x")
    # A pod compiles it once; what was compiled before in this process would stay in it.
    monkeypatch.setattr(dynamic, "_wf", None)
    context = FlyteContextManager.current_context()
    kinds, types = dynamic.python_interface.inputs, dynamic.interface.inputs
    literals = {
        name: TypeEngine.to_literal(context, value, kinds[name], types[name].type)
        for name, value in inputs.items()
    }
    with in_pod() as inside:
        return dynamic.dispatch_execute(inside, LiteralMap(literals))


@contextmanager
def in_pod() -> Iterator[FlyteContext]:
    """Flyte's context in a container of a cluster."""
    context = FlyteContextManager.current_context()
    state = context.new_execution_state().with_params(mode=ExecutionState.Mode.TASK_EXECUTION)
    pod = context.with_serialization_settings(SETTINGS).with_execution_state(state)
    with FlyteContextManager.with_context(pod) as inside:
        yield inside


def predicted(n_shards: int, root: Path) -> dict[str, Any]:
    for name in ("c", *(f"s{number}" for number in range(n_shards))):
        (root / name).mkdir()
    return {
        "checkpoints": [CheckpointDirectory(str(root / "c"), "c")],
        "shards": [CutoutShardDirectory(str(root / f"s{n}"), f"s{n}") for n in range(n_shards)],
        "posterior": PosteriorConfig(),
        "information": InformationConfig(),
    }


def test_predict_shards__on_a_cluster_are_mapped_and_may_have_gaps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = compile_on_cluster(predict_group, predicted(5, tmp_path), monkeypatch)
    assert isinstance(spec, DynamicJobSpec)
    (node,) = spec.nodes
    array = node.to_flyte_idl().array_node
    assert array.WhichOneof("success_criteria") == "min_success_ratio"
    assert array.min_success_ratio == 0.0
    (task,) = spec.tasks
    # One name in every run, whatever the number of shards: that is half of the cache's key.
    assert task.id.name.startswith("tasks.predict.map_predict_shard_")
    assert task.metadata.discoverable
    assert task.metadata.retries.retries == 3
    # Addresses differ from run to run, digests do not: that is the other half.
    assert set(task.metadata.cache_ignore_input_vars) == {"checkpoints", "shard"}
    bindings = {binding.var: binding.binding for binding in node.inputs}
    digests = [
        [item.scalar.primitive.string_value for item in member.collection.bindings]
        for member in bindings["digests"].collection.bindings
    ]
    assert digests == [[f"s{number}", "c"] for number in range(5)]


def test_predict_shards__on_a_cluster_are_nested_beyond_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = predicted(5, tmp_path) | {"group": 2}
    spec = compile_on_cluster(predict_shards, inputs, monkeypatch)
    names = [node.task_node.reference_id.name for node in spec.nodes]
    assert names == ["workflows.predict.predict_group"] * 3 + ["tasks.predict.join_predictions"]


def test_predict_shards__of_nothing_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = predicted(0, tmp_path) | {"group": 2}
    assert isinstance(compile_on_cluster(predict_shards, inputs, monkeypatch), LiteralMap)


def made(standing: str, root: Path) -> dict[str, Any]:
    inputs = predicted(0, root) | {"cutouts": CutoutConfig(), "ingest": IngestConfig()}
    del inputs["shards"]
    (root / "v").mkdir()
    return inputs | {
        "standing": standing,
        "record": CatalogueRecord("v", ["c"], "{}"),
        "survey": SurveyVersionDirectory(str(root / "v"), "v"),
        "models": [ModelVersion("toy", "1", "c", "run", "registry")],
        "output": "s3://bucket/catalogue",
        "before": "",
        "products": ProductsConfig(formats=["fits"]),
        "allow_missing": True,
    }


def test_make_catalogue__on_a_cluster_binds_every_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = compile_on_cluster(make_catalogue, made("", tmp_path), monkeypatch)
    assert isinstance(spec, DynamicJobSpec)
    inputs = {task.id.name: set(task.interface.inputs) for task in spec.tasks}
    for node in spec.nodes:
        name = node.task_node.reference_id.name
        assert {binding.var for binding in node.inputs} == inputs[name], name
    assert {"workflows.predict.predict_shards", "tasks.catalogue.publish_catalogue"} <= set(inputs)


def test_make_catalogue__on_a_cluster_starts_nothing_if_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = compile_on_cluster(make_catalogue, made("nothing to do", tmp_path), monkeypatch)
    assert isinstance(found, LiteralMap)
    (told,) = found.literals.values()
    assert told.scalar.primitive.string_value == "nothing to do"


def item_of(spec: DynamicJobSpec, place: int, monkeypatch: pytest.MonkeyPatch) -> ArrayNodeMapTask:
    """The mapped task as the pod of one item loads it."""
    (task,) = spec.tasks
    arguments = task.container.args
    monkeypatch.setenv("BATCH_JOB_ARRAY_INDEX_VAR_NAME", "ITEM")
    monkeypatch.setenv("ITEM", str(place))
    return ArrayNodeMapTaskResolver().load_task(arguments[arguments.index("--") + 1 :])


def literals_of(task: ArrayNodeMapTask, **values: object) -> LiteralMap:
    context = FlyteContextManager.current_context()
    kinds, types = task.python_interface.inputs, task.interface.inputs
    return LiteralMap(
        {
            name: TypeEngine.to_literal(context, value, kinds[name], types[name].type)
            for name, value in values.items()
        }
    )


def test_predict_shards__on_a_cluster_give_each_item_its_own_shard_and_all_the_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = predicted(3, tmp_path)
    spec = compile_on_cluster(predict_group, inputs, monkeypatch)
    assert isinstance(spec, DynamicJobSpec)
    task = item_of(spec, 2, monkeypatch)
    shared = {name: inputs[name] for name in ("checkpoints", "posterior", "information")}
    digests = [[f"s{number}", "c"] for number in range(3)]
    literals = literals_of(task, shard=inputs["shards"], digests=digests, **shared)
    with in_pod() as inside:
        given = task._literal_map_to_python_input(literals, inside)
    assert given["shard"].digest == "s2"
    assert given["digests"] == ["s2", "c"]
    assert [checkpoint.digest for checkpoint in given["checkpoints"]] == ["c"]
    assert given["posterior"] == inputs["posterior"]


def test_verify_shards__on_a_cluster_run_one_item_a_pod(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = predicted(3, tmp_path)["shards"]
    spec = compile_on_cluster(verify_group, {"shards": shards}, monkeypatch)
    assert isinstance(spec, DynamicJobSpec)
    task = item_of(spec, 1, monkeypatch)
    literals = literals_of(task, shard=shards)
    with in_pod() as inside:
        outputs = task.dispatch_execute(inside, literals)
    (output,) = outputs.literals.values()
    assert "s1 is no cutout shard" in output.scalar.primitive.string_value

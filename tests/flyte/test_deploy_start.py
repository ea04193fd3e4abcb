"""Starting a registered plan: what is typed becomes what Flyte expects, or is refused by name."""

from datetime import UTC, datetime

import click
import pytest
from click.testing import CliRunner
from flyteidl.admin.launch_plan_pb2 import LaunchPlanSpec
from flyteidl.admin.workflow_pb2 import WorkflowSpec
from flyteidl.core.identifier_pb2 import Identifier
from flyteidl.core.interface_pb2 import Parameter, Variable
from flyteidl.core.types_pb2 import LiteralType, SimpleType
from flytekit.core.context_manager import FlyteContext
from flytekit.core.type_engine import TypeEngine
from flytekit.models.literals import Literal

from containers.start import main, read_inputs, to_literal
from galaxyloop.cutouts import CutoutConfig
from galaxyloop.vote_tables.settings import VoteSource
from tests.flyte.flyte_admin import FlyteAdmin, key_of, running_admin


def kind_of(python_kind: type) -> LiteralType:
    return TypeEngine.to_literal_type(python_kind).to_flyte_idl()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("s3://galaxyloop/a=b", "s3://galaxyloop/a=b"),
        ("12", 12),
        ("0.5", 0.5),
        ("true", True),
        ('["a", "b"]', ["a", "b"]),
        ('{"image_size_px": 64}', CutoutConfig(image_size_px=64)),
        ('{"uri": "v.csv", "campaign": "gz2"}', VoteSource(uri="v.csv", campaign="gz2")),
        ("2026-11-22T02:45:00+00:00", datetime(2026, 11, 22, 2, 45, tzinfo=UTC)),
    ],
)
def test_to_literal__is_read_by_a_task_as_what_was_meant(text: str, value: object) -> None:
    python_kind = list[str] if isinstance(value, list) else type(value)
    literal = Literal.from_flyte_idl(to_literal(text, kind_of(python_kind)))
    assert TypeEngine.to_python_value(FlyteContext.current_context(), literal, python_kind) == value


@pytest.mark.parametrize(
    ("text", "python_kind", "message"),
    [
        ("1.5", int, "1.5 is no integer"),
        ("true", int, "True is no integer"),
        ("[1]", list[str], "1 is no string"),
        ("{", CutoutConfig, "Expecting"),
        ("tonight", datetime, "tonight"),
    ],
)
def test_to_literal__refuses_what_is_no_such_value(
    text: str, python_kind: type, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        to_literal(text, kind_of(python_kind))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("chunks=2",), "no input 'chunks'; it has chunk_size, output"),
        (("output=a", "chunk_size=many"), "chunk_size cannot be 'many'"),
        (("chunk_size=2",), "give a value to output"),
    ],
)
def test_read_inputs__refuses_by_name(given: tuple[str, ...], message: str) -> None:
    known = {
        "output": Parameter(var=Variable(type=kind_of(str)), required=True),
        "chunk_size": Parameter(var=Variable(type=kind_of(int))),
    }
    with pytest.raises(click.ClickException, match=message):
        read_inputs(given, known)


def test_start__starts_the_version_that_was_asked_for_or_nothing() -> None:
    admin = FlyteAdmin()
    name = Identifier(project="galaxyloop", domain="production", name="weekly", version="2")
    plan = LaunchPlanSpec(workflow_id=name)
    text = LiteralType(simple=SimpleType.STRING)
    plan.default_inputs.parameters["output"].CopyFrom(Parameter(var=Variable(type=text)))
    admin.plans[key_of(name)] = plan
    admin.workflows[key_of(name)] = WorkflowSpec()
    asked = ["--project=galaxyloop", "--domain=production", "weekly", "output=here"]
    with running_admin(admin) as where:
        absent = CliRunner(env=where).invoke(main, ["--version=1", *asked])
        started = CliRunner(env=where).invoke(main, ["--version=2", *asked])
    assert absent.exit_code != 0
    assert "there is no plan 'weekly' of version 1 in galaxyloop/production" in absent.output
    assert started.exit_code == 0, started.output
    (run,) = admin.executions
    assert run.spec.launch_plan.version == "2"
    assert run.inputs.literals["output"].scalar.primitive.string_value == "here"

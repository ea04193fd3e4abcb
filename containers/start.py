"""Start a registered launch plan by hand, with the inputs that are given; the others have defaults.

``make start`` calls this. ``pyflyte run remote-launchplan`` sends the defaults of configs back to
the cluster as text, and fails on them; here what is not given is left to the plan.
"""

import json
from datetime import UTC, datetime
from typing import Any

import click
from flyteidl.admin import common_pb2, execution_pb2
from flyteidl.core.identifier_pb2 import LAUNCH_PLAN, Identifier
from flyteidl.core.literals_pb2 import Literal, LiteralCollection, LiteralMap, Primitive, Scalar
from flyteidl.core.types_pb2 import LiteralType, SimpleType
from flytekit.exceptions.user import FlyteEntityNotExistException
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from containers.register import NOT_ANSWERED, connect, reason


def to_literal(text: str, kind: LiteralType) -> Literal:
    """What was typed, as the kind of value that an input is.

    Args:
        text: plain for text and times (ISO 8601, or ``now``), JSON for anything else.
        kind: the input's.

    Raises:
        ValueError: the text is no such value.
    """
    if kind.simple == SimpleType.STRING:
        return _primitive(string_value=text)
    if kind.simple == SimpleType.DATETIME:
        time = Timestamp()
        when = datetime.now(UTC) if text == "now" else datetime.fromisoformat(text)
        time.FromDatetime(when.astimezone(UTC))
        return _primitive(datetime=time)
    return _from_json(json.loads(text), kind)


def _primitive(**value: object) -> Literal:
    return Literal(scalar=Scalar(primitive=Primitive(**value)))


def _from_json(value: Any, kind: LiteralType) -> Literal:  # noqa: ANN401 - whatever JSON holds
    """A value of JSON, and those in it."""
    if kind.HasField("collection_type") and isinstance(value, list):
        inner = [_from_json(one, kind.collection_type) for one in value]
        return Literal(collection=LiteralCollection(literals=inner))
    if kind.simple == SimpleType.STRUCT and isinstance(value, dict):
        return Literal(scalar=Scalar(generic=ParseDict(value, Struct())))
    plain = {
        SimpleType.STRING: (str, "string_value"),
        SimpleType.INTEGER: (int, "integer"),
        SimpleType.FLOAT: (int | float, "float_value"),
        SimpleType.BOOLEAN: (bool, "boolean"),
    }
    if kind.simple in plain:
        python_kind, name = plain[kind.simple]
        if isinstance(value, python_kind) and isinstance(value, bool) == (name == "boolean"):
            return _primitive(**{name: value})
    raise ValueError(f"{value!r} is no {SimpleType.Name(kind.simple).lower()}")


def read_inputs(given: tuple[str, ...], known: dict[str, Any]) -> LiteralMap:
    """Inputs as ``name=value``, of a plan's interface.

    Raises:
        click.ClickException: an input is unknown, missing or no such value.
    """
    literals = {}
    for one in given:
        name, _, text = one.partition("=")
        if name not in known:
            raise click.ClickException(
                f"the plan has no input '{name}'; it has {', '.join(sorted(known))}"
            )
        try:
            literals[name] = to_literal(text, known[name].var.type)
        except (ValueError, ParseError) as error:
            raise click.ClickException(f"input {name} cannot be '{text}': {error}") from None
    missing = [name for name, one in known.items() if one.required and name not in literals]
    if missing:
        raise click.ClickException(f"give a value to {', '.join(sorted(missing))}, as name=value")
    return LiteralMap(literals=literals)


@click.command()
@click.argument("plan")
@click.argument("inputs", nargs=-1)
@click.option("--project", required=True, help="Project on the cluster.")
@click.option("--domain", required=True, help="Domain on the cluster.")
@click.option("--version", required=True, help="Version of the plan.")
def main(plan: str, inputs: tuple[str, ...], project: str, domain: str, version: str) -> None:
    """Start a registered launch plan; inputs are given as name=value."""
    name = Identifier(
        resource_type=LAUNCH_PLAN, project=project, domain=domain, name=plan, version=version
    )
    client = connect()
    try:
        found = client.get_launch_plan(common_pb2.ObjectGetRequest(id=name))
        literals = read_inputs(inputs, dict(found.closure.expected_inputs.parameters))
        spec = execution_pb2.ExecutionSpec(
            launch_plan=name, metadata=execution_pb2.ExecutionMetadata(principal="make start")
        )
        started = client.create_execution(
            execution_pb2.ExecutionCreateRequest(
                project=project, domain=domain, spec=spec, inputs=literals
            )
        )
    except FlyteEntityNotExistException:
        raise click.ClickException(
            f"there is no plan '{plan}' of version {version} in {project}/{domain}; register it"
        ) from None
    except NOT_ANSWERED as error:
        raise click.ClickException(f"{client.url} started nothing: {reason(error)}") from None
    click.echo(f"started {started.id.name} in {project}/{domain}; the console shows how it goes")


if __name__ == "__main__":
    main()

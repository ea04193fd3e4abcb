"""Scheduled plans: what a cluster would do with them, told without one."""

import re
from collections import OrderedDict

import pytest
from flytekit import LaunchPlan
from flytekit.core.context_manager import FlyteContextManager
from flytekit.core.type_engine import TypeEngine
from flytekit.core.workflow import WorkflowBase
from flytekit.models.types import SimpleType
from flytekit.tools.translator import get_serializable

from tests.workflows.test_fan_out import SETTINGS
from workflows import launch_plans
from workflows.catalogue import build_catalogue
from workflows.fan_out import GROUP
from workflows.ingest import compact_survey

RECIPES = {
    name: value for name, value in vars(launch_plans).items() if isinstance(value, LaunchPlan)
}
PLANS = {name: plan for name, plan in RECIPES.items() if name.startswith(("nightly_", "weekly_"))}
SURVEYS = [name.removeprefix("nightly_") for name in PLANS if name.startswith("nightly_")]


def test_launch_plans__are_a_night_and_a_week_for_each_survey() -> None:
    nights = {name.removeprefix("nightly_") for name in PLANS if name.startswith("nightly_")}
    weeks = {name.removeprefix("weekly_") for name in PLANS if name.startswith("weekly_")}
    assert nights == weeks
    assert len(PLANS) == 2 * len(nights) >= 2
    assert {plan.name for plan in PLANS.values()} == {
        f"{start}_{survey}" for survey in nights for start in ("nightly_catalogue", "weekly_check")
    }


@pytest.mark.parametrize("name", PLANS)
def test_launch_plans__are_scheduled_in_five_fields(name: str) -> None:
    # Flyte's own check takes six fields too, and would then run at another time.
    schedule = PLANS[name].schedule.cron_schedule.schedule
    assert re.fullmatch(r"\d{1,2} \d{1,2} \* \* (\*|\d)", schedule)
    assert schedule.endswith("0") == name.startswith("weekly_")


def test_launch_plans__do_not_begin_all_at_once() -> None:
    times = [plan.schedule.cron_schedule.schedule for plan in PLANS.values()]
    assert len(set(times)) == len(times)


@pytest.mark.parametrize("name", PLANS)
def test_launch_plans__bind_every_input(name: str) -> None:
    plan = PLANS[name]
    inputs = plan.workflow.python_interface.inputs
    # Flyte does not check that the workflow has this input.
    kickoff = plan.schedule.kickoff_time_input_arg
    assert plan.workflow.interface.inputs[kickoff].type.simple == SimpleType.DATETIME
    assert set(plan.parameters.parameters) == set(inputs)
    required = {key for key, one in plan.parameters.parameters.items() if one.required}
    assert required == {kickoff}


def test_launch_plans__train_on_the_cutouts_that_the_night_made() -> None:
    trainings = [name for name in RECIPES if name.startswith("training_")]
    assert {name.removeprefix("training_") for name in trainings} == set(SURVEYS)
    for name in trainings:
        survey = name.removeprefix("training_")
        stated = RECIPES[name].parameters.parameters
        night = PLANS[f"nightly_{survey}"].parameters.parameters
        for key in ("manifest", "ingest", "cutouts"):
            assert stated[key].default == night[key].default
        assert not any(one.required for one in stated.values())
        assert stated["alias"].default.scalar.primitive.string_value == "challenger"
        assert re.fullmatch(r"\d+ \d+ \* \* 6", RECIPES[name].schedule.cron_schedule.schedule), (
            "on Saturdays"
        )


def test_launch_plans__finetune_the_champion_on_labels_that_are_given() -> None:
    plan = launch_plans.finetune_champion
    required = {key for key, one in plan.parameters.parameters.items() if one.required}
    assert required == {"manifest"}
    assert plan.schedule is None


def test_launch_plans__tell_whom_they_should(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch_plans, "EMAILS", ["night@example.org"])
    (mail,) = launch_plans._circumstances("sdss")["notifications"]
    assert mail.email.recipients_email == ["night@example.org"]
    monkeypatch.setattr(launch_plans, "EMAILS", [])
    assert launch_plans._circumstances("sdss")["notifications"] == []


@pytest.mark.parametrize("name", PLANS)
def test_launch_plans__compile_with_the_settings_they_state(name: str) -> None:
    plan = PLANS[name]
    written = get_serializable({}, SETTINGS, plan).to_flyte_idl()
    assert written.id.name == plan.name
    assert written.spec.entity_metadata.schedule.kickoff_time_input_arg == "kickoff"
    context = FlyteContextManager.current_context()
    for key, kind in plan.workflow.python_interface.inputs.items():
        parameter = plan.parameters.parameters[key]
        if not parameter.required:
            TypeEngine.to_python_value(context, parameter.default, kind)
    output = plan.parameters.parameters["output"].default.scalar.primitive.string_value
    assert output.startswith(f"{launch_plans.ROOT}/")
    assert plan.name.endswith(output.split("/")[-2])


@pytest.mark.parametrize("survey", SURVEYS)
def test_launch_plans__cut_a_large_survey_into_chunks_that_one_workflow_can_map(
    survey: str,
) -> None:
    context, stated = FlyteContextManager.current_context(), []
    for plan in (PLANS[f"nightly_{survey}"], PLANS[f"weekly_{survey}"]):
        kind = plan.workflow.python_interface.inputs["ingest"]
        default = plan.parameters.parameters["ingest"].default
        stated.append(TypeEngine.to_python_value(context, default, kind))
    night, week = stated
    assert night == week
    assert 100_000_000 / night.chunk_size <= GROUP


@pytest.mark.parametrize("workflow", [build_catalogue, compact_survey], ids=lambda one: one.name)
def test_catalogue_workflows__compile(workflow: WorkflowBase) -> None:
    written = get_serializable(OrderedDict(), SETTINGS, workflow).to_flyte_idl()
    assert written.template.id.name == workflow.name
    assert len(written.template.nodes) == (5 if workflow is build_catalogue else 1)

"""What every stage can be told: the configs by the name of the workflow input that takes them."""

import ast
import dataclasses
import importlib
import inspect
import itertools
import json
import textwrap
from collections.abc import Iterator

from galaxyloop.config import StrictConfig
from galaxyloop.errors import UnknownNameError

SETTINGS = {
    "service": "galaxyloop.cutout_services:CutoutServiceConfig",
    "ingest": "galaxyloop.surveys:IngestConfig",
    "cutouts": "galaxyloop.cutouts:CutoutConfig",
    "votes": "galaxyloop.vote_tables:VoteSource",
    "vote_checks": "galaxyloop.vote_tables:VotesConfig",
    "split": "galaxyloop.splits:SplitConfig",
    "run": "galaxyloop.training:SupervisedRun",
    "byol": "galaxyloop.training:ByolRun",
    "hybrid": "galaxyloop.training:HybridRun",
    "label_checks": "galaxyloop.finetuning.labels:LabelConfig",
    "rounds": "galaxyloop.finetuning.rounds:RoundsConfig",
    "finetuning": "galaxyloop.finetuning.config:FinetuneRun",
    "label_metrics": "galaxyloop.finetuning.metrics:LabelMetricsConfig",
    "posterior": "galaxyloop.posterior:PosteriorConfig",
    "promotion": "galaxyloop.promotion:PromotionConfig",
    "metrics": "galaxyloop.metrics:MetricsConfig",
    "information": "galaxyloop.acquisition:InformationConfig",
    "products": "galaxyloop.catalogue:ProductsConfig",
    "representation": "galaxyloop.representations.config:RepresentationConfig",
    "anomalies": "galaxyloop.representations.config:AnomalyConfig",
    "galleries": "galaxyloop.representations.config:GalleryConfig",
    "acquisition": "galaxyloop.acquisition:AcquisitionConfig",
    "batch": "galaxyloop.acquisition:BatchConfig",
    "retirement": "galaxyloop.acquisition:RetirementConfig",
    "subject_set": "galaxyloop.zooniverse.config:SubjectSetConfig",
    "simulation": "galaxyloop.synthetic:SimulationConfig",
    "label_efficiency": "galaxyloop.label_efficiency.config:LabelEfficiencyConfig",
    "active_learning": "galaxyloop.active_learning.config:ActiveLearningConfig",
    "scaling": "galaxyloop.scaling.config:ScalingConfig",
}
"""Looked up by name, so that listing the settings of one stage imports that stage alone."""
STUDIES = ("label_efficiency", "active_learning", "scaling")
"""Stages whose workflows all call that input ``study``."""


def describe_settings(name: str) -> str:
    """The settings of one stage as YAML with their defaults, each under what it means.

    Raises:
        UnknownNameError: there is no such stage.
    """
    if name not in SETTINGS:
        raise UnknownNameError("stage with settings", name, SETTINGS)
    module, _, class_name = SETTINGS[name].partition(":")
    config_type = getattr(importlib.import_module(module), class_name)
    key = "study" if name in STUDIES else name
    return f"{key}:\n" + textwrap.indent("\n".join(_lines(config_type)), "  ")


def _lines(config_type: type[StrictConfig]) -> Iterator[str]:
    """The settings of one config, nested ones indented."""
    documents = _field_documents(config_type)
    for field in dataclasses.fields(config_type):  # type: ignore[arg-type]
        yield from textwrap.wrap(
            documents.get(field.name, ""), 90, initial_indent="# ", subsequent_indent="# "
        )
        value = field.default
        if field.default_factory is not dataclasses.MISSING:
            value = field.default_factory()
        if isinstance(value, StrictConfig):
            yield f"{field.name}:"
            yield from (f"  {line}" for line in _lines(type(value)))
        elif value is dataclasses.MISSING:
            yield f"{field.name}:  (must be given)"
        else:
            yield f"{field.name}: {json.dumps(value, default=StrictConfig.to_dict)}"


def _field_documents(config_type: type[StrictConfig]) -> dict[str, str]:
    """The line of text under each field in the source; inherited ones from where they stand."""
    documents: dict[str, str] = {}
    for base in reversed(config_type.__mro__):
        if dataclasses.is_dataclass(base):
            documents |= _own_documents(base)
    return documents


def _own_documents(config_type: type) -> dict[str, str]:
    """The same of one class."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(config_type)))
    (definition,) = (node for node in tree.body if isinstance(node, ast.ClassDef))
    documents: dict[str, str] = {}
    for field, text in itertools.pairwise(definition.body):
        match field, text:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(said))),
            ):
                documents[name] = " ".join(said.split())
    return documents

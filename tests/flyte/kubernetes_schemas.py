"""Manifests held against the models of Kubernetes' own client: every field, its kind, all required.

The client itself ignores what it does not know, which is how a misspelt field goes unnoticed.
"""

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from kubernetes.client import models

PLAIN = {"str": str, "int": int, "bool": bool, "float": (int, float), "datetime": (str, datetime)}


def read_manifests(path: Path) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(path.read_text()) if one is not None]


def faults(manifest: dict[str, Any]) -> list[str]:
    """What Kubernetes would not take in a manifest; empty if it is right."""
    kind, version = manifest.get("kind", ""), manifest.get("apiVersion", "")
    model = f"{version.rsplit('/')[-1].capitalize()}{kind}"
    if not hasattr(models, model):
        return [f"there is no {kind} in {version}"]
    return list(_faults(manifest, model, kind))


def _faults(value: object, kind: str, place: str) -> list[str]:
    """Faults of a value that should be of a kind as the client writes it: ``list[V1Container]``."""
    inner = re.fullmatch(r"(list|dict)[\[(](?:str, )?(.+)[\])]", kind, re.I)
    if inner is not None:
        holds = {"list": list, "dict": dict}[inner[1].lower()]
        if not isinstance(value, holds):
            return [f"{place} must be a {inner[1].lower()}, got {value!r}"]
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return [fault for key, one in items for fault in _faults(one, inner[2], f"{place}.{key}")]
    if kind in PLAIN:
        is_right = isinstance(value, PLAIN[kind]) and isinstance(value, bool) == (kind == "bool")
        return [] if is_right else [f"{place} must be a {kind}, got {value!r}"]
    if kind == "object":
        return []
    return _object_faults(value, getattr(models, kind), place)


def _object_faults(value: object, model: type, place: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{place} must have fields, got {value!r}"]
    names = {written: name for name, written in model.attribute_map.items()}
    found = [f"{place} has no field '{key}'" for key in value if key not in names]
    for key, one in value.items():
        if key in names:
            found += _faults(one, model.openapi_types[names[key]], f"{place}.{key}")
    try:
        model(**{names[key]: one for key, one in value.items() if key in names})
    except ValueError as error:
        found.append(f"{place}: {error}")
    return found

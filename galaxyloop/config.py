"""Strict configs: frozen dataclasses that refuse unknown keys and wrong types, nested ones too."""

import dataclasses
import difflib
import json
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml

from galaxyloop.errors import ConfigError

# A type variable, since beartype refuses typing.Self on class methods checked one by one.
C = TypeVar("C", bound="StrictConfig")


class StrictConfig:
    """Base of every config; subclass it with ``@dataclass(frozen=True)``.

    Fields may be ``str``, ``int``, ``float``, ``bool``, another config, ``list`` of these, or any
    of them ``| None``. Ranges are checked in the subclass's ``__post_init__``.
    """

    @classmethod
    def from_dict(cls: type[C], data: Mapping[str, Any]) -> C:
        """Build the config from plain values.

        Raises:
            ConfigError: a key is unknown or missing, or a value has the wrong type.
        """
        return typing.cast(C, _build(cls, data, cls.__name__))

    @classmethod
    def from_json(cls: type[C], text: str, **_: object) -> C:
        """Build the config from a JSON object, as the command line hands it over."""
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise ConfigError(f"{cls.__name__} must be a JSON object: {error}") from error
        return typing.cast(C, _build(cls, data, cls.__name__))

    @classmethod
    def from_yaml(cls: type[C], path: str | Path) -> C:
        """Read the config from a YAML file.

        Raises:
            ConfigError: there is no such file, it is no YAML, or it holds no such config.
        """
        try:
            data = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(
                f"{path} cannot be read ({error.strerror}); give a YAML file of {cls.__name__}"
            ) from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            told = " ".join(str(error).split())
            raise ConfigError(f"{path} must hold YAML for {cls.__name__}: {told}") from error
        return typing.cast(C, _build(cls, {} if data is None else data, cls.__name__))

    def to_dict(self) -> dict[str, Any]:
        """The config as plain nested values."""
        return dataclasses.asdict(typing.cast(Any, self))

    def to_json(self, **_: object) -> str:
        """The config as JSON with sorted keys, so that equal configs are equal texts."""
        return json.dumps(self.to_dict(), sort_keys=True)


def _build(config_type: type, data: object, where: str) -> object:
    """One config from a mapping; ``where`` names the place in error messages."""
    fields = {field.name: field for field in dataclasses.fields(config_type)}
    if not isinstance(data, Mapping):
        known = ", ".join(fields)
        raise ConfigError(f"{where} must be a mapping of settings ({known}), got {data!r}")
    hints = typing.get_type_hints(config_type)
    for key in data:
        if key not in fields:
            close = difflib.get_close_matches(str(key), fields, n=1)
            hint = f"did you mean '{close[0]}'? " if close else ""
            raise ConfigError(
                f"{where} has no setting '{key}'; {hint}settings: {', '.join(fields)}"
            )
    missing = [name for name, field in fields.items() if _is_required(field) and name not in data]
    if missing:
        raise ConfigError(f"{where} needs a value for: {', '.join(missing)}")
    return config_type(
        **{key: _convert(hints[key], value, f"{where}.{key}") for key, value in data.items()}
    )


def _is_required(field: "dataclasses.Field[Any]") -> bool:
    """Whether the field has no default."""
    no_default = field.default is dataclasses.MISSING
    return no_default and field.default_factory is dataclasses.MISSING


def _convert(hint: Any, value: object, where: str) -> object:  # noqa: ANN401 - a type hint has no common type
    """A value checked against its hint; an int is accepted where a float is asked."""
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        inner = [option for option in typing.get_args(hint) if option is not type(None)]
        return None if value is None else _convert(inner[0], value, where)
    if origin is list:
        if not isinstance(value, list):
            raise ConfigError(f"{where} must be a list, got {value!r}")
        item_hint = typing.get_args(hint)[0]
        return [_convert(item_hint, item, f"{where}[{i}]") for i, item in enumerate(value)]
    if dataclasses.is_dataclass(hint):
        is_built = isinstance(value, typing.cast(type, hint))
        return value if is_built else _build(typing.cast(type, hint), value, where)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (hint is not bool and isinstance(value, bool)):
        raise ConfigError(f"{where} must be {hint.__name__}, got {value!r}")
    return value


def require(is_met: bool, message: str) -> None:
    """Raise ``ConfigError`` with the message unless the condition is met."""
    if not is_met:
        raise ConfigError(message)

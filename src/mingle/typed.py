"""Plain values (from YAML or JSON) -> frozen dataclasses, strictly: unknown keys are errors."""

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from mingle.errors import ConfigError

T = TypeVar("T")


def read(kind: type[T], raw: Any, where: str) -> T:
    """Build the dataclass `kind` from a mapping.

    `where` is the dotted place that errors name. Raises ConfigError for unknown or missing keys
    and for values of another type; an unknown key is answered with the nearest known one.
    """
    if not isinstance(raw, Mapping):
        raise ConfigError(f"{where}: found {_shown(raw)}, expected a section of key: value lines")
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(typing.cast(Any, kind))}
    for key in raw:
        if key not in fields:
            raise ConfigError(unknown_key(str(key), fields, where))
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in raw:
            values[name] = _value(hints[name], raw[name], f"{where}.{name}" if where else name)
        elif _required(field):
            place = where or "the top level"
            words = _words(hints[name])
            raise ConfigError(f"{place}: the key '{name}' is missing; add it ({words})")
    return kind(**values)


def plain(value: Any) -> Any:
    """A dataclass (or a value of one) as dicts, lists and scalars: what `read` reads back."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def unknown_key(key: str, known: Iterable[str], where: str) -> str:
    """The message for a key nobody knows, with the nearest known one if there is any."""
    known = sorted(known)
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known) or 'none'}"
    return f"{where or 'the top level'}: unknown key '{key}'; {hint}"


def _value(kind: Any, raw: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (Union, types.UnionType):
        return _one_of(arguments, raw, where)
    if origin is Literal:
        if raw not in arguments:
            raise ConfigError(f"{where}: found {_shown(raw)}, expected one of {list(arguments)}")
        return raw
    if origin is tuple:
        return _sequence(arguments, raw, where)
    if origin in (dict, Mapping):
        if not isinstance(raw, Mapping):
            raise ConfigError(f"{where}: found {_shown(raw)}, expected a section")
        return {
            _key(arguments[0], key, where): _value(arguments[1], item, f"{where}.{key}")
            for key, item in raw.items()
        }
    if dataclasses.is_dataclass(kind):
        kind = typing.cast(type, kind)
        return raw if isinstance(raw, kind) else read(kind, raw, where)
    return raw if kind is Any else _scalar(kind, raw, where)


def _key(kind: Any, raw: Any, where: str) -> Any:
    """A mapping's key: JSON has none but text."""
    if kind is not int:
        return str(raw)
    try:
        return int(raw)
    except ValueError:
        raise ConfigError(f"{where}: found the key {raw!r}, expected a whole number") from None


def _one_of(kinds: tuple[Any, ...], raw: Any, where: str) -> Any:
    if raw is None and type(None) in kinds:
        return None
    choices = [kind for kind in kinds if kind is not type(None)]
    for kind in choices[:-1]:
        try:
            return _value(kind, raw, where)
        except ConfigError:
            continue
    return _value(choices[-1], raw, where)


def _sequence(arguments: tuple[Any, ...], raw: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(raw, list | tuple):
        raise ConfigError(f"{where}: found {_shown(raw)}, expected a list")
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        arguments = (arguments[0],) * len(raw)
    if len(arguments) != len(raw):
        raise ConfigError(f"{where}: found {len(raw)} values, expected {len(arguments)}")
    pairs = zip(arguments, raw, strict=True)
    return tuple(_value(kind, item, f"{where}.{i}") for i, (kind, item) in enumerate(pairs))


def _scalar(kind: Any, raw: Any, where: str) -> Any:
    if kind is float and isinstance(raw, str):  # YAML 1.1 reads 1e-3 (no dot) as text
        try:
            return float(raw)
        except ValueError:
            pass
    if kind is float and isinstance(raw, int) and not isinstance(raw, bool):
        return float(raw)
    if kind is Path and isinstance(raw, str):
        return Path(raw)
    if isinstance(raw, kind) and not (kind is int and isinstance(raw, bool)):
        return raw
    raise ConfigError(f"{where}: found {_shown(raw)}, expected {_words(kind)}")


def _required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _shown(raw: Any) -> str:
    return f"{type(raw).__name__} {raw!r}" if raw is not None else "nothing"


def _words(kind: Any) -> str:
    return getattr(kind, "__name__", None) or str(kind).replace("typing.", "")

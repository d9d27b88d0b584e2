"""Reading a configuration file strictly: every key is read, ignored with a reason, or refused."""

import difflib
from collections.abc import Mapping
from types import UnionType
from typing import Any

from mingle.errors import ConfigError

REQUIRED = object()


class Fields:
    """The keys of one JSON object; `done` raises for those that nobody asked for."""

    def __init__(self, raw: Any, where: str):
        if not isinstance(raw, Mapping):
            raise ConfigError(f"{where} is {type(raw).__name__}, expected an object with keys")
        self.where = where
        self._raw = dict(raw)
        self._known: set[str] = set()

    def take(self, key: str, kind: type | UnionType, default: Any = REQUIRED) -> Any:
        """The value of a key, of the type expected; an integer passes for a float."""
        self._known.add(key)
        if key not in self._raw:
            if default is REQUIRED:
                raise ConfigError(f"key '{key}' is missing in {self.where}")
            return default
        value = self._raw[key]
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
            name = getattr(kind, "__name__", str(kind))
            raise ConfigError(f"'{key}' in {self.where} is {value!r}, expected {name}")
        return value

    def expect(self, key: str, *allowed: Any) -> None:
        """Refuse a value that this implementation does not compute; a missing key is fine."""
        self._known.add(key)
        if key in self._raw and self._raw[key] not in allowed:
            options = " or ".join(repr(value) for value in allowed)
            raise ConfigError(f"'{key}' in {self.where} is {self._raw[key]!r}, expected {options}")

    def ignore(self, reason: str, *keys: str) -> None:
        """Keys that change nothing here; `reason` is for the reader of the call."""
        assert reason
        self._known.update(keys)

    def done(self) -> None:
        """Raise ConfigError for the first key that was neither taken nor ignored."""
        for key in self._raw:
            if key not in self._known:
                close = difflib.get_close_matches(key, sorted(self._known), n=1, cutoff=0.0)
                hint = f"; did you mean '{close[0]}'?" if close else ""
                raise ConfigError(f"unknown key '{key}' in {self.where}{hint}")

"""A mapping (TOML, JSON) comes in, a frozen dataclass comes out; nothing is guessed."""

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, Union

from vidar_det.errors import ConfigError, VidarError

Spec = TypeVar("Spec")


def build_spec(kind: type[Spec], mapping: Mapping[str, Any], source: str) -> Spec:
    """Build a frozen dataclass from a mapping, strictly.

    Nested dataclasses are built from nested mappings; lists become tuples where a tuple is
    declared; an int is accepted where a float is declared. Nothing else is converted.

    Args:
        kind: the dataclass to build.
        mapping: field names to values.
        source: where the mapping came from, for the message ("recipe.toml [camera]").

    Returns:
        An instance of ``kind``; fields that ``mapping`` does not name keep their defaults.

    Raises:
        ConfigError: an unknown key, a missing key, a value of the wrong type, or one that the
            dataclass itself refuses.

    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Optics:
        ...     focus_m: float = 1.0
        >>> build_spec(Optics, {"focus_m": 2}, "optics.toml")
        Optics(focus_m=2.0)
    """
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}  # type: ignore[arg-type]  # bound to dataclasses by contract
    if not isinstance(mapping, Mapping):
        raise ConfigError(f"{source}: found {mapping!r}, wanted a table")
    for key in mapping:
        if key not in fields:
            raise ConfigError(f"{source}: unknown key {key!r}{did_you_mean(str(key), fields)}")
    hints = typing.get_type_hints(kind)
    values = {
        name: _convert(value, hints[name], f"{source}: {name}") for name, value in mapping.items()
    }
    for name, field in fields.items():
        required = (
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        )
        if required and name not in values:
            raise ConfigError(f"{source}: key {name!r} is missing")
    try:
        return kind(**values)
    except VidarError as error:
        raise ConfigError(f"{source}: {error}") from error


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Name the closest known word, or list them all.

    Args:
        word: what was found.
        known: what would have been right.

    Returns:
        A clause that starts with ``;``.

    Example:
        >>> did_you_mean("widht", ["width", "height"])
        "; did you mean 'width'?"
    """
    known = list(known)
    if not known:
        return "; none are known"
    close = difflib.get_close_matches(word, known, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known are {', '.join(sorted(known))}"


def _convert(value: Any, hint: Any, where: str) -> Any:
    """Check one value against its declared type; see ``build_spec`` for what is converted."""
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        return _convert_union(value, arguments, where)
    if origin is typing.Literal:
        return _convert_choice(value, arguments, where)
    if origin is tuple:
        return _convert_tuple(value, arguments, where)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _convert_table(value, hint, where)
    return _convert_plain(value, hint, where)


def _convert_plain(value: Any, kind: Any, where: str) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ConfigError(f"{where}: found {value!r}, wanted {getattr(kind, '__name__', kind)}")
    return value


def _convert_table(value: Any, kind: type[Any], where: str) -> Any:
    return value if isinstance(value, kind) else build_spec(kind, value, where)


def _convert_choice(value: Any, choices: tuple[Any, ...], where: str) -> Any:
    if not any(value == choice and type(value) is type(choice) for choice in choices):
        suggestion = did_you_mean(str(value), [str(choice) for choice in choices])
        raise ConfigError(f"{where}: {value!r} is not a choice{suggestion}")
    return value


def _convert_union(value: Any, choices: tuple[Any, ...], where: str) -> Any:
    if value is None and type(None) in choices:
        return None
    kinds = [choice for choice in choices if choice is not type(None)]
    for kind in kinds[:-1]:
        try:
            return _convert(value, kind, where)
        except ConfigError:
            continue
    return _convert(value, kinds[-1], where)


def _convert_tuple(value: Any, kinds: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, (list, tuple)):
        raise ConfigError(f"{where}: found {value!r}, wanted a list")
    if len(kinds) == 2 and kinds[1] is Ellipsis:
        kinds = (kinds[0],) * len(value)
    if len(value) != len(kinds):
        raise ConfigError(f"{where}: found {len(value)} values, wanted {len(kinds)}")
    return tuple(
        _convert(item, kind, f"{where}[{index}]")
        for index, (item, kind) in enumerate(zip(value, kinds, strict=True))
    )

"""A recording's path comes in; what stands beside it about geometry and rate comes out."""

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from vidar_det.config import build_spec
from vidar_det.errors import ConfigError

DEFAULT_RATE_HZ = 20_000.0
"""Planes per second where nothing says otherwise: a file never does."""

RATES_HZ = (1e-3, 1e9)
"""Lowest and highest: far beyond cameras, and times in microseconds stay finite."""

Layout = Literal[
    "auto", "plain", "row-padded", "m1k40", "array-thw", "array-hwt", "time-packed", "row-packed"
]
Flip = Literal["auto", "none", "ud", "lr", "both"]


@dataclass(frozen=True)
class RecordingOptions:
    """What a recording's file does not say. None (or ``auto``) means: not known here.

    Attributes:
        width: pixels per row.
        height: rows.
        layout: one of ``vidar_det.spikes.layouts.LAYOUTS``.
        flip: what makes the planes upright.
        rate_hz: readouts per second.
    """

    width: int | None = None
    height: int | None = None
    layout: Layout = "auto"
    flip: Flip = "auto"
    rate_hz: float | None = None

    def completed(self, other: "RecordingOptions") -> "RecordingOptions":
        """Take from ``other`` what is not known here.

        Example:
            >>> RecordingOptions(width=400).completed(RecordingOptions(width=9, height=250)).height
            250
        """
        known = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(self)
            if getattr(self, field.name) not in (None, "auto")
        }
        return dataclasses.replace(other, **known)


def sidecar_path(recording: Path) -> Path:
    """Name the sidecar of a file (``clip.dat``: ``clip.toml``) or folder (``v1.2``: ``v1.2.toml``).

    Example:
        >>> sidecar_path(Path("recordings/clip.dat")).as_posix()
        'recordings/clip.toml'
    """
    name = recording.name if recording.is_dir() else recording.stem
    return recording.parent / f"{name}.toml"


def complete_options(path: Path, options: RecordingOptions) -> RecordingOptions:
    """Fill what the caller left open from the sidecar, then from SpikeCV's ``config.yaml``.

    Args:
        path: the recording, a file or a folder.
        options: what the caller said.

    Raises:
        ConfigError: a sidecar or ``config.yaml`` that is broken or holds a wrong value.
    """
    sidecar = sidecar_path(path)
    if sidecar.is_file():
        options = options.completed(_read_sidecar(sidecar))
    folders = [path, path.parent] if path.is_dir() else [path.parent]
    for folder in folders:
        config = folder / "config.yaml"
        if config.is_file() and (options.width is None or options.height is None):
            options = options.completed(read_spikecv(config))
    return options


def sidecar_text(options: RecordingOptions) -> str:
    """Write options as the TOML that ``complete_options`` reads."""
    lines = []
    for name, value in dataclasses.asdict(options).items():
        if value is not None:
            lines.append(f'{name} = "{value}"' if isinstance(value, str) else f"{name} = {value}")
    return "\n".join(lines) + "\n"


def _read_sidecar(path: Path) -> RecordingOptions:
    try:
        mapping = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: found no readable TOML: {error}") from error
    return build_spec(RecordingOptions, mapping, str(path))


def read_spikecv(path: Path) -> RecordingOptions:
    """Read ``spike_w`` and ``spike_h`` of SpikeCV's ``config.yaml``; other keys concern labels.

    Raises:
        ConfigError: it is no YAML, or holds a wrong value.
    """
    try:
        mapping: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: found no readable YAML: {error}") from error
    if not isinstance(mapping, dict):
        raise ConfigError(f"{path}: found {type(mapping).__name__}, wanted keys and values")
    names = {"spike_w": "width", "spike_h": "height"}
    found = {names[key]: mapping[key] for key in names if key in mapping}
    return build_spec(RecordingOptions, found, f"{path} (spike_w, spike_h)")

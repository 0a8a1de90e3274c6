"""OpenVINO graphs come in and go out again, kept on disk where that can be written."""

import contextlib
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

try:
    import openvino  # type: ignore[import-untyped]  # it ships no types
except ImportError:  # whoever needs it says what to do
    openvino = None
else:
    # The first look at any tensor's data fills a table inside a C++ lock, and runs Python in there:
    # two threads that look first together wait for each other for ever. An import has one thread.
    FIRST_LOOK = openvino.Tensor(np.zeros(1, np.float32)).data

GRAPH_VERSION = 1
"""Goes up when the graph of the same network changes: what is cached is then made anew."""


def has_openvino() -> bool:
    """Whether OpenVINO can be used here."""
    return openvino is not None


def has_bf16() -> bool:
    """Whether this CPU computes in bfloat16."""
    capabilities = "OPTIMIZATION_CAPABILITIES"
    return has_openvino() and "BF16" in openvino_core().get_property("CPU", capabilities)


class GraphCache:
    """Keeps what was translated, and lets OpenVINO keep what it compiled.

    Nothing but time is lost where a folder cannot be written or a file is damaged: graphs are
    translated again.

    Args:
        folder: where; it is made as needed.

    Attributes:
        warnings: what its owner should know, in words.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.warnings: tuple[str, ...] = ()

    def open(self, name: str, make: Callable[[], Any]) -> Any:
        """Read a graph; make it where there is none, or none that can be read.

        Args:
            name: tells it from all others.
            make: makes the ``openvino.Model``.

        Returns:
            An ``openvino.Model``.
        """
        path = self._path(name)
        kept = _read(path)
        if kept is not None:
            return kept
        model = make()
        try:
            _keep(model, path)
        except (OSError, RuntimeError) as error:  # OpenVINO's own is a RuntimeError
            self._warn(error)
        return _read(path) or model

    def has(self, name: str) -> bool:
        """Whether a graph was kept."""
        return self._path(name).exists()

    def _path(self, name: str) -> Path:
        version = openvino.__version__.split("-")[0]
        return self._folder / "graphs" / f"{name}-v{GRAPH_VERSION}-{version}.xml"

    def options(self) -> dict[str, str]:
        """What tells OpenVINO where to keep what it compiles; nothing where it cannot."""
        folder = self._folder / "compiled"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._warn(error)
            return {}
        return {"CACHE_DIR": str(folder)}

    def _warn(self, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or str(error).partition("\n")[0]
        told = f"{self._folder}: graphs cannot be kept ({reason}), so that each start takes longer"
        self.warnings = self.warnings or (told,)


@lru_cache(maxsize=1)
def openvino_core() -> Any:
    """OpenVINO's one entrance; it takes a while to open."""
    return openvino.Core()


def _read(path: Path) -> Any | None:
    """Read a graph that was kept; what cannot be read is removed."""
    try:
        return openvino_core().read_model(path) if path.exists() else None
    except (OSError, RuntimeError):
        for damaged in (path, path.with_suffix(".bin")):
            with contextlib.suppress(OSError):
                damaged.unlink(missing_ok=True)
        return None


def _keep(model: Any, path: Path) -> None:
    """Write a graph, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as made:
        partial = Path(made) / path.name
        openvino.save_model(model, partial, compress_to_fp16=False)
        partial.with_suffix(".bin").replace(path.with_suffix(".bin"))
        partial.replace(path)  # last: who finds it finds both

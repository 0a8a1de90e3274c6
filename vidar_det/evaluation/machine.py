"""Nothing comes in; what figures are measured on goes out: machine, date and libraries."""

import importlib.metadata
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vidar_det.detector.threads import available_cpus

PACKAGES = ("vidar-det", "numpy", "numba", "torch", "openvino", "onnxruntime", "spikingjelly")


def describe_machine() -> dict[str, Any]:
    """Say what stands beside every figure of speed, ready for JSON.

    Example:
        >>> sorted(describe_machine())
        ['cpus', 'date', 'processor', 'python', 'versions']
    """
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cpus": available_cpus(),
        "python": platform.python_version(),
        "versions": {name: version for name in PACKAGES if (version := _version(name))},
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    """Name the processor; Linux knows more than Python does."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()

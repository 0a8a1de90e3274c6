"""A machine, or a container's part of it, comes in; how many threads fit goes out."""

import math
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

CGROUP = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")


def available_cpus(cgroup: Path = CGROUP, own: Path = OWN_GROUPS) -> int:
    """Count the processors that this process may keep busy.

    A container's quota counts, which ``os.cpu_count`` does not see: threads beyond it are held back
    together, for whole tenths of a second. So does the quota of every control group around it.

    Args:
        cgroup: where the control groups' files lie (version 2, else 1).
        own: names the control groups of this process.

    Returns:
        At least 1.

    Example:
        >>> available_cpus() >= 1
        True
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quotas = [quota for folder in _group_folders(cgroup, own) if (quota := _quota(folder))]
    return max(1, min([allowed or 1, *map(math.ceil, quotas)]))


def _group_folders(cgroup: Path, own: Path) -> Iterator[Path]:
    """The folders of this process's control groups and of those around them.

    Inside a container the names may be those of the machine; its own files lie at the top then.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:
        lines = []
    yield from (cgroup, cgroup / "cpu")
    for line in lines:
        number, controllers, name = line.split(":", 2)
        top = cgroup if number == "0" else cgroup / "cpu"
        if number == "0" or "cpu" in controllers.split(","):
            inner = PurePosixPath(name.lstrip("/"))
            yield from (top / part for part in (inner, *inner.parents))


def _quota(folder: Path) -> float | None:
    """Processors that a control group grants; None without a limit."""
    try:
        if (folder / "cpu.max").exists():
            granted, period = (folder / "cpu.max").read_text().split()
            return None if granted == "max" else int(granted) / int(period)
        granted, period = (
            (folder / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period")
        )
        return None if int(granted) < 0 else int(granted) / int(period)
    except (OSError, ValueError):
        return None

"""A machine, or a container's part of it, comes in; how many threads fit goes out."""

import math
import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def available_cpus(cgroup: Path = CGROUP) -> int:
    """Count the processors that this process may keep busy.

    A container's quota counts, which ``os.cpu_count`` does not see: threads beyond it are held back
    together, for whole tenths of a second.

    Args:
        cgroup: where the control group's files lie (version 2, else 1).

    Returns:
        At least 1.

    Example:
        >>> available_cpus() >= 1
        True
    """
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quota = _quota(cgroup)
    return max(1, min(allowed or 1, math.ceil(quota) if quota else allowed or 1))


def _quota(cgroup: Path) -> float | None:
    """Processors that the control group grants; None without a limit."""
    try:
        if (cgroup / "cpu.max").exists():
            granted, period = (cgroup / "cpu.max").read_text().split()
            return None if granted == "max" else int(granted) / int(period)
        granted, period = (
            (cgroup / "cpu" / f"cpu.cfs_{name}_us").read_text() for name in ("quota", "period")
        )
        return None if int(granted) < 0 else int(granted) / int(period)
    except (OSError, ValueError):
        return None

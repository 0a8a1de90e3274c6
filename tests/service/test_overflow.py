import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
MOST_GROWTH_KB = 60_000


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
def test_bodies_that_unpack_beyond_the_limit_cost_little_memory_and_leave_nothing(
    tmp_path: Path,
) -> None:
    script = Path(__file__).with_name("overflow.py")
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, str(script), str(tmp_path / "spool")],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
        timeout=300,
    )
    costs = json.loads(done.stdout)
    assert set(costs) == {"identity", "gzip", "zstd"}
    for status, limit_bytes, growth_kb, left in costs.values():
        assert (status, limit_bytes, left) == (413, 128 << 20, [])
        assert growth_kb <= MOST_GROWTH_KB

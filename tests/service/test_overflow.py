import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
MOST_GROWTH_KB = 60_000


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc")
def test_bodies_that_unpack_to_too_much_cost_little_memory_and_leave_nothing(
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
    beyond = [413, 128 << 20]
    wanted = {"zeros identity": beyond, "zeros gzip": beyond, "zeros zstd": beyond}
    wanted["header gzip"] = [422, None]
    assert {name: cost[:2] for name, cost in costs.items()} == wanted
    for *_, growth_kb, left in costs.values():
        assert left == []
        assert growth_kb <= MOST_GROWTH_KB

"""Every Python example of docs/pruning.md is run, each by itself, as a reader would."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parent.parent.parent / "docs" / "pruning.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("text", EXAMPLES, ids=[f"{number}" for number in range(len(EXAMPLES))])
def test_an_example_works(text: str, tmp_path: Path) -> None:
    assert "assert " in text
    done = subprocess.run(  # noqa: S603 - our own page
        [sys.executable, "-c", text],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

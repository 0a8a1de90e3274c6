"""The page's modules, read as text and by the TypeScript compiler."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PAGE = HERE.parents[2] / "service" / "viewer"
MODULES = sorted(path.name for path in PAGE.glob("*.js"))


def test_types_hold() -> None:
    compiler = shutil.which("tsc")
    if compiler is None:
        pytest.skip("no TypeScript compiler: npm install --global typescript@5")
    command = [compiler, "--project", str(HERE / "tsconfig.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - found above
    assert done.stdout + done.stderr == ""


@pytest.mark.parametrize("name", [*MODULES, "index.html", "style.css"])
def test_nothing_comes_from_elsewhere(name: str) -> None:
    text = (PAGE / name).read_text(encoding="utf-8")
    addresses = re.findall(r"(?:https?|wss?):\/\/[^\s\"'`)]+", text)
    assert [one for one in addresses if "www.w3.org/2000/svg" not in one] == []


@pytest.mark.parametrize("name", MODULES)
def test_a_module_says_what_it_does_and_stays_short(name: str) -> None:
    lines = (PAGE / name).read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("// ")
    assert len(lines) <= 350


def test_every_module_is_announced_so_that_none_waits_for_another() -> None:
    page = (PAGE / "index.html").read_text(encoding="utf-8")
    announced = set(re.findall(r'modulepreload" href="/viewer/([\w.]+)"', page))
    assert announced == set(MODULES) - {"main.js", "theme.js", "types.js"}

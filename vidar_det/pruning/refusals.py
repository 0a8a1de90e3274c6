"""What cannot be followed comes in; an error that names the user's own line goes out."""

import re
from collections.abc import Iterable
from pathlib import Path
from traceback import FrameSummary, extract_tb

import torch
from torch import fx

from vidar_det.errors import PruningError

_NOT_OWN = tuple(f"{folder}/" for folder in (Path(torch.__file__).parent, Path(__file__).parent))
_FRAME = re.compile(r'File "(.+)", line (\d+), in (.+)(?:\n\s*(.+))?')


def refusal(node: fx.Node, what: str) -> PruningError:
    """Say that a node of a graph cannot be followed, with the user's line that made it."""
    return PruningError(f"channels cannot be followed through {what}{line_of(node)}")


def line_of(node: fx.Node) -> str:
    """Name the user's line that made a node, where the tracer kept it."""
    frames = _FRAME.findall(node.stack_trace or "")
    return _last_own(
        FrameSummary(path, int(number), name, line=line) for path, number, name, line in frames
    )


def told(error: Exception, node: fx.Node | None = None) -> str:
    """Say what an error says, without its advice, with the user's line that made it."""
    said = str(error).strip().split("\n")[0].split(". ")[0]
    line = line_of(node) if node else ""
    return f"{type(error).__name__}: {said}{line or _last_own(extract_tb(error.__traceback__))}"


def _last_own(frames: Iterable[FrameSummary]) -> str:
    own = [frame for frame in frames if not frame.filename.startswith(_NOT_OWN)]
    if not own:
        return ""
    last = own[-1]
    return f' (File "{last.filename}", line {last.lineno}, in {last.name}: {last.line})'

"""What decides a study's results comes in; a folder that holds another study's is refused."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vidar_det.outputs import write_json

SETTINGS_FILE = "settings.json"


def keep_settings(out: Path, settings: Mapping[str, Any]) -> None:
    """Write the settings of a study's runs down, or see that those in the folder had the same.

    Args:
        out: the study's folder; it is made if needed.
        settings: whatever decides a run's result, in plain types.

    Raises:
        SystemExit: the folder's runs had others.
    """
    out.mkdir(parents=True, exist_ok=True)
    path = out / SETTINGS_FILE
    if not path.exists():
        write_json(path, dict(settings))
        return
    found = json.loads(path.read_text(encoding="utf-8"))
    for name, wanted in settings.items():
        if found.get(name) != wanted:
            raise SystemExit(f"{path}: found {name} {found.get(name)}, wanted {wanted}")

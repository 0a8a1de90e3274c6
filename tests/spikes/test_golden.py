"""Every recording of a folder with known answers decodes to them, or is refused.

The folder is named by VIDAR_GOLDEN_RECORDINGS; it holds ``golden.json`` and the recordings.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vidar_det.errors import VidarError
from vidar_det.spikes.recording import open_recording

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(
    os.environ.get("VIDAR_GOLDEN_RECORDINGS", ROOT.parent / "shared" / "data" / "recordings")
)
OPTIONS = {"width", "height", "layout", "flip", "rate_hz"}


def load_entries() -> list[Any]:
    if not FOLDER.is_dir():
        reason = f"no golden recordings: {FOLDER} is absent (set VIDAR_GOLDEN_RECORDINGS)"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason), id="absent")]
    entries = json.loads((FOLDER / "golden.json").read_text(encoding="utf-8"))["recordings"]
    return [
        pytest.param(entry, id=f"{index}-{entry['file']}") for index, entry in enumerate(entries)
    ]


def sha256(planes: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(planes).data).hexdigest()


@pytest.mark.parametrize("entry", load_entries())
def test_a_golden_recording_decodes_to_its_known_planes_or_is_refused(
    entry: dict[str, Any],
) -> None:
    path, options = FOLDER / entry["file"], entry.get("options", {})
    assert set(options) <= OPTIONS
    if entry.get("refused"):
        with pytest.raises(VidarError):
            open_recording(path, **options)[:]
        return
    recording = open_recording(path, **options)
    planes = recording[:]
    assert planes.dtype == np.uint8
    height, width = (
        entry.get(name, getattr(recording.sensor, name)) for name in ("height", "width")
    )
    assert planes.shape == recording.shape == (entry["planes"], height, width)
    if "spikes" in entry:
        assert int(planes.sum(dtype=np.int64)) == entry["spikes"]
    assert sha256(planes) == entry["sha256"]
    if "sha256_planes_10_51" in entry:
        assert sha256(recording[10:51]) == entry["sha256_planes_10_51"]
    for name in ("leading_bytes", "trailing_bytes", "resyncs", "lost_planes"):
        if name in entry:
            assert getattr(recording.report, name) == entry[name], name
    if "rate_hz" in options:
        assert recording.sensor.rate_hz == options["rate_hz"]
    for bins in (1, min(3, len(planes)), len(planes)):
        start = len(planes) % bins
        binned = planes[start:].reshape(bins, -1, *planes.shape[1:])
        counts = recording.counts(start, len(planes), bins)
        assert counts.dtype == np.uint16
        assert counts.flags.c_contiguous
        assert np.array_equal(counts, binned.sum(axis=1, dtype=np.uint16))

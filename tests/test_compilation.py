"""Kernels compile with and without a place to keep their machine code."""

from pathlib import Path

import numba
import numpy as np
import pytest
from numpy.typing import NDArray

from vidar_det.compilation import compiled


def double(values: NDArray[np.float32]) -> None:
    for index in range(values.size):
        values[index] *= 2


def test_a_kernel_is_kept_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numba.core.config.CACHE_DIR", str(tmp_path))
    values = np.ones(3, np.float32)
    compiled(double)(values)
    assert values.tolist() == [2, 2, 2]
    assert list(tmp_path.rglob("*.nbc"))


def test_a_kernel_works_where_nothing_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("numba.core.config.CACHE_LOCATOR_CLASSES", "ZipCacheLocator")
    with pytest.raises(RuntimeError, match="no locator"):
        numba.njit(double, cache=True)
    values = np.ones(3, np.float32)
    compiled(double)(values)
    assert values.tolist() == [2, 2, 2]

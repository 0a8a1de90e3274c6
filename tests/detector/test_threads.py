from pathlib import Path

import pytest

from vidar_det.detector.threads import available_cpus


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("limit", "expected"),
    [("max 100000", 8), ("200000 100000", 2), ("150000 100000", 2), ("50000 100000", 1)],
)
def test_a_containers_quota_counts(limit: str, expected: int, tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text(limit + "\n")
    assert available_cpus(tmp_path) == expected


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(("quota", "expected"), [(-1, 8), (300_000, 3)])
def test_so_does_the_first_versions(quota: int, expected: int, tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert available_cpus(tmp_path) == expected


@pytest.mark.usefixtures("machine")
def test_without_control_groups_all_processors_count(tmp_path: Path) -> None:
    assert available_cpus(tmp_path) == 8
    (tmp_path / "cpu.max").write_text("what is this")
    assert available_cpus(tmp_path) == 8

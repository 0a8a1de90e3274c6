from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from vidar_det.commands.compute import prepare_compute
from vidar_det.detector.execution import Execution, build_runtime
from vidar_det.detector.network import build_detector
from vidar_det.detector.spec import size_spec
from vidar_det.detector.threads import available_cpus


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)


@pytest.fixture
def torch_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def write_limit(folder: Path, limit: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cpu.max").write_text(limit + "\n")


def write_quota(folder: Path, quota: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (folder / "cpu.cfs_period_us").write_text("100000\n")


def cpus(tmp_path: Path, own: str = "0::/\n") -> int:
    (tmp_path / "own").write_text(own)
    return available_cpus(tmp_path / "cgroup", tmp_path / "own")


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("limit", "expected"),
    [("max 100000", 8), ("200000 100000", 2), ("150000 100000", 2), ("50000 100000", 1)],
)
def test_a_containers_quota_counts(limit: str, expected: int, tmp_path: Path) -> None:
    write_limit(tmp_path / "cgroup", limit)
    assert cpus(tmp_path) == expected


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(("quota", "expected"), [(-1, 8), (300_000, 3)])
def test_so_does_the_first_versions(quota: int, expected: int, tmp_path: Path) -> None:
    write_quota(tmp_path / "cgroup" / "cpu", quota)
    assert cpus(tmp_path) == expected


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [("max", "300000", 3), ("200000", "300000", 2), ("500000", "max", 5), ("max", "max", 8)],
)
def test_the_tightest_of_all_groups_around_the_process_counts(
    outer: str, inner: str, expected: int, tmp_path: Path
) -> None:
    write_limit(tmp_path / "cgroup" / "user.slice", f"{outer} 100000")
    write_limit(tmp_path / "cgroup" / "user.slice" / "job.scope", f"{inner} 100000")
    write_limit(tmp_path / "cgroup" / "other.slice", "100000 100000")
    assert cpus(tmp_path, "0::/user.slice/job.scope\n") == expected


@pytest.mark.usefixtures("machine")
def test_so_does_the_tightest_of_the_first_versions(tmp_path: Path) -> None:
    write_quota(tmp_path / "cgroup" / "cpu" / "docker", 400_000)
    write_quota(tmp_path / "cgroup" / "cpu" / "docker" / "1a", -1)
    assert cpus(tmp_path, "7:memory:/elsewhere\n4:cpu,cpuacct:/docker/1a\n0::/\n") == 4


@pytest.mark.usefixtures("machine")
def test_names_from_outside_the_container_hide_no_limit(tmp_path: Path) -> None:
    write_limit(tmp_path / "cgroup", "200000 100000")
    assert cpus(tmp_path, "0::/kubepods/pod1\n") == 2


@pytest.mark.usefixtures("machine")
def test_without_control_groups_all_processors_count(tmp_path: Path) -> None:
    assert available_cpus(tmp_path / "nothing", tmp_path / "nothing") == 8
    write_limit(tmp_path / "cgroup", "what is this")
    assert cpus(tmp_path) == 8


@pytest.mark.usefixtures("torch_threads")
def test_a_number_of_threads_is_pytorchs_too() -> None:
    network = build_detector(size_spec("nano")).eval()
    for threads in (1, 2):
        runtime = build_runtime(network, Execution("torch", threads=threads))
        assert torch.get_num_threads() == threads
        assert runtime.describe().threads == threads


@pytest.mark.usefixtures("torch_threads")
def test_pytorch_keeps_within_a_quota_and_within_what_it_was_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vidar_det.detector.torch_runtime.available_cpus", lambda: 2)
    torch.set_num_threads(4)
    prepare_compute()
    assert torch.get_num_threads() == 2
    prepare_compute(threads=1)
    assert torch.get_num_threads() == 1
    prepare_compute()
    assert torch.get_num_threads() == 1

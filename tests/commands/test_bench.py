"""What is measured, and that each figure stands beside its own ceiling; never how fast."""

import json
from pathlib import Path

import pytest

from vidar_det.commands.bench import BenchSettings, bench, open_networks, to_document
from vidar_det.errors import CheckpointError, OutputError
from vidar_det.evaluation.speed import SpeedFigure, SpeedSpec, executions, median_laps

QUICK = SpeedSpec(seconds=0.0, threads=1, height=64, width=64)


@pytest.fixture(scope="module")
def figures(
    fresh_weights: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[SpeedFigure], Path]:
    out = tmp_path_factory.mktemp("bench") / "out"
    return bench(BenchSettings((str(fresh_weights),), spec=QUICK, out=out)), out


def test_every_part_is_measured_in_every_runtime(figures: tuple[list[SpeedFigure], Path]) -> None:
    found, _ = figures
    groups = {figure.group.split(",")[0] for figure in found}
    assert groups == {"decode", "arithmetic", "inference", "stream"}
    runtimes = set(executions(1))
    milliseconds = {f.name for f in found if f.group.startswith("inference") and f.unit == "ms"}
    assert milliseconds == runtimes | {"SpikingJelly"}
    assert {f.name for f in found if f.group.startswith("stream")} == runtimes


def test_several_networks_stand_beside_the_first(fresh_weights: Path) -> None:
    found = bench(BenchSettings((str(fresh_weights),), steps=(1, 2), spec=QUICK))
    for label in executions(1):
        laps = [one for one in found if one.group == f"networks, {label}"]
        assert [one.name.split(" ")[-1] for one in laps] == ["S=1", "S=2"]
        assert {one.beside for one in laps} == {laps[0].name}
        assert [one.ratio for one in laps] == [laps[0].value / one.value for one in laps]


def test_ratios_are_those_of_the_figures(figures: tuple[list[SpeedFigure], Path]) -> None:
    found, _ = figures
    laps = {f.name: f for f in found if f.unit == "ms"}
    for figure in laps.values():
        assert figure.ratio == pytest.approx(laps["SpikingJelly"].value / figure.value)
    ceiling = next(f.value for f in found if f.name == "matrix product f32")
    for figure in found:
        if figure.unit == "GFLOP/s" and figure.ratio is not None:
            assert figure.ratio == pytest.approx(figure.value / ceiling)


def test_figures_lie_on_the_disk_with_what_they_were_measured_with(
    figures: tuple[list[SpeedFigure], Path],
) -> None:
    found, out = figures
    document = json.loads((out / "bench.json").read_text())
    assert len(document["figures"]) == len(found)
    assert document["machine"]["threads"] == 1
    assert document["picture"] == {"width": 64, "height": 64}
    assert (out / "bench.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(OutputError, match="holds files already"):
        bench(BenchSettings(spec=QUICK, out=out))


def test_networks_come_by_name_size_and_number_of_steps() -> None:
    networks = open_networks(("size:small",), (1, 4))
    assert {name: one.spec.encoding.steps for name, one in networks.items()} == {
        "small S=1": 1,
        "small S=4": 4,
    }
    with pytest.raises(CheckpointError, match="no such file, folder or name"):
        open_networks(("nan",), ())


def test_works_take_turns_and_each_has_its_laps() -> None:
    order: list[str] = []
    laps = median_laps({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 0.0)
    assert set(laps) == {"a", "b"}
    assert order == ["a", "b"] * (len(order) // 2)
    assert len(order) >= 2 * 6


def test_the_document_is_plain(figures: tuple[list[SpeedFigure], Path]) -> None:
    assert json.dumps(to_document(figures[0], BenchSettings(spec=QUICK)))

"""What is measured, and that each figure stands beside its own ceiling; never how fast."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from vidar_det.commands.bench import (
    BenchSettings,
    bench,
    open_networks,
    short_names,
    to_document,
)
from vidar_det.detector.weights_file import WEIGHTS_FILE
from vidar_det.errors import CheckpointError, ConfigError, OutputError
from vidar_det.evaluation.network_speed import PEERS
from vidar_det.evaluation.speed import SpeedFigure, SpeedSpec, executions

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
    assert groups == {"decode", "inference", "stream"}
    runtimes = set(executions(QUICK))
    milliseconds = {f.name for f in found if f.group.startswith("inference") and f.unit == "ms"}
    assert milliseconds == runtimes | set(PEERS)
    assert {f.name for f in found if f.group.startswith("stream")} == runtimes


def test_several_networks_stand_beside_the_first(fresh_weights: Path) -> None:
    spec = replace(QUICK, runtimes=("torch",))
    found = bench(BenchSettings((str(fresh_weights),), steps=(1, 2), spec=spec))
    (label,) = executions(spec)
    laps = [one for one in found if one.group == f"networks, {label}"]
    assert [one.name.split(" ")[-1] for one in laps] == ["S=1", "S=2"]
    assert {one.beside for one in laps} == {laps[0].name}
    assert [one.ratio for one in laps] == [laps[0].value / one.value for one in laps]


def test_figures_lie_on_the_disk_with_what_they_were_measured_with(
    figures: tuple[list[SpeedFigure], Path],
) -> None:
    found, out = figures
    document = json.loads((out / "bench.json").read_text())
    assert len(document["figures"]) == len(found)
    assert document["machine"]["threads"] == 1
    assert document["picture"] == {"width": 64, "height": 64}
    assert document["seconds"] == 0.0
    assert {"date", "processor"} <= set(document["machine"])
    assert {"torch", "numpy", "spikingjelly"} <= set(document["machine"]["versions"])
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


@pytest.mark.parametrize("steps", [(), (1, 2)])
def test_networks_of_one_file_name_stay_apart(
    steps: tuple[int, ...], fresh_weights: Path, tmp_path: Path
) -> None:
    paths = [tmp_path / name / WEIGHTS_FILE for name in ("one", "two")]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(fresh_weights.read_bytes())
    networks = open_networks([str(path) for path in paths], steps)
    wanted = [f"{name} S={count}" for name in ("one", "two") for count in steps or (2,)]
    assert list(networks) == wanted


def test_names_grow_until_they_are_distinct() -> None:
    assert short_names(["nano", "size:nano", "a/x", "b/x"]) == ["nano", "size:nano", "a/x", "b/x"]
    with pytest.raises(ConfigError, match="found nano twice"):
        short_names(["nano", "small", "nano"])


def test_what_is_not_there_to_measure_is_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    spec = replace(QUICK, runtimes=("torch",), precisions=("int8",))
    with pytest.raises(ConfigError, match="none of torch f32"):
        bench(BenchSettings(spec=spec, out=tmp_path / "out"))
    with pytest.raises(ConfigError, match="precision: found 'int4', wanted some of f32, bf16"):
        bench(BenchSettings(spec=replace(QUICK, precisions=("int4",)), out=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_the_document_is_plain(figures: tuple[list[SpeedFigure], Path]) -> None:
    assert json.dumps(to_document(figures[0], BenchSettings(spec=QUICK)))

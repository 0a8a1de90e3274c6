import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import torch

from service.engines import InlineEngine, Step, Task, WindowFound, check_models, choose_model
from service.log import LOGGER
from service.metrics import Metrics
from service.problems import Problem
from service.settings import Settings
from tests.service.conftest import Caller, files_in, running
from vidar_det.commands.predict import PredictSettings, predict_recording
from vidar_det.detections.predictions import Predictions
from vidar_det.detector.clip_prediction import Question
from vidar_det.detector.predictor import Detector, Thresholds, load_detector
from vidar_det.errors import CheckpointError, ConfigError, LabelError, RangeError
from vidar_det.spikes.demo import find_demo
from vidar_det.spikes.recording import open_recording
from vidar_det.spikes.selection import Selection
from vidar_det.spikes.sidecar import RecordingOptions
from vidar_det.spikes.stream import SpikeWindow


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    """Calls a service that runs the shipped net."""
    with running(Settings(data_dir=tmp_path_factory.mktemp("spool"))) as caller:
        yield caller


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize(
    ("query", "settings"),
    [
        ({}, PredictSettings(video=False)),
        (
            {"start": 10, "planes": 200, "window": 64, "stride": 32, "conf": 0.05, "iou": 0.5},
            PredictSettings(Selection(10, 200, 64, 32), Thresholds(0.05, 0.5), video=False),
        ),
        (
            {"classes": "vehicle,cycle", "max_det": 1, "planes": 50},
            PredictSettings(
                Selection(planes=50), Thresholds(max_det=1), ("vehicle", "cycle"), video=False
            ),
        ),
    ],
)
def test_the_answer_is_what_the_command_line_writes(
    call: Caller, tmp_path: Path, query: dict[str, Any], settings: PredictSettings
) -> None:
    path = find_demo() / "demo.dat"
    predict_recording(load_detector("nano"), open_recording(path), tmp_path / "out", settings)
    wanted = json.loads((tmp_path / "out" / "predictions.json").read_text())
    assert wanted["images"]
    shape = {"width": 256, "height": 160, "layout": "plain", "flip": "ud"}
    named = call.post("/v1/detect", params=query, json={"clip_id": "demo"}).json()
    sent = call.post("/v1/detect", params=query | shape, content=path.read_bytes()).json()
    for answer in (named, sent):
        assert answer.pop("request_id")
        assert answer.pop("timing_ms")["total"] > 0
        assert answer == {key: wanted[key] for key in wanted if key != "timing_ms"}
    lines = lines_of(
        call.post(
            "/v1/detect",
            params=query,
            json={"clip_id": "demo"},
            headers={"Accept": "application/x-ndjson"},
        ).text
    )
    assert [one for line in lines[:-1] for one in line["detections"]] == wanted["detections"]
    assert lines[-1]["images"] == len(wanted["images"])
    assert lines[-1]["warnings"] == wanted["warnings"]
    assert files_in(call.parts.spool.folder) == []


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("start=999", "found 384 planes"),
        ("window=999", "choose a shorter window"),
        ("window=63", "multiple of"),
        ("classes=vehicles", "did you mean 'vehicle'"),
    ],
)
def test_a_question_that_cannot_be_answered_is_a_422(call: Caller, query: str, words: str) -> None:
    for accept in ("application/json", "application/x-ndjson"):
        answer = call.post(
            f"/v1/detect?{query}", json={"clip_id": "demo"}, headers={"Accept": accept}
        )
        assert answer.status_code == 422
        assert words in answer.json()["detail"]
        assert str(find_demo()) not in answer.text


def test_what_the_engine_does_is_counted(call: Caller) -> None:
    def number_of(name: str) -> float:
        lines = call.get("/metrics").text.splitlines()
        return float(next(line for line in lines if line.startswith(f"{name} ")).split()[1])

    stages = ("decode", "inference", "postprocessing")
    before = number_of("vidar_windows_total")
    timed = [number_of(f"vidar_{stage}_seconds_count") for stage in stages]
    call.post("/v1/detect", json={"clip_id": "demo"})
    assert number_of("vidar_windows_total") == before + 3
    for stage, count in zip(stages, timed, strict=True):
        assert number_of(f"vidar_{stage}_seconds_count") == count + 3
    for name in ("queue_wait_seconds", "clip_bytes"):
        assert number_of(f"vidar_{name}_count") > 0
    assert number_of("vidar_firing_rate_sum") > 0
    assert number_of("vidar_queue_depth") == 0


def task_of(path: Path, question: Question | None = None) -> Task:
    return Task(path, "ab", RecordingOptions(), question or Question(), "fresh", "r1")


def small_engine(fresh_weights: Path, **settings: Any) -> InlineEngine:
    return InlineEngine(Settings(models=(f"fresh={fresh_weights}",), **settings), Metrics())


def test_weights_are_served_under_the_name_they_are_given(fresh_weights: Path, clip: Path) -> None:
    async def main() -> list[Any]:
        engine = small_engine(fresh_weights)
        assert engine.models == ()
        await engine.start()
        assert [model.name for model in engine.models] == ["fresh"]
        return [step async for step in engine.detect(task_of(clip))]

    *windows, frame = anyio.run(main)
    assert [type(step) for step in windows] == [WindowFound]
    assert isinstance(frame, Predictions)
    assert (frame.model.name, frame.request_id, frame.clip.sha256) == ("fresh", "r1", "ab")


def test_the_queue_is_bounded_and_frees_itself(fresh_weights: Path, clip: Path) -> None:
    async def main() -> None:
        engine = small_engine(fresh_weights, workers=1, queue=1)
        await engine.start()
        question = Question(Selection(window=64, stride=8))
        held = [engine.detect(task_of(clip, question)) for _ in range(2)]
        for steps in held:
            assert isinstance(await anext(steps), WindowFound)
        with pytest.raises(Problem) as caught:
            await anext(engine.detect(task_of(clip)))
        assert (caught.value.status, caught.value.headers["Retry-After"]) == (503, "1")
        with pytest.raises(Problem):
            engine.check_room()
        await held[0].aclose()
        engine.check_room()
        assert len([step async for step in held[1]]) > 10
        assert threading.active_count() < 20

    anyio.run(main)


@pytest.mark.parametrize(
    ("question", "kind"),
    [(Question(Selection(start=999)), RangeError), (Question(classes=("x",)), LabelError)],
)
def test_a_task_that_fails_gives_its_place_back(
    fresh_weights: Path, clip: Path, question: Question, kind: type[Exception]
) -> None:
    async def main() -> None:
        engine = small_engine(fresh_weights, workers=1, queue=0)
        await engine.start()
        for _ in range(3):
            with pytest.raises(kind):
                await anext(engine.detect(task_of(clip, question)))

    anyio.run(main)


def test_requests_take_turns(fresh_weights: Path, clip: Path) -> None:
    async def main() -> list[str]:
        engine = small_engine(fresh_weights, workers=1)
        await engine.start()
        ended = []

        async def look(name: str, stride: int) -> None:
            question = Question(Selection(window=64, stride=stride))
            async with contextlib.aclosing(engine.detect(task_of(clip, question))) as steps:
                async for _ in steps:
                    pass
            ended.append(name)

        async with anyio.create_task_group() as group:
            group.start_soon(look, "long", 2)
            group.start_soon(look, "short", 64)
        return ended

    assert anyio.run(main) == ["short", "long"]


def test_what_was_found_before_a_failure_comes_before_it(
    fresh_weights: Path, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = Detector.predict

    def fail_at_the_third(self: Detector, window: SpikeWindow, *given: Any, **more: Any) -> Any:
        if window.start == 2 * 64:
            raise RangeError("the third")
        return look(self, window, *given, **more)

    async def main() -> list[int]:
        engine, seen = small_engine(fresh_weights), []
        await engine.start()
        monkeypatch.setattr(Detector, "predict", fail_at_the_third)
        with contextlib.suppress(RangeError):
            async for step in engine.detect(task_of(clip, Question(Selection(window=64)))):
                assert isinstance(step, WindowFound)  # and never the frame
                seen.append(step.window.plane_start)
        return seen

    assert anyio.run(main) == [0, 64]


def test_weights_that_do_not_exist_are_refused_at_once() -> None:
    with pytest.raises(CheckpointError, match="did you mean 'nano'"):
        check_models(Settings(models=("nanoo",)))


def test_a_runtime_that_cannot_compute_so_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="precision 'int8': found runtime 'torch'"):
        check_models(Settings(runtime="torch", precision="int8"))


def test_the_settings_say_what_runs_the_nets(fresh_weights: Path, clip: Path) -> None:
    async def main() -> Step:
        engine = small_engine(fresh_weights, runtime="torch", threads=1)
        await engine.start()
        *_, frame = [step async for step in engine.detect(task_of(clip))]
        return frame

    before = torch.get_num_threads()
    try:
        frame = anyio.run(main)
    finally:
        torch.set_num_threads(before)
    assert isinstance(frame, Predictions)
    assert frame.model.runtime.startswith("PyTorch 2.")


def test_a_precision_that_the_cpu_lacks_is_told_in_log_and_answer(
    fresh_weights: Path,
    clip: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pytest.importorskip("openvino", reason="OpenVINO is not installed")
    monkeypatch.setattr("vidar_det.detector.graphs.has_bf16", lambda: False)
    monkeypatch.setattr(LOGGER, "propagate", True)

    async def main() -> Step:
        engine = small_engine(fresh_weights, precision="bf16")
        await engine.start()
        *_, frame = [step async for step in engine.detect(task_of(clip))]
        return frame

    with caplog.at_level("INFO", LOGGER.name):
        frame = anyio.run(main)
    told = "precision 'bf16': this CPU has none, 'f32' was computed instead"
    assert isinstance(frame, Predictions)
    assert told in frame.warnings
    (line,) = (json.loads(one) for one in caplog.messages if "warning" in one)
    assert (line["model"], line["warning"]) == ("fresh", told)


def test_a_model_is_chosen_by_name_or_is_the_first(fresh_weights: Path) -> None:
    engine = small_engine(fresh_weights)
    anyio.run(engine.start)
    assert choose_model(engine, None).name == choose_model(engine, "fresh").name == "fresh"
    with pytest.raises(Problem, match="not served"):
        choose_model(engine, "x" * 999)

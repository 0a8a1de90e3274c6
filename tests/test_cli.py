import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from vidar_det import __version__
from vidar_det.cli import app
from vidar_det.commands import convert, film, predict
from vidar_det.spikes.recording import write_recording
from vidar_det.spikes.stream import Sensor

COMMANDS = ("info", "convert", "simulate", "predict", "train", "val", "demo", "check")


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def run_process(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "vidar_det", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own


def assert_refused(result: Result, *words: str) -> None:
    """Exit code 1, and one line on stderr that names what was found and wanted."""
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 1
    for word in words:
        assert word in result.stderr


def test_help_needs_no_torch() -> None:
    code = (
        "import sys\n"
        "from vidar_det.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "heavy = {'torch', 'numba', 'cv2', 'av', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in COMMANDS)


def test_reading_a_recording_needs_no_torch(clip: Path) -> None:
    code = (
        "import sys\n"
        "from vidar_det.cli import app\n"
        f"try: app(['info', {str(clip)!r}])\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert 'torch' not in sys.modules\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"Example: vidar-det {command}" in result.stdout


@pytest.mark.parametrize(("given", "wanted"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_sleep_while_they_wait_unless_told_otherwise(
    given: str | None, wanted: str
) -> None:
    code = (
        "import os, sys\n"
        "from vidar_det.cli import main\n"
        "sys.argv = ['vidar-det', '--version']\n"
        "try: main()\n"
        "except SystemExit: print(os.environ['OMP_WAIT_POLICY'])\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    environment |= {} if given is None else {"OMP_WAIT_POLICY": given}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)  # noqa: S603  # our own
    assert done.stdout.splitlines()[-1] == wanted


def test_the_version_is_said() -> None:
    assert run("--version").stdout == f"vidar-det {__version__}\n"


def test_info_speaks_json_on_stdout_and_to_people_on_stderr(clip: Path) -> None:
    result = run("info", clip, "--json")
    assert result.exit_code == 0
    summary = json.loads(result.stdout)
    assert (summary["width"], summary["height"], summary["planes"]) == (48, 40, 200)
    assert "48 x 40 pixels" in result.stderr
    assert run("info", clip).stdout == ""


def test_info_takes_options_over_the_sidecar(clip: Path) -> None:
    result = run("info", clip, "--rate-hz", 40_000, "--flip", "none", "--json")
    summary = json.loads(result.stdout)
    assert (summary["rate_hz"], summary["flip"]) == (40_000.0, "none")


def test_predict_prints_the_folder_last(clip: Path, fresh_weights: Path, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    result = run("predict", clip, "--weights", fresh_weights, "--out", out, "--window", 64)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == str(out)
    assert sorted(file.name for file in out.iterdir()) == ["annotated.mp4", "predictions.json"]
    assert "30 fps" in result.stderr
    document = json.loads((out / "predictions.json").read_text())
    assert [image["plane_count"] for image in document["images"]] == [64] * 3


def test_predict_speaks_json_alone_where_asked(
    clip: Path, fresh_weights: Path, tmp_path: Path
) -> None:
    words = ("predict", clip, "--weights", fresh_weights, "--out", tmp_path / "out", "--no-video")
    result = run(*words, "--json", "--classes", "person,cycle")
    document = json.loads(result.stdout)
    assert document["out"] == str(tmp_path / "out")
    assert document["sources"][0]["windows"] == 1


def test_predict_refuses_to_overwrite_unless_told(
    clip: Path, fresh_weights: Path, tmp_path: Path
) -> None:
    words = ("predict", clip, "--weights", fresh_weights, "--out", tmp_path / "out", "--no-video")
    assert run(*words).exit_code == 0
    assert_refused(run(*words), "holds files already")
    assert run(*words, "--overwrite").exit_code == 0


def test_convert_prints_the_file_last(clip: Path, tmp_path: Path) -> None:
    result = run("convert", clip, tmp_path / "a.npz", "--planes", 64)
    assert result.stdout.splitlines()[-1] == str(tmp_path / "a.npz")
    assert_refused(run("convert", clip, tmp_path / "a.npz"), "exists already")
    assert_refused(run("convert", clip, tmp_path / "a.avi"), "wanted .dat, .npz, .mp4 or .png")


def test_simulate_train_and_val_work_hand_in_hand(tmp_path: Path) -> None:
    recipe, size = tmp_path / "tiny.toml", ("--width", 96, "--height", 64)
    recipe.write_text(
        "width = 64\nheight = 64\nmixed_precision = false\nrecalibrate_windows = 2\n"
        "[[composed]]\nprocedural_sprites = 1\nprocedural_backgrounds = 1\n"
        "[[phases]]\nwindows = 2\nbatch = 2\n"
    )
    made = run("simulate", "street", "-o", tmp_path / "set", "--count", 1, "--planes", 128, *size)
    assert made.stdout.splitlines()[-1] == str(tmp_path / "set"), made.output
    trained = run("train", recipe, "--out", tmp_path / "run", "--workers", 0)
    assert trained.stdout.splitlines()[-1] == str(tmp_path / "run" / "model.safetensors")
    assert_refused(run("train", recipe, "--out", tmp_path / "run"), "holds files already")
    words = ("val", "--data", tmp_path / "set", "--weights", tmp_path / "run", "--json")
    scored = run(*words, "--split", "test", "--out", tmp_path / "val")
    figures = json.loads(scored.stdout)
    assert {"mAP", "mAP50", "per_class"} <= set(figures)
    assert json.loads((tmp_path / "val" / "metrics.json").read_text()) == figures


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("inof",), "info"),
        (("info", "clip.dat", "--widht", "400"), "--width"),
        (("info", "clip.dat", "--layout", "plane"), "plain"),
        (("info", "clip.dat", "--width", "wide"), "--width"),
        (("info", "clip.dat", "--width", "0"), "--width"),
        (("predict", "clip.dat"), "--out"),
        (("predict", "clip.dat", "--out", "o", "--conf", "1.5"), "--conf"),
        (("simulate", "street", "-o", "a.dat", "--width", "64"), "--height"),
        (("prune", "nano", "--target", "weights=0.5", "--one-shot", "-o", "o"), "params=X"),
        (("prune", "nano", "--target", "params=0.5", "-o", "o"), "nothing to learn from"),
    ],
)
def test_wrong_use_exits_with_2_and_a_hint(words: tuple[str, ...], hint: str) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert hint in result.stderr


def test_bad_recordings_are_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.dat"
    assert_refused(run("info", path), "bad.dat", "found nothing")
    path.touch()
    assert_refused(run("info", path), "bad.dat", "found 0 bytes")
    path.write_bytes(bytes(100))
    assert_refused(run("info", path, "--width", 400, "--height", 250), "bad.dat", "100 bytes")
    assert_refused(run("info", path), "bad.dat")
    path.write_bytes(b"% date 2020\n% height 720\n" + bytes(100_000))
    assert_refused(run("info", path, "--width", 400, "--height", 250), "Prophesee")
    path.write_bytes(bytes(2_000_000))
    assert_refused(run("info", path, "--layout", "m1k40"), "m1k40")
    assert_refused(run("info", tmp_path), "wanted numbered files")


def test_a_geometry_that_could_be_two_is_refused_with_both(tmp_path: Path) -> None:
    np.save(tmp_path / "cube.npy", np.zeros((64, 64, 64), np.uint8))
    assert_refused(run("info", tmp_path / "cube.npy"), "array-thw", "array-hwt")


def test_arrays_of_another_shape_or_type_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "flat.npy", np.zeros((8, 8), np.uint8))
    np.save(tmp_path / "real.npy", np.zeros((4, 8, 9), np.float32))
    assert_refused(run("info", tmp_path / "flat.npy"), "flat.npy")
    assert_refused(run("info", tmp_path / "real.npy"), "real.npy", "float32")


def test_a_trailing_partial_plane_is_dropped_and_reported(clip: Path) -> None:
    clip.write_bytes(clip.read_bytes() + b"abc")
    result = run("info", clip, "--json")
    assert json.loads(result.stdout)["trailing_bytes"] == 3
    assert "3 trailing bytes" in result.stderr


def test_weights_and_settings_that_do_not_fit_are_refused(
    clip: Path, fresh_weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    (tmp_path / "junk.safetensors").write_bytes(b"junk")
    words = ("predict", clip, "--out", out, "--weights")
    assert_refused(run(*words, tmp_path / "junk.safetensors"), "junk.safetensors")
    assert_refused(run(*words, "no-such-net"), "no-such-net")
    assert_refused(run(*words, fresh_weights, "--classes", "persn"), "did you mean 'person'")
    assert_refused(run(*words, fresh_weights, "--window", 6), "wanted a multiple of 4")
    assert_refused(run(*words, fresh_weights, "--window", 512), "found 200 planes in a row")
    assert_refused(run(*words, fresh_weights, "--start", 200), "found 200 planes")
    assert_refused(run(*words, fresh_weights, "--device", "abacus"), "abacus")
    assert not out.exists()


def test_unreadable_videos_and_unknown_recipe_keys_are_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    words = ("simulate", tmp_path / "broken.mp4", "-o", tmp_path / "a.dat")
    assert_refused(run(*words), "broken.mp4")
    (tmp_path / "recipe.toml").write_text("sead = 1\n")
    words = ("train", tmp_path / "recipe.toml", "--out", tmp_path / "run")
    assert_refused(run(*words), "recipe.toml", "did you mean 'seed'")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["broken.mp4", "recipe.toml"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_output_is_refused(clip: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    assert_refused(run("convert", clip, locked / "a.dat"), "cannot be written")


def test_an_output_under_a_file_is_refused(clip: Path, fresh_weights: Path) -> None:
    words = ("predict", clip, "--weights", fresh_weights, "--out", clip / "out")
    assert_refused(run(*words), "clip.dat")
    assert_refused(run("convert", clip, clip / "a.dat"), "clip.dat")


def test_an_interrupt_exits_with_130_and_leaves_nothing(
    clip: Path, fresh_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(film.Film, "show", interrupt)
    monkeypatch.setattr(convert.Darkroom, "develop", interrupt)
    for words in (
        ("predict", clip, "--weights", fresh_weights, "--out", tmp_path / "out"),
        ("convert", clip, tmp_path / "out.mp4"),
    ):
        result = run(*words)
        assert result.exit_code == 130
        assert "interrupted" in result.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["recordings"]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_terminated_process_leaves_nothing(
    name: str, clip: Path, fresh_weights: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = ["vidar-det", "predict", str(clip), "--weights", str(fresh_weights), "--out", str(out)]
    code = (
        "import os, signal, sys\n"
        "from vidar_det.cli import main\n"
        "from vidar_det.commands import film\n"
        f"signal.signal(signal.{name}, signal.SIG_DFL)\n"
        f"sys.argv = {words!r}\n"
        f"def show(*_): os.listdir({str(out)!r}); os.kill(os.getpid(), signal.{name})\n"
        "film.Film.show = show\n"
        "main()\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own
    assert done.returncode == 128 + getattr(signal, name), done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["recordings"]


def test_a_full_disk_is_one_line_and_leaves_nothing(
    clip: Path, fresh_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(predict.EnvelopeWriter, "add", fill)
    words = ("predict", clip, "--weights", fresh_weights, "--out", tmp_path / "out")
    assert_refused(run(*words), "No space left on device")
    assert [file.name for file in tmp_path.iterdir()] == ["recordings"]


def test_check_fails_with_exit_code_1_and_says_what(tmp_path: Path) -> None:
    result = run("check", "--weights", tmp_path / "none", "--json")
    assert result.exit_code == 1
    checks = {check["name"]: check for check in json.loads(result.stdout)["checks"]}
    assert checks["counts"]["passed"]
    assert not checks["weights"]["passed"]


def test_the_module_runs_as_a_program(tmp_path: Path) -> None:
    write_recording(tmp_path / "a.dat", np.ones((8, 4, 6), np.uint8), Sensor(6, 4))
    done = run_process("info", tmp_path / "a.dat", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["firing_rate"] == 1.0
    failed = run_process("info", tmp_path / "missing.dat")
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr

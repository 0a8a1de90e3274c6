from pathlib import Path

import pytest

from vidar_det.errors import ConfigError
from vidar_det.spikes.sidecar import (
    RecordingOptions,
    complete_options,
    sidecar_path,
    sidecar_text,
)


def test_arguments_come_before_the_sidecar_and_that_before_spikecv(tmp_path: Path) -> None:
    path = tmp_path / "clip.dat"
    (tmp_path / "clip.toml").write_text('width = 1\nlayout = "plain"\nrate_hz = 40000\n')
    (tmp_path / "config.yaml").write_text("spike_w: 2\nspike_h: 3\nis_labeled: true\n")
    assert complete_options(path, RecordingOptions()) == RecordingOptions(
        width=1, height=3, layout="plain", rate_hz=40_000.0
    )
    given = RecordingOptions(width=7, height=8, layout="row-padded", flip="lr", rate_hz=5.0)
    assert complete_options(path, given) == given


def test_a_folder_has_its_sidecar_beside_and_its_config_inside_or_beside(tmp_path: Path) -> None:
    folder = tmp_path / "take.1"
    folder.mkdir()
    (tmp_path / "take.1.toml").write_text('flip = "both"\n')
    (tmp_path / "config.yaml").write_text("spike_w: 2\nspike_h: 3\n")
    assert sidecar_path(folder) == tmp_path / "take.1.toml"
    assert complete_options(folder, RecordingOptions()) == RecordingOptions(2, 3, flip="both")
    (folder / "config.yaml").write_text("spike_w: 4\n")
    assert complete_options(folder, RecordingOptions()) == RecordingOptions(4, 3, flip="both")


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    options = RecordingOptions(400, 250, "row-padded", "none", 20_000.0)
    (tmp_path / "clip.toml").write_text(sidecar_text(options))
    assert complete_options(tmp_path / "clip.dat", RecordingOptions()) == options


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        ("clip.toml", "widht = 400\n", "'width'"),
        ("clip.toml", "width = 400.5\n", "wanted int"),
        ("clip.toml", 'layout = "plane"\n', "'plain'"),
        ("clip.toml", "width = \n", "TOML"),
        ("config.yaml", "spike_w: wide\n", "wanted int"),
        ("config.yaml", "- 1\n", "list"),
        ("config.yaml", "a: [\n", "YAML"),
    ],
)
def test_broken_settings_are_named(tmp_path: Path, name: str, text: str, word: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=name) as caught:
        complete_options(tmp_path / "clip.dat", RecordingOptions())
    assert word in str(caught.value)

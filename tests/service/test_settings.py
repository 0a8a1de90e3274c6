from pathlib import Path

import pytest

from service.settings import Settings, read_settings
from vidar_det.errors import ConfigError


@pytest.fixture(autouse=True)
def no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIDAR_SETTINGS", raising=False)


def test_arguments_win_over_the_environment_and_that_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "service.toml"
    file.write_text('port = 1\nworkers = 2\nqueue = 3\nhosts = ["a", "b"]\nsync_bytes = "1MiB"\n')
    monkeypatch.setenv("VIDAR_SETTINGS", str(file))
    monkeypatch.setenv("VIDAR_PORT", "10")
    monkeypatch.setenv("VIDAR_WORKERS", "20")
    settings = read_settings({"port": 100, "workers": None})
    assert (settings.port, settings.workers, settings.queue) == (100, 20, 3)
    assert settings.hosts == ("a", "b")
    assert settings.sync_bytes == 1 << 20


def test_the_limits_are_those_of_the_contract() -> None:
    settings = Settings()
    assert settings.max_body_bytes == settings.max_decoded_bytes == 4 << 30
    assert settings.sync_bytes == 256 << 20
    assert settings.host == "127.0.0.1"


def test_lists_of_the_environment_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDAR_ORIGINS", "https://a.example, https://b.example,")
    assert read_settings().origins == ("https://a.example", "https://b.example")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"port": 70000}, "port"),
        ({"prot": 1}, "prot"),
        ({"engine": "magic"}, "engine"),
        ({"models": ""}, "models"),
        ({"max_body_bytes": "many"}, "max_body_bytes"),
    ],
)
def test_a_wrong_setting_is_named(given: dict[str, object], wanted: str) -> None:
    with pytest.raises(ConfigError, match=wanted):
        read_settings(given)


def test_a_secret_that_is_no_setting_is_not_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        read_settings({"keys_file": 3, "calls_at_once": "sesame"})
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("text", ["prot = 1", "port = ", None])
def test_a_file_that_says_nothing_sensible_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    file = tmp_path / "service.toml"
    if text is not None:
        file.write_text(text)
    monkeypatch.setenv("VIDAR_SETTINGS", str(file))
    with pytest.raises(ConfigError):
        read_settings()


@pytest.mark.parametrize(
    ("name", "meant"),
    [("VIDAR_MAX_DECODED_BYTE", "VIDAR_MAX_DECODED_BYTES"), ("vidar_worker", "VIDAR_WORKERS")],
)
def test_a_variable_that_is_misspelt_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, meant: str
) -> None:
    monkeypatch.setenv(name, "5")
    with pytest.raises(ConfigError, match=f"{name.upper()} is no setting; did you mean '{meant}'"):
        read_settings()


@pytest.mark.parametrize(
    "name", ["VIDAR_CACHE_DIR", "VIDAR_MUTATIONS", "VIDAR_DET_SERVICE_HOST", "VIDARX"]
)
def test_variables_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "5")
    assert read_settings() == Settings()

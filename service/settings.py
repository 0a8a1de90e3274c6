"""A file and the environment come in; everything the service may be told comes out, checked."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import ByteSize, Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from vidar_det.config import did_you_mean
from vidar_det.detector.spec import DEFAULT_WEIGHTS
from vidar_det.errors import ConfigError

ENVIRONMENT = "VIDAR_"
SETTINGS_FILE = "VIDAR_SETTINGS"
"""Environment variable that names a TOML file of settings."""

OTHER_NAMES = (
    SETTINGS_FILE,
    "VIDAR_CACHE_DIR",
    "VIDAR_GOLDEN_PRUNING",
    "VIDAR_GOLDEN_RECORDINGS",
    "VIDAR_MUTATIONS",
    "VIDAR_SCREENSHOTS",
    "VIDAR_SEED",
)
"""Environment variables of the library and of the tests: no settings."""

NEIGHBOUR = "VIDAR_DET_"
"""How Kubernetes begins the variables that it gives to all who run beside a service of our name."""

GIB = 1 << 30
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")

Names = Annotated[tuple[str, ...], NoDecode]


class Settings(BaseSettings):
    """What the service may be told, as ``VIDAR_NAME`` in the environment or ``name`` in TOML.

    Sizes are in bytes, or written ``256MiB``; lists are separated by commas. Arguments win over
    the environment, the environment wins over the file.

    Attributes:
        host: address to listen on.
        port: port to listen on; 0 takes any.
        insecure: listen beyond loopback although there are no keys.
        data_dir: where clips and jobs lie; one running service at a time.
        engine: where detectors run: ``inline``, in threads of the process, or on ``ray``.
        ray_address: of a Ray cluster that this machine is part of, such as ``auto``; empty starts
            one on this machine.
        ray_replicas: most copies of the detectors that the cluster holds; it holds one at least.
        models: weights to serve, ``NAME`` or ``NAME=PATH``; the first is the default.
        workers: requests whose windows are looked at side by side; on Ray by each copy.
        threads: that a detector computes with; where none are named its runtime chooses; 1 on Ray,
            where each copy takes so many processors.
        runtime: what runs the networks: ``torch``, ``openvino``, or ``auto``, which is OpenVINO
            where it is installed.
        precision: of the arithmetic: ``f32``; in OpenVINO also ``bf16`` or ``int8``.
        queue: requests that may wait for a worker before others are turned away; one key, or one
            address where there are no keys, takes half of all places at most.
        jobs_at_once: jobs that run side by side; they take turns with requests.
        jobs_queued: jobs that may wait before others are turned away.
        grace_s: seconds that requests and jobs may go on when the process is told to stop; jobs
            that do not end by then begin anew at the next start.
        max_body_bytes: of a request's body, as sent.
        max_decoded_bytes: of a request's body, decompressed.
        sync_bytes: largest clip that is answered with one JSON document at once; a larger one
            becomes a job.
        spool_bytes: of everything under ``data_dir``.
        max_pixels: of one plane; what a window costs in memory grows with it.
        max_age_s: seconds after which a clip that nobody used, or the result of a job, is deleted.
        client_timeout_s: longest pause of a client that is sending, or reading an answer; one that
            takes so much longer than at 4 KiB/s is let go too.
        hosts: names this service answers to in ``Host``, ports left out; ``*`` is any.
        origins: pages of other origins that may call, such as ``https://lab.example``.
        api_keys: ``NAME:SHA256`` of the keys that are let in.
        keys_file: file of such lines.
        calls_per_minute: of one key, or of one address where there are no keys.
        calls_at_once: of one key, or of one address where there are no keys.
        demo: offer the recording that comes along as clip ``demo``.

    Raises:
        ValidationError: an unknown key in the file, or a wrong value; see ``read_settings``.

    Example:
        >>> Settings(sync_bytes="1MiB").sync_bytes
        1048576
    """

    model_config = SettingsConfigDict(env_prefix=ENVIRONMENT, extra="forbid", frozen=True)

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    insecure: bool = False
    data_dir: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("vidar-det")))
    engine: Literal["inline", "ray"] = "inline"
    ray_address: str = ""
    ray_replicas: int = Field(8, ge=1)
    models: Names = Field((DEFAULT_WEIGHTS,), min_length=1)
    workers: int = Field(4, ge=1)
    threads: int | None = Field(None, ge=1)
    runtime: Literal["auto", "torch", "openvino"] = "auto"
    precision: Literal["f32", "bf16", "int8"] = "f32"
    queue: int = Field(32, ge=0)
    jobs_at_once: int = Field(1, ge=1)
    jobs_queued: int = Field(1000, ge=0)
    grace_s: float = Field(30.0, ge=0)
    max_body_bytes: ByteSize = Field(ByteSize(4 * GIB), ge=1)
    max_decoded_bytes: ByteSize = Field(ByteSize(4 * GIB), ge=1)
    sync_bytes: ByteSize = Field(ByteSize(256 << 20), ge=1)
    spool_bytes: ByteSize = Field(ByteSize(64 * GIB), ge=1)
    max_pixels: int = Field(1 << 20, ge=1)
    max_age_s: float = Field(7 * 24 * 3600.0, gt=0)
    client_timeout_s: float = Field(30.0, gt=0)
    hosts: Names = LOOPBACK
    origins: Names = ()
    api_keys: Names = ()
    keys_file: Path | None = None
    calls_per_minute: float = Field(6000.0, gt=0)
    calls_at_once: int = Field(64, ge=1)
    demo: bool = True

    @property
    def engine_places(self) -> int:
        """Requests that the engine holds, at work or waiting; half of them for one caller."""
        copies = self.ray_replicas if self.engine == "ray" else 1
        return self.workers * copies + self.queue

    @field_validator("models", "hosts", "origins", "api_keys", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the TOML file that ``VIDAR_SETTINGS`` names."""
        file = os.environ.get(SETTINGS_FILE)
        if not file:
            return init_settings, env_settings
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, Path(file))


def read_settings(given: Mapping[str, Any] | None = None) -> Settings:
    """Read the settings of the environment and its file.

    Args:
        given: settings that win over both; None counts as not given.

    Raises:
        ConfigError: an unknown or wrong setting, in the environment too, or a file that cannot be
            read. Values are not repeated in the message: one of them may be a secret.

    Example:
        >>> read_settings({"port": 9000, "host": None}).port
        9000
    """
    _check_names(os.environ)
    file = os.environ.get(SETTINGS_FILE)
    if file and not Path(file).is_file():
        raise ConfigError(f"{SETTINGS_FILE}: found no file {file}")
    try:
        return Settings(
            **{name: value for name, value in (given or {}).items() if value is not None}
        )
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()
        )
        raise ConfigError(f"settings: {wrong}") from error
    except ValueError as error:
        raise ConfigError(f"{SETTINGS_FILE} {file}: no readable TOML ({error})") from error


def _check_names(names: Iterable[str]) -> None:
    """Refuse a variable that is meant for us and that nobody would read."""
    known = [f"{ENVIRONMENT}{name.upper()}" for name in Settings.model_fields] + [*OTHER_NAMES]
    for name in map(str.upper, names):
        if name.startswith(ENVIRONMENT) and not name.startswith(NEIGHBOUR) and name not in known:
            raise ConfigError(f"{name} is no setting{did_you_mean(name, known)}")

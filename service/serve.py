"""Settings come in; a process that listens goes out, unless it would be open to strangers."""

import ipaddress
import os

import uvicorn

from service.app import create_app
from service.keys import new_key, read_keys
from service.log import log_to_stderr
from service.settings import ENVIRONMENT, Settings
from vidar_det.errors import ConfigError

GRACE_S = 30  # for requests under way when the process is told to stop


def serve(settings: Settings) -> None:
    """Serve until told to stop.

    Args:
        settings: what the service is told.

    Raises:
        ConfigError: an address beyond loopback, no keys, and nobody said ``insecure``.
        CheckpointError: weights that do not exist.
    """
    check_address(settings)
    app = create_app(settings)
    log_to_stderr()
    # Nothing of ours spills into the temporary folder; what a library may put there is spooled too.
    os.environ["TMPDIR"] = str(settings.data_dir.absolute() / "incoming")
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=GRACE_S,
    )


def make_key(name: str) -> str:
    """Make a key, and say what to do with it.

    Raises:
        ConfigError: the name is no name.
    """
    key, line = new_key(name)
    return f"{key}\n\nThe key is shown this once. Its line for VIDAR_KEYS_FILE:\n{line}"


def describe_settings(settings: Settings) -> str:
    """List every setting with its value, as lines of a shell; keys' digests are only counted."""
    lines = []
    for name, value in settings:
        if name == "api_keys":
            text = f"({len(value)} keys)"
        elif isinstance(value, tuple):
            text = ",".join(value)
        else:
            text = "" if value is None else str(value)
        lines.append(f"{ENVIRONMENT}{name.upper()}={text}")
    return "\n".join(lines)


def check_address(settings: Settings) -> None:
    """Refuse to be open to strangers by accident.

    Raises:
        ConfigError: an address beyond loopback, no keys, and nobody said ``insecure``.
    """
    if is_loopback(settings.host) or settings.insecure or read_keys(settings):
        return
    raise ConfigError(
        f"host {settings.host!r} is beyond loopback and there are no keys: make one with "
        "`vidar-det serve --new-key NAME` and name its file in VIDAR_KEYS_FILE, or say --insecure"
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"

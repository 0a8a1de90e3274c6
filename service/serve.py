"""Settings come in; a process that listens goes out, unless it would be open to strangers."""

import contextlib
import inspect
import ipaddress
import os
import re
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from types import FrameType

import uvicorn

from service.app import create_app
from service.connections import build_protocol
from service.guards import EVERY_ADDRESS
from service.in_place import PlacedRecording
from service.keys import new_key, read_keys
from service.log import log_to_stderr
from service.parts import Parts
from service.settings import ENVIRONMENT, Settings
from vidar_det.errors import ConfigError, OutputError

CLOSING_S = 2  # for requests that took longer than the grace, before they are cut off


def serve(
    settings: Settings,
    placed: Sequence[PlacedRecording] = (),
    announce: Callable[[str], None] | None = None,
) -> None:
    """Serve until told to stop.

    Args:
        settings: what the service is told.
        placed: recordings to be shown where they lie.
        announce: told the service's address once it listens; the log keeps to failures then.

    Raises:
        ConfigError: an address beyond loopback, no keys, and nobody said ``insecure``.
        CheckpointError: weights that do not exist.
        OutputError: it cannot begin: the port is taken, or another service runs on the folder; or
            it cannot go on.
    """
    check_address(settings)
    app = create_app(settings, placed=placed)
    log_to_stderr(failures_only=announce is not None)
    # Ray's sockets need a short path.
    os.environ.setdefault("RAY_TMPDIR", tempfile.gettempdir())
    # Nothing of ours spills into the temporary folder; what a library may put there is spooled too.
    os.environ["TMPDIR"] = str(settings.data_dir.absolute() / "incoming")
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="asyncio",  # whatever else is installed
        http=build_protocol(settings.client_timeout_s),  # httptools: calm about damaged requests
        access_log=False,
        log_level="info" if announce is None else "warning",
        server_header=False,
        proxy_headers=False,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=CLOSING_S,
    )
    server = Server(config, app.state.parts, announce)
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C, once everything has ended
        server.run()
    if not server.started:
        raise OutputError(f"cannot listen on {settings.host}:{settings.port}; its log says why")
    if not server.was_told:
        raise OutputError("a part of the service ended; its log says why")


class Server(uvicorn.Server):
    """A server that lets what is under way end, before it closes its door.

    Until then new requests are told to come back (503), which a closed door does not do. A second
    signal ends it at once.

    Args:
        config: of uvicorn.
        parts: of the service.
        announce: told the address once it listens.

    Attributes:
        was_told: a signal asked it to stop.
    """

    def __init__(
        self, config: uvicorn.Config, parts: Parts, announce: Callable[[str], None] | None = None
    ) -> None:
        super().__init__(config)
        self._parts, self._announce = parts, announce
        self._until, self.was_told = 0.0, False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        if self.started and self._announce is not None:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            host = "127.0.0.1" if host in EVERY_ADDRESS else host
            self._announce(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop; called by a signal."""
        super().handle_exit(sig, frame)
        self.was_told = True
        if not self._parts.drain.is_on:
            self._parts.drain.begin()
            self.should_exit = False

    async def on_tick(self, counter: int) -> bool:
        """Stop once nothing is under way, or it took too long; called ten times a second."""
        drain, jobs = self._parts.drain, self._parts.jobs
        if drain.is_on:
            self._until = self._until or time.monotonic() + self._parts.settings.grace_s
            is_idle = not drain.under_way and not jobs.running
            self.should_exit = self.should_exit or is_idle or time.monotonic() > self._until
        return await super().on_tick(counter)


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


def explain_settings() -> str:
    """List every setting with its default and what it is, for ``serve --help``."""
    told = inspect.cleandoc(Settings.__doc__ or "").partition("Attributes:\n")[2]
    told = re.sub(r"\n {8}", " ", told.partition("\n\n")[0])
    words = dict(line.strip().split(": ", 1) for line in told.replace("``", "").splitlines())
    defaults = describe_settings(Settings.model_construct()).splitlines()
    return "\n".join(
        f"  {default}\n      {words.get(name, '')}"
        for name, default in zip(Settings.model_fields, defaults, strict=True)
    )


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

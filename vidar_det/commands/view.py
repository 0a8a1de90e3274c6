"""A recording comes in; a browser that shows it goes out, and a service behind it."""

import socket
import threading
import webbrowser
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from service.in_place import prepare_recording
from service.serve import serve
from service.settings import Settings, read_settings
from service.spool import Spool
from vidar_det.detector.spec import DEFAULT_WEIGHTS
from vidar_det.detector.weights_file import named_weights
from vidar_det.errors import OutputError
from vidar_det.spikes.sidecar import RecordingOptions

MOST_MODELS = 4
"""Loaded where nobody says which: each costs a second at the start."""


def view_recording(
    recording: Path | None,
    options: RecordingOptions,
    *,
    given: Mapping[str, Any],
    weights: Sequence[str] = (),
    announce: Callable[[str], None],
) -> None:
    """Serve the viewer until told to stop; the recording is shown where it lies.

    Args:
        recording: file or folder, which may grow; None shows the list of stored clips.
        options: what the recording does not say.
        given: settings of the service, such as its port; None counts as not given.
        weights: what can be looked with; by default what comes along.
        announce: told the page's address once it can be opened.

    Raises:
        VidarError: the recording cannot be opened, the weights not found, the port not taken.
    """
    settings = read_settings({**given, "models": tuple(weights) or default_models()})
    check_port(settings.host, settings.port)
    placed = []
    if recording is not None:
        placed.append(prepare_recording(recording, options, settings.max_pixels))
    settings = settings.model_copy(update={"data_dir": free_folder(settings)})
    fragment = f"#clip={placed[0].clip_id}" if placed else ""
    serve(settings, placed, lambda address: announce(f"{address}/{fragment}"))


def default_models() -> tuple[str, ...]:
    """Name the weights that come along, the usual ones first.

    Example:
        >>> default_models()[0]
        'nano'
    """
    others = [name for name in named_weights() if name != DEFAULT_WEIGHTS]
    return (DEFAULT_WEIGHTS, *others)[:MOST_MODELS]


def check_port(host: str, port: int) -> None:
    """Find out before anything is loaded whether somebody can listen there.

    Raises:
        OutputError: nobody can.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        words = "choose another --port, or leave it out for a free one"
        raise OutputError(f"cannot listen on {host}:{port}: {error.strerror}; {words}") from error


def free_folder(settings: Settings) -> Path:
    """Find a folder that no other service runs on: the usual one, or one below it."""
    for folder in _folders(settings.data_dir.absolute()):
        spool = Spool(folder, settings.spool_bytes)
        try:
            spool.open()
        except OutputError as error:
            if "another service" not in str(error):
                raise
            continue
        spool.close()
        return folder
    raise AssertionError  # there is no end of folders


def open_browser(url: str) -> None:
    """Open a page, without waiting for the browser."""
    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()


def _folders(home: Path) -> Iterator[Path]:
    yield home
    yield from (home / "viewers" / str(number) for number in count(1))

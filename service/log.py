"""What happens comes in; JSON goes out, one object on one line."""

import json
import logging
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

LOGGER = logging.getLogger("vidar_det.service")

SOCKET_LINES = ('%s - "WebSocket', "connection ", "ASGI callable returned without completing")
"""How uvicorn begins to tell of sockets: the last is an error where a handshake was answered."""


def log_line(entry: Mapping[str, Any]) -> None:
    """Write one line; what is None is left out."""
    line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), **entry}
    LOGGER.info(json.dumps({key: value for key, value in line.items() if value is not None}))


def log_failure(request_id: str) -> None:
    """Write the failure that is being handled, whole: clients are told the request's id only."""
    log_line({"request_id": request_id, "failure": traceback.format_exc()})


def log_to_stderr(failures_only: bool = False) -> None:
    """Send the lines to stderr as they are."""
    handler = logging.StreamHandler(sys.stderr)
    if failures_only:
        handler.addFilter(lambda record: '"failure": ' in record.getMessage())
    handler.setFormatter(logging.Formatter("%(message)s"))
    LOGGER.handlers, LOGGER.propagate = [handler], False
    LOGGER.setLevel(logging.INFO)
    logging.getLogger("uvicorn.error").addFilter(is_no_socket_line)


def is_no_socket_line(record: logging.LogRecord) -> bool:
    """Whether we do not say it ourselves: each socket has a line of ours."""
    return not str(record.msg).startswith(SOCKET_LINES)

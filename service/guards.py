"""A request of any page or name comes in; only those meant for this service go on.

A page of another site reaches a service on loopback in two ways: it sends a request across
origins (``Origin`` tells), or rebinds its own name to 127.0.0.1 (``Host`` tells). Both headers are
checked on every route, whatever CORS says.
"""

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.problems import Problem, refuse
from service.settings import Settings

EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - compared with, not listened on

HOST = re.compile(r"(?P<name>[a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{0,5})?")

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


class SecurityHeaders:
    """Adds the headers that keep browsers from doing more than asked; a route may set its own.

    Args:
        app: the layers below.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; see ASGI."""

        async def with_headers(message: Message) -> None:
            if message["type"].endswith("http.response.start"):
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, with_headers)


class SiteGuard:
    """Refuses other names in ``Host`` and other pages in ``Origin``.

    Args:
        app: the layers below.
        hosts: names to answer to, without ports; ``*`` is any.
        origins: pages beside the service's own that may call.
    """

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...], origins: tuple[str, ...]) -> None:
        self.app = app
        self.hosts = frozenset(host.lower() for host in hosts)
        self.origins = frozenset(origin.lower() for origin in origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; see ASGI."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        problem = self._check(headers.getlist("host"), headers.getlist("origin"))
        if problem is not None:
            await refuse(problem, scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _check(self, hosts: list[str], origins: list[str]) -> Problem | None:
        if len(hosts) != 1 or len(origins) > 1:
            return Problem(400, "malformed-request", "wanted one Host and at most one Origin")
        host = hosts[0].lower()
        if "*" not in self.hosts and _without_port(host) not in self.hosts:
            detail = "this service does not answer to that Host; VIDAR_HOSTS names those it does"
            return Problem(403, "host-refused", detail)
        if origins and not self._is_own(origins[0].lower(), host):
            detail = "pages of that Origin may not call; VIDAR_ORIGINS names those that may"
            return Problem(403, "origin-refused", detail)
        return None

    def _is_own(self, origin: str, host: str) -> bool:
        return origin in self.origins or origin in (f"http://{host}", f"https://{host}")


def own_names(settings: Settings) -> tuple[str, ...]:
    """Names to answer to: those that were listed, and the one address that is listened on.

    Example:
        >>> own_names(Settings(hosts="lab.example", host="192.0.2.1"))
        ('lab.example', '192.0.2.1')
        >>> own_names(Settings(hosts="lab.example", host="0.0.0.0"))
        ('lab.example',)
    """
    if settings.host in EVERY_ADDRESS:
        return settings.hosts
    return (*settings.hosts, f"[{settings.host}]" if ":" in settings.host else settings.host)


def _without_port(host: str) -> str:
    """Cut the port off ``name:port`` or ``[address]:port``; nothing is left of anything else.

    Example:
        >>> _without_port("localhost:8000"), _without_port("[::1]:8000"), _without_port("a@b")
        ('localhost', '[::1]', '')
    """
    match = HOST.fullmatch(host)
    return match["name"] if match else ""

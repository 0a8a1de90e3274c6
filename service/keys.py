"""A key comes in with a request; its holder's name goes on, or the request goes no further."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Receive, Scope, Send

from service.passes import COOKIE, Passes
from service.problems import Problem, refuse
from service.settings import Settings
from service.sign_in import sign_in_page
from vidar_det.errors import ConfigError

OPEN_PATHS = "/v2/health/"
"""What begins so needs no key: probes have none."""

PAGES = ("/", "/docs")
"""What people open: a browser without a key is asked for one there."""

KEY_LINE = re.compile(r"(?P<name>[A-Za-z0-9._-]{1,64}):(?P<digest>[0-9a-fA-F]{64})")


@dataclass(frozen=True)
class KeyRing:
    """The keys that are let in, as SHA-256 digests: a key made here has 256 random bits.

    Attributes:
        digests: by name of the holder.

    Example:
        >>> key, line = new_key("lab")
        >>> KeyRing.from_lines([line], "here").holder(key)
        'lab'
    """

    digests: tuple[tuple[str, bytes], ...] = ()

    @classmethod
    def from_lines(cls, lines: list[str], source: str) -> "KeyRing":
        """Read ``NAME:SHA256`` lines; empty lines and those that begin with ``#`` say nothing.

        Raises:
            ConfigError: another line (which is not repeated), or a name that comes twice.
        """
        found: dict[str, bytes] = {}
        for number, line in enumerate(lines, start=1):
            text = line.strip()
            if not text or text.startswith("#"):
                continue
            match = KEY_LINE.fullmatch(text)
            if match is None:
                raise ConfigError(f"{source}: line {number} is no NAME:SHA256 (64 hex digits)")
            if match["name"] in found:
                raise ConfigError(f"{source}: line {number}: {match['name']!r} has a key already")
            found[match["name"]] = bytes.fromhex(match["digest"])
        return cls(tuple(found.items()))

    def __bool__(self) -> bool:
        return bool(self.digests)

    def holder(self, key: str) -> str | None:
        """Name the holder of a key; takes as long whichever key it is, and if it is none."""
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
        found = None
        for name, known in self.digests:
            if hmac.compare_digest(digest, known):
                found = name
        return found


def read_keys(settings: Settings) -> KeyRing:
    """Collect the keys of the settings and of the file they name.

    Raises:
        ConfigError: a file that cannot be read, or a line that is no key.
    """
    lines = list(settings.api_keys)
    source = "VIDAR_API_KEYS"
    if settings.keys_file is not None:
        source = f"{source}, {settings.keys_file}"
        try:
            lines += settings.keys_file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{settings.keys_file}: cannot be read ({error})") from error
    return KeyRing.from_lines(lines, source)


def new_key(name: str) -> tuple[str, str]:
    """Make a key.

    Args:
        name: of the holder: letters, digits, ``.``, ``_``, ``-``.

    Returns:
        The key, which is nowhere kept, and its line for the keys file.

    Raises:
        ConfigError: another character in the name.
    """
    key = f"vd_{secrets.token_urlsafe(32)}"
    line = f"{name}:{hashlib.sha256(key.encode()).hexdigest()}"
    if KEY_LINE.fullmatch(line) is None:
        raise ConfigError(f"found name {name!r}, wanted 1 to 64 of letters, digits, '.', '_', '-'")
    return key, line


class KeyGuard:
    """Lets those in who have a key; everybody, where there are no keys.

    Args:
        app: the layers below; they find in the request's state the caller's name (``caller``), and
            whether it was a key that was shown, not a pass (``has_key``).
        keys: the keys.
        passes: what holders of a key were given.
    """

    def __init__(self, app: ASGIApp, keys: KeyRing, passes: Passes) -> None:
        self.app, self.keys, self.passes = app, keys, passes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; see ASGI."""
        is_ours = scope["type"] in ("http", "websocket")
        if not is_ours or scope["path"].startswith(OPEN_PATHS):
            await self.app(scope, receive, send)
            return
        client = scope.get("client")
        caller: str | None = f"address {client[0]}" if client else "address unknown"
        has_key = True  # as good as
        if self.keys:
            has_key = bool(_presented(Headers(scope=scope)))
            caller = self._holder(scope)
        if caller is None and _wants_page(scope):
            await sign_in_page()(scope, receive, send)
            return
        if caller is None:
            await refuse(key_wanted(), scope, receive, send)
            return
        scope.setdefault("state", {}).update(caller=caller, has_key=has_key)
        await self.app(scope, receive, send)

    def _holder(self, scope: Scope) -> str | None:
        """Name who shows a key, or a ticket for this one path, or the cookie."""
        headers = Headers(scope=scope)
        shown = _presented(headers)
        if shown:
            return self.keys.holder(shown)
        ticket = scope.get("state", {}).get("ticket")
        if ticket is not None and scope.get("method", "GET") == "GET":
            return self.passes.holder(ticket, scope["path"])
        given = cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
        return self.passes.holder(given, COOKIE)


def key_wanted() -> Problem:
    """The 401 that says what to show."""
    return Problem(
        401,
        "key-wanted",
        "wanted a key this service knows, as Authorization: Bearer or X-API-Key",
        headers={"WWW-Authenticate": 'Bearer realm="vidar-det"'},
    )


def _wants_page(scope: Scope) -> bool:
    accepted = Headers(scope=scope).get("accept", "")
    return scope["type"] == "http" and scope["path"] in PAGES and "text/html" in accepted


def _presented(headers: Headers) -> str:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")

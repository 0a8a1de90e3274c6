"""A browser without a key comes in; a page that asks for one goes out, still as a 401."""

import base64
import hashlib

from starlette.responses import HTMLResponse

_STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { display: grid; place-items: center; min-height: 100vh; margin: 0; }
form { display: grid; gap: .75rem; width: min(20rem, 85vw); }
input, button { font: inherit; padding: .5rem .75rem; }
"""

_SCRIPT = """
const form = document.querySelector("form"), said = document.querySelector("[role=status]");
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const headers = { Authorization: `Bearer ${form.elements.key.value.trim()}` };
  const answer = await fetch("/v1/session", { method: "POST", headers }).catch(() => null);
  if (answer && answer.ok) location.reload();
  else said.textContent = answer ? "This key is not known here." : "The service does not answer.";
});
"""

_PAGE = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>vidar-det: key wanted</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>
<body><main><form><h1>vidar-det</h1><label for="key">Key</label>
<input id="key" name="key" type="password" autocomplete="current-password" required autofocus>
<button>Sign in</button><p role="status"></p></form></main><script>{_SCRIPT}</script></body></html>
"""


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_digest(_STYLE)}'; "
    f"script-src 'sha256-{_digest(_SCRIPT)}'; connect-src 'self'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'"
)


_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "WWW-Authenticate": 'Bearer realm="vidar-det"',
}


def sign_in_page() -> HTMLResponse:
    """Ask for a key; ``POST /v1/session`` turns it into a cookie."""
    return HTMLResponse(_PAGE, 401, headers=_HEADERS)

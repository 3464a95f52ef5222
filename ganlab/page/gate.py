"""The gate before Gradio: which addresses exist, how large a request may be, and what a page may load.

Gradio has addresses for files, uploads, proxies, monitoring and more. The page needs none of them: they do not exist.
"""

from __future__ import annotations

import re
from typing import Any

from ganlab.page.wish import MOST_BYTES

PAGES = re.compile(
    r"/|/config/?|/theme\.css|/favicon\.ico|/(assets|static)(/[\w-][\w.-]*)+"
    r"|/gradio_api/(queue/(join|data)|heartbeat/\w+|theme\.css|info/?|startup-events|cancel)/?"
)
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; font-src 'self' data:; frame-ancestors 'none'; form-action 'none'"
)
"""The content policy of the page: a browser may load only what this server has."""
HEADERS = {
    "content-security-policy": POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
MOST_BODY = MOST_BYTES * 3 // 2  # a picture in base64, and the other fields


class Gate:
    """ASGI middleware that answers 404 for any other address and 413 for a body that is too large."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] != "http" or not PAGES.fullmatch(scope["path"]):
            await _refuse(send, 404)
        elif _size(scope) > MOST_BODY:
            await _refuse(send, 413)
        else:
            await self.app(scope, receive, _with_headers(send))


def _size(scope: Any) -> float:
    """Return the size of the body in bytes; infinity if a body comes without a size."""
    headers = dict(scope["headers"])
    length = headers.get(b"content-length", b"")
    if length.isdigit():
        return int(length)
    return float("inf") if b"transfer-encoding" in headers or length else 0


async def _refuse(send: Any, status: int) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


def _with_headers(send: Any) -> Any:
    more = [(name.encode(), value.encode()) for name, value in HEADERS.items()]

    async def send_more(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *more]}
        await send(message)

    return send_more

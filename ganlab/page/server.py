"""Serve the page on one address, with everything switched off that the page does not need."""

from __future__ import annotations

import errno
import socket as sockets
from importlib.resources import files
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from ganlab.errors import UserError

if TYPE_CHECKING:
    import gradio as gr

FONT = ["system-ui", "sans-serif"]
MONO = ["ui-monospace", "monospace"]


def listen(host: str, port: int) -> sockets.socket:
    """Return a socket that listens. Raise `UserError` if the address cannot be had."""
    try:
        family = sockets.AF_INET6 if ":" in host else sockets.AF_INET
        return sockets.create_server((host, port), family=family)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UserError(f"`port` {port} is in use: pass port=0 for a free one") from error
        raise UserError(f"`host` {host} with port {port} cannot be used: {error.strerror or error}") from error


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches the address.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def serve(page: gr.Blocks, socket: sockets.socket, host: str) -> None:
    """Serve the page until the user interrupts. Print its address first."""
    import uvicorn

    port = socket.getsockname()[1]
    name = f"[{host}]" if ":" in host else host
    print(f"the page is on http://{name}:{port} (Ctrl-C ends it)", flush=True)
    config = uvicorn.Config(application(page, host), log_level="warning", timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[socket])


def application(page: gr.Blocks, host: str) -> Any:
    """Return the ASGI application: Gradio behind the gate. A loopback host answers to its own names only."""
    import gradio as gr
    from fastapi import FastAPI
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from ganlab.page.gate import Gate
    from ganlab.page.wish import MOST_WAITING

    names = ["127.0.0.1", "localhost", "[::1]", host] if is_loopback(host) else ["*"]
    outer = FastAPI(
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=names), Middleware(Gate)],
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    page.queue(max_size=MOST_WAITING, api_open=False)
    return gr.mount_gradio_app(
        outer,
        page,
        path="/",
        allowed_paths=[],
        blocked_paths=["/"],
        show_error=False,
        max_file_size=1,
        ssr_mode=False,
        pwa=False,
        footer_links=[],
        enable_monitoring=False,
        mcp_server=False,
        theme=gr.themes.Default(primary_hue="teal", font=FONT, font_mono=MONO),
        css=(files("ganlab.page") / "page.css").read_text(encoding="utf-8"),
    )

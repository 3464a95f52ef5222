"""What the server refuses: files, uploads, other addresses, large bodies, other names, and what is out of bounds."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

SECRET = "root:"


def ask(
    page: str, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> tuple[int, str, http.client.HTTPMessage]:
    """The status, the text and the headers of an answer. The path is sent as it is, dots included."""
    with closing(http.client.HTTPConnection(urlsplit(page).netloc, timeout=60)) as connection:
        connection.request(method, path, body, dict(headers or {}))
        with connection.getresponse() as answer:
            return answer.status, answer.read().decode(errors="replace"), answer.headers


def event(page: str, output: str, data: list[Any]) -> str:
    """The stream of answers to an event of the form that writes into `output`."""
    config = json.loads(ask(page, "GET", "/config")[1])
    component = next(one["id"] for one in config["components"] if output in (one["props"].get("elem_classes") or []))
    number = next(one["id"] for one in config["dependencies"] if component in one["outputs"])
    session = uuid4().hex
    body = json.dumps({"data": data, "fn_index": number, "session_hash": session}).encode()
    status, text, _ = ask(page, "POST", "/gradio_api/queue/join", body, {"content-type": "application/json"})
    if status != 200:
        return text
    return ask(page, "GET", f"/gradio_api/queue/data?session_hash={session}")[1]


FILES = (
    "/gradio_api/file=/etc/passwd",
    "/gradio_api/file/etc/passwd",
    "/file=/etc/passwd",
    "/gradio_api/file=file:///etc/passwd",
    "/gradio_api/file=http://127.0.0.1:9/",
    "/gradio_api/proxy=http://127.0.0.1:9/",
    "/static/../../../../../../../../etc/passwd",
    "/static/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "/assets/..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc/passwd",
    "/assets//etc/passwd",
    "/static//etc/passwd",
    "/gradio_api/custom_component/1/client/component/../../../../etc/passwd",
    "/gradio_api/stream/a/b/1/playlist-file",
    "/svelte/../../../../etc/passwd",
    "/gradio_api/run-history/buckets",
    "/gradio_api/vibe-code/",
    "/monitoring",
    "/docs",
    "/openapi.json",
)


@pytest.mark.parametrize("path", FILES)
def test_no_file_of_the_machine_is_read(page: str, path: str) -> None:
    status, text, _ = ask(page, "GET", path)
    assert status == 404 and SECRET not in text


def test_a_file_in_a_field_is_not_read(page: str) -> None:
    """Gradio copies what a field names as a file; here no field may."""
    file = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}, "orig_name": "a.png"}
    for value in (file, [file], "/etc/passwd", "file:///etc/passwd", "data:image/png;base64,cm9vdDo="):
        text = event(page, "found", [value, "a red apple", 20])
        assert '"success":false' in text.replace(" ", "") and SECRET not in text


def test_nothing_is_uploaded_and_no_function_is_called_by_name(page: str) -> None:
    for path in ("/gradio_api/upload", "/gradio_api/run/predict", "/gradio_api/call/drawn", "/login"):
        assert ask(page, "POST", path, b"{}", {"content-type": "application/json"})[0] == 404


def test_a_large_body_is_refused_before_it_is_read(page: str) -> None:
    headers = {"content-type": "application/json", "content-length": str(10**9)}
    with closing(http.client.HTTPConnection(urlsplit(page).netloc, timeout=60)) as connection:
        connection.putrequest("POST", "/gradio_api/queue/join")
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders(b"{}")
        with connection.getresponse() as answer:
            assert answer.status == 413
    chunked = {"content-type": "application/json", "transfer-encoding": "chunked"}
    assert ask(page, "POST", "/gradio_api/queue/join", b"0\r\n\r\n", chunked)[0] == 413


def test_the_loopback_address_has_no_other_name(page: str) -> None:
    """A page of another site that makes its name mean 127.0.0.1 gets nothing."""
    assert ask(page, "GET", "/", headers={"host": "evil.example"})[0] == 400
    assert ask(page, "GET", "/")[0] == 200


def test_the_page_may_load_from_its_own_server_only(page: str) -> None:
    status, text, headers = ask(page, "GET", "/")
    assert status == 200 and "default-src 'self'" in headers["content-security-policy"]
    for name in ("<script src=", '<link rel="stylesheet" href=', "@import", "fonts.g"):
        assert f"{name}http" not in text and f'{name}"http' not in text


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (["a red apple", 33, 0, 1, False], ""),
        (["a red apple", 10**9, 0, 1, False], ""),
        (["a red apple", 2.5, 0, 1, False], ""),
        (["a red apple", 1, -1, 1, False], ""),
        (["a red apple", 1, 2**40, 1, False], ""),
        (["a red apple", 1, 0, 9, False], ""),
        (["a" * 301, 1, 0, 1, False], "300 letters"),
    ],
)
def test_what_is_out_of_bounds_is_refused(page: str, data: list[Any], said: str) -> None:
    text = event(page, "drawn", data)
    assert '"success":false' in text.replace(" ", "") and said in text and "data:image" not in text
    assert "Traceback" not in text and "/ganlab/" not in text


def test_what_is_within_bounds_is_drawn(page: str) -> None:
    text = event(page, "drawn", ["a red apple", 1, 0, 1, False])
    assert '"success":true' in text.replace(" ", "") and "data:image/png;base64," in text

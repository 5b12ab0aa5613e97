"""Requests forged by other sites, recognised by what browsers report about them."""

from typing import Any
from urllib.parse import urlencode

import pytest
from fastapi import Request
from starlette.exceptions import HTTPException

from solve_api.http.csrf import refuse_other_sites, sent_token
from solve_runtime.http.problem import Problem

HERE = "counts.example.org"


def request_of(headers: dict[str, str], body: bytes = b"", scheme: str = "http") -> Request:
    """As uvicorn would hand it on."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    encoded = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
    return Request(
        {
            "type": "http",
            "app": None,
            "method": "POST",
            "path": "/",
            "query_string": b"",
            "scheme": scheme,
            "headers": encoded,
        },
        receive,
    )


def is_refused(scheme: str = "http", **headers: str) -> bool:
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        refuse_other_sites(request_of({"host": HERE, **said}, scheme=scheme))
    except Problem as problem:
        return (problem.status, problem.kind) == (403, "csrf")
    return False


@pytest.mark.parametrize(
    ("site", "refused"),
    [
        ("same-origin", False),
        ("none", False),
        ("same-site", True),
        ("cross-site", True),
        ("", True),
        ("SAME-ORIGIN", True),
    ],
)
def test_what_the_browser_says_of_the_site_counts(site: str, refused: bool) -> None:
    assert is_refused(sec_fetch_site=site) is refused


def test_who_says_nothing_is_no_browser() -> None:
    assert not is_refused()


@pytest.mark.parametrize(
    ("origin", "host", "refused"),
    [
        (f"https://{HERE}", HERE, False),
        (f"http://{HERE}", HERE, False),
        (f"https://{HERE.upper()}", HERE, False),
        (f"https://{HERE}:443", HERE, False),
        (f"https://{HERE}", f"{HERE}:443", False),
        (f"http://{HERE}:8000", f"{HERE}:8000", False),
        ("http://[::1]:8000", "[::1]:8000", False),
        (f"http://{HERE}:8000", HERE, True),
        (f"http://{HERE}", f"{HERE}:8000", True),
        (f"http://{HERE}:8001", f"{HERE}:8000", True),
        (f"https://{HERE}:80", HERE, True),
        (f"https://evil.{HERE}", HERE, True),
        (f"https://{HERE}.evil.example", HERE, True),
        (f"https://{HERE}@evil.example", HERE, True),
        ("https://evil.example", HERE, True),
        ("null", HERE, True),
        ("", HERE, True),
        ("null", "", True),
        ("file://", "", True),
        (f"https://{HERE}:port", HERE, True),
        (f"https://{HERE}:99999", HERE, True),
        ("https://[::1", HERE, True),
        (f"chrome-extension://{HERE}", f"{HERE}:8000", True),
    ],
)
def test_the_origin_must_be_the_host_that_was_asked_with_its_port(origin: str, host: str, refused: bool) -> None:
    assert is_refused(origin=origin, host=host) is refused


def test_a_page_without_tls_is_another_site_to_one_with_tls() -> None:
    assert not is_refused("https", origin=f"https://{HERE}")
    assert is_refused("https", origin=f"http://{HERE}")
    # where a proxy is not believed, https may look like http: then the host alone counts
    assert not is_refused("http", origin=f"https://{HERE}")


def test_one_word_of_another_site_is_enough() -> None:
    assert is_refused(sec_fetch_site="same-origin", origin="https://evil.example")
    assert is_refused(sec_fetch_site="cross-site", origin=f"https://{HERE}")


async def test_the_token_is_in_the_header_or_in_a_form() -> None:
    form = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    body = urlencode({"csrf_token": "of the form", "other": "x"}).encode()
    assert await sent_token(request_of({"x-csrf-token": "of the header"})) == "of the header"
    assert await sent_token(request_of(form, body)) == "of the form"
    assert await sent_token(request_of({**form, "x-csrf-token": "of the header"}, body)) == "of the header"
    assert await sent_token(request_of(form, b"other=x")) == ""


async def test_a_form_of_several_parts_may_have_the_token_but_no_file() -> None:
    def part(more: str) -> bytes:
        return f'--b\r\nContent-Disposition: form-data; name="csrf_token"{more}\r\n\r\nsecret\r\n--b--\r\n'.encode()

    several = {"content-type": "multipart/form-data; boundary=b"}
    assert await sent_token(request_of(several, part(""))) == "secret"
    with pytest.raises(HTTPException) as refused:
        await sent_token(request_of(several, part('; filename="f"')))
    assert refused.value.status_code == 400


async def test_a_body_of_another_kind_has_no_token() -> None:
    """What a form of another site can send as text/plain is not read as JSON or as a form."""
    for kind in ("application/json", "text/plain", ""):
        assert await sent_token(request_of({"content-type": kind}, b"csrf_token=x")) == ""

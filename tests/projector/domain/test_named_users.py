"""Users whom a record names that is no event: an erasure must find them."""

import json
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solve_projector.domain.named_users import MOST_USERS, named_users

EVENT = {"user_id": "u-1", "username": "Ada"}
WIRE = b"\0\0\0\0\x07"  # Confluent's wire format, schema 7


@pytest.mark.parametrize(
    "value",
    [
        json.dumps(EVENT).encode(),
        json.dumps(EVENT).encode("utf-16"),
        rb'{"user\u005fid": "u\u002d1"}',
        json.dumps({"specversion": "1.0", "data": EVENT}).encode(),
        json.dumps({"payload": {"before": None, "after": EVENT}}).encode(),
        b'{"username": "Ada", "user_id": "u-1", "registered_at',
        rb'{"user_id": "u\u002d1", broken',
        b'[{"user_id": "u-1"}, {"user_id": "u-1"}]',
        WIRE + json.dumps(EVENT).encode(),
        WIRE + rb'{"user\u005fid": "u-1"}',
        WIRE + b'{"user_id": "u-1", "username": "A',
        b"{'user_id': 'u-1', 'username': 'Ada'}",
        rb'{"user\u005fid": "u-1", "username": "A',
        json.dumps(json.dumps(EVENT)).encode(),
        json.dumps({"schema": {}, "payload": json.dumps(EVENT)}).encode(),
        json.dumps({"after": ["x", [json.dumps({"said": json.dumps(EVENT)})]]}).encode(),
        json.dumps({"payload": json.dumps(EVENT)}).encode()[:-5],
        json.dumps({"payload": json.dumps({"said": json.dumps(EVENT)})}).encode()[:-5],
        json.dumps({"specversion": "1.0", "data_base64": b64encode(json.dumps(EVENT).encode()).decode()}).encode(),
    ],
)
def test_the_value_names_the_user_however_it_is_written(value: bytes) -> None:
    assert named_users(b"somebody else", value) == ["u-1"]


@pytest.mark.parametrize("value", [None, b"", b"\xff\xfe", b"Ada", b"{}", b'{"user_id": null}', b'{"user_id": {}}'])
@pytest.mark.parametrize(
    "key",
    [
        b"u-1",
        b'"u-1"',
        b'{"user_id": "u-1"}',
        WIRE + b"u-1",
        WIRE + b'"u-1"',
        WIRE + b'{"user_id": "u-1"}',
        b'{"id": "u-1"}',
        b'{"schema": {"type": "struct"}, "payload": {"id": "u-1"}}',
    ],
)
def test_without_one_the_key_does(key: bytes, value: bytes | None) -> None:
    assert named_users(key, value) == ["u-1"]


def test_a_list_names_all_of_its_users_and_the_outermost_object_comes_first() -> None:
    assert sorted(named_users(None, b'[{"user_id": "a"}, {"user_id": 47020}]')) == ["47020", "a"]
    assert named_users(None, b'{"user_id": "out", "by": {"user_id": "in"}}') == ["out", "in"]


@pytest.mark.parametrize("found", ["", "x" * 201, "a\x00b", "\ud800", True, 1.5, None, [1]])
def test_what_is_no_id_names_nobody(found: object) -> None:
    assert named_users(None, json.dumps({"user_id": found}).encode()) == []


def test_an_id_keeps_what_was_escaped_in_it() -> None:
    user_id = """O'Neil "\\" \u00fc"""
    assert named_users(None, json.dumps({"user_id": user_id}).encode()[:-1]) == [user_id]
    assert named_users(None, json.dumps({"payload": json.dumps({"user_id": user_id})}).encode()[:-2]) == [user_id]
    assert named_users(None, rb"{'user_id': 'O\'Neil'}") == ["O'Neil"]


@pytest.mark.parametrize("end", [b"]", b""])
def test_one_record_names_a_bounded_number(end: bytes) -> None:
    many = b"[" + b",".join(b'{"user_id": "%d"}' % number for number in range(60_000)) + end
    assert len(named_users(None, many)) == MOST_USERS
    assert named_users(None, b"[" + b'{"user_id": "u"},' * 60_000) == ["u"]


@given(st.binary() | st.none(), st.binary() | st.none())
def test_any_bytes_can_be_asked(key: bytes | None, value: bytes | None) -> None:
    assert all(user_id.encode() for user_id in named_users(key, value))


@pytest.mark.parametrize("value", [b"[" * 1_000_000, b"\0" * 1_000_000, b"\\" * 1_000_000, b'"user_id":"' * 90_000])
def test_deeply_nested_and_repeated_bytes_can_be_asked(value: bytes) -> None:
    assert named_users(b"u-1", value) == ["u-1"]

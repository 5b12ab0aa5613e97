"""Bodies of any form and size as lines and objects, with the memory that they may take."""

import gzip
import json
import random
from collections.abc import AsyncIterator, Sequence

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from solve_sources.clics.http_lines import PIECE_BYTES, Malformed, decompressed, lines_and_lulls, objects
from solve_sources.clics.seen_ids import SeenIds
from solve_sources.errors import FeedError

LONGEST = 1_000
GZIP = {"content-encoding": "gzip"}


async def in_chunks(content: bytes, sizes: Sequence[int]) -> AsyncIterator[bytes]:
    """The content in chunks of these sizes, and then the rest."""
    for size in sizes:
        yield content[:size]
        content = content[size:]
    yield content


def answer(content: bytes, sizes: Sequence[int] = (), **headers: str) -> httpx.Response:
    return httpx.Response(200, headers=headers, content=in_chunks(content, sizes))


async def lines_of(response: httpx.Response) -> list[bytes]:
    return [one async for one in lines_and_lulls(response, (60.0,), LONGEST) if isinstance(one, bytes)]


@given(st.lists(st.integers(0, 7)), st.booleans())
async def test_lines_are_the_same_in_whatever_chunks_they_come(sizes: list[int], zipped: bool) -> None:
    content = b'{"a":1}\n\n  \r\n{"b":"\xc3\xa9"}\r\n{"c":'
    sent = answer(gzip.compress(content), sizes, **GZIP) if zipped else answer(content, sizes)
    assert await lines_of(sent) == [b'{"a":1}', b"", b"", b'{"b":"\xc3\xa9"}']


async def test_a_last_line_without_newline_counts_where_it_is_whole_json() -> None:
    assert await lines_of(answer(b'{"a":1}\n{"b":2}')) == [b'{"a":1}', b'{"b":2}']
    assert await lines_of(answer(b'{"a":1}\n{"b":2')) == [b'{"a":1}']
    assert await lines_of(answer(b'{"a":1}\n<b>Fatal')) == [b'{"a":1}', b"<b>Fatal"]
    assert await lines_of(answer(b'{"a":1}\n \r')) == [b'{"a":1}']


@pytest.mark.parametrize("end", [b"", b"\n"])
async def test_a_line_that_never_ends_is_refused_with_its_beginning(end: bytes) -> None:
    assert await lines_of(answer(b"x" * LONGEST + b"\n", [100] * 10)) == [b"x" * LONGEST]
    with pytest.raises(FeedError, match="a line of more than 1,000 bytes, beginning b'xxx"):
        await lines_of(answer(b"x" * (LONGEST + 1) + end, [100] * 5))


async def test_a_small_body_cannot_become_a_large_piece() -> None:
    bomb = gzip.compress(bytes(100 << 20))
    sizes = [len(one) async for one in decompressed(answer(bomb, **GZIP))]
    assert sum(sizes) == 100 << 20
    assert max(sizes) <= PIECE_BYTES


@pytest.mark.parametrize("member", [b'{"a":1}\n', b""])
async def test_gzip_of_several_members_is_whole_and_cut_gzip_is_not(member: bytes) -> None:
    body = gzip.compress(b'{"a":0}\n') + gzip.compress(member)
    assert b"".join([one async for one in decompressed(answer(body, [30], **GZIP))]) == b'{"a":0}\n' + member
    for broken, said in ((body[:-1], "ends too early"), (body[:10] + b"\xff" * 9, "is broken"), (b"no", "is broken")):
        with pytest.raises(Malformed, match=said):
            [one async for one in decompressed(answer(broken, **GZIP))]
    with pytest.raises(Malformed, match="not asked for"):
        [one async for one in decompressed(answer(body, **{"content-encoding": "br"}))]


@given(st.lists(st.integers(0, 7)), st.sampled_from([None, 2]))
async def test_objects_are_the_same_in_whatever_chunks_they_come(sizes: list[int], indent: int | None) -> None:
    said = [{"id": "1", "x": [1, {"y": "]}"}]}, {"id": '\u00e9\\"'}, {}]
    content = json.dumps(said, indent=indent, ensure_ascii=False).encode()
    assert [one async for one in objects(in_chunks(content, sizes), LONGEST)] == said
    assert [one async for one in objects(in_chunks(b" [ ] ", sizes), LONGEST)] == []


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b'["a"]', b"[{}", b'[{"a"', b"null", b"[[{}]]", b"\xff\xfe"])
async def test_what_is_no_array_of_objects_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        [one async for one in objects(in_chunks(body, []), LONGEST)]
    with pytest.raises(Malformed, match="broken or too long"):
        [one async for one in objects(in_chunks(b'[{"a":"' + b"x" * 2_000, [5] * 100), LONGEST)]


def test_seen_ids_know_what_was_added_and_little_else() -> None:
    seen, chance = SeenIds(), random.Random(1)
    added = [str(chance.random()) for _ in range(20_000)]
    for one in added:
        seen.add("submissions", one)
    assert all(("submissions", one) in seen for one in added)
    assert sum(("judgements", one) in seen for one in added) < 3
    assert seen.kinds == {"submissions"}

"""Files as they come: of any form, cut, too large, of something else."""

import io
import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from solve_producer.cli.event_file import UnreadableFile
from solve_sources.errors import StandingsUnusable
from solve_sources.ranklists.forms import content, form_of, read_file
from tests.sources.ranklists.reading import reading_of, refusal, standings_of
from tests.sources.ranklists.test_codeforces import party, status, submission, table
from tests.sources.ranklists.test_scoreboard import board
from tests.sources.ranklists.test_srk import RANKLIST

WHOLE = json.dumps(RANKLIST).encode()


def test_a_file_shows_its_form() -> None:
    forms = [form_of(reading_of(said)) for said in (RANKLIST, board(), table(), status(submission(1, party("x"))))]
    assert forms == ["srk", "clics-scoreboard", "codeforces-standings", "codeforces-status"]


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"1\t2\tAC\n", b'{"type":"teams","id":"1","data":{}}'])
def test_a_file_of_another_form_is_refused(data: bytes) -> None:
    assert "it is of no form that is known (srk, codeforces-standings" in refusal(data)


def test_a_form_that_is_given_is_taken() -> None:
    assert "$: Object missing required field `contest`" in refusal(board(), "srk", contest_id="c")


@pytest.mark.parametrize("data", [b"\xff{", b'{"rows":[' + b"[" * 100_000, b'{"a":"\xff"}'])
def test_bytes_that_are_not_json_are_refused(data: bytes) -> None:
    refusal(data)


@given(st.integers(0, len(WHOLE) - 1), st.binary(max_size=2))
def test_a_file_that_was_cut_or_spoilt_never_breaks(place: int, instead: bytes) -> None:
    refusal(WHOLE[:place], contest_id="demo")
    with suppress(StandingsUnusable):
        standings_of(WHOLE[:place] + instead + WHOLE[place + 1 :], contest_id="demo")


def test_a_file_that_was_cut_says_what_to_do() -> None:
    assert refusal(WHOLE[:-20]).endswith("file.json: $: Input data was truncated; the file was cut; get it again")
    assert refusal(b'{"rows": x}').endswith("; correct the file, or get it again")


def test_a_file_has_a_size_limit_and_may_begin_with_a_byte_order_mark() -> None:
    assert content(io.BytesIO(b"\xef\xbb\xbf{}"), "file", 5) == b"{}"
    with pytest.raises(StandingsUnusable, match="file has more than 5 bytes"):
        content(io.BytesIO(b"123456"), "file", 5)
    with pytest.raises(StandingsUnusable, match="file is gzip; unpack it"):
        content(io.BytesIO(b"\x1f\x8b\x08"), "file")


def test_files_are_read_by_name(tmp_path: Path) -> None:
    file = tmp_path / "demo.srk.json"
    file.write_bytes(WHOLE)
    assert len(read_file(str(file), contest_id="demo").solves) == 3
    with pytest.raises(UnreadableFile):
        read_file(str(tmp_path / "missing.json"))

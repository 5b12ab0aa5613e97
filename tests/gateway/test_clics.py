"""Webhooks of contest systems (CLICS 2026-01): kept in order, read by what follows a feed in a pipe, and never lost."""

import json
import os
import sys
from asyncio import create_subprocess_exec, subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from solve_gateway.errors import SpoolUnusable
from solve_gateway.spool import Spool
from solve_gateway.tokens import Use, add_token
from solve_runtime.kafka_settings import KafkaConnection
from tests.api.served import problem_of
from tests.gateway.reading import records_in
from tests.gateway.serving import JSON, Served, gateway
from tests.gateway.test_events import TYPED
from tests.sources.clics.feeds import contest, judged
from tests.sources.commands import counts
from tests.waiting import until
from tests.world import World

PATH = "/v1/callbacks/clics"


def callback(*said: dict[str, Any], contest_id: str = "cup") -> dict[str, Any]:
    return {"contest_id": contest_id, "notifications": list(said)}


async def test_notifications_are_kept_for_a_follower_in_a_pipe(world: World, tmp_path: Path) -> None:
    said = [*contest("t"), *judged("1", "t", "a"), *judged("2", "t", "b", "WA"), *judged("3", "t", "c")]
    async with gateway(world.connection, tmp_path, gateway_spool_folder=tmp_path) as served:
        raw = add_token(served.tokens_file, "ccs", use=Use.CLICS)
        spool = tmp_path / "ccs~cup.ndjson"
        async with served.client(**{"Webhook-Token": raw}) as ccs:
            assert (await ccs.post(PATH, json=callback(*said[:6]))).status_code == 204
            tail = await create_subprocess_exec("tail", "-n", "+1", "-F", str(spool), stdout=subprocess.PIPE)
            command = (sys.executable, "-m", "solve_producer", "import", "clics", "-", "--contest-id", "cup")
            assert tail.stdout
            following = await create_subprocess_exec(
                *command, env=world.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            try:
                assert following.stdin
                for some in (said[6:9], said[9:]):
                    assert (await ccs.post(PATH, json=callback(*some))).status_code == 204
                while (text := await tail.stdout.readline()) != lines_of(spool)[-1]:
                    following.stdin.write(text)
                following.stdin.write(text)
                await following.stdin.drain()

                async def counted() -> bool:
                    return list((await counts(world)).values()) == [2]

                await until(counted, "the solves to be counted")
                following.stdin.close()
                _, error = await following.communicate()
                assert following.returncode == 0, error.decode()
            finally:
                tail.kill()
                await tail.wait()
    assert list(map(json.loads, lines_of(spool))) == said


def spool_in(folder: Path, max_bytes: int = 1024**3, files_max: int = 2) -> Spool:
    return Spool(folder, max_bytes, files_max)


def kept_in(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.ndjson")}


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


async def test_who_has_no_token_leaves_nothing(log: KafkaConnection, tmp_path: Path, served: Served) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    async with gateway(log, tmp_path, gateway_spool_folder=folder) as receiving, receiving.client() as anybody:
        for headers in ({}, {"Webhook-Token": "scg_wrong"}):
            answer = await anybody.post(PATH, json=callback(), headers=headers)
            problem_of(answer, 401, "token-unknown")
        assert list(folder.iterdir()) == []
    async with served.client() as client:  # without a folder
        problem_of(await client.post(PATH, json=callback()), 404, "not-found")


async def test_a_token_of_a_webhook_publishes_nothing_and_one_of_a_judge_forges_no_feed(
    log: KafkaConnection, tmp_path: Path
) -> None:
    async with gateway(log, tmp_path, gateway_spool_folder=tmp_path) as served:
        webhook, judge = add_token(served.tokens_file, "ccs", use=Use.CLICS), add_token(served.tokens_file, "judge")
        before = len(await records_in(log))
        async with served.client(Authorization=f"Bearer {webhook}", **JSON) as client:
            problem = problem_of(await client.post("/v1/events", content=TYPED), 403, "token-for-other-use")
            assert "for clics" in problem["detail"]
        async with served.client(**{"Webhook-Token": judge}) as client:
            problem_of(await client.post(PATH, json=callback(*contest("t"))), 403, "token-for-other-use")
        assert len(await records_in(log)) == before
        assert kept_in(tmp_path) == set()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "not JSON"),
        (b"[]", "one JSON object"),
        (b'{"contest_id":"../x","notifications":[]}', "`contest_id`"),
        (b'{"contest_id":"x"}', "`notifications`"),
        (b'{"contest_id":"x","notifications":[{"type":"teams","data":{}},{}]}', "`notifications[1]`"),
    ],
)
async def test_what_is_no_notification_is_refused_whole(
    log: KafkaConnection, tmp_path: Path, body: bytes, said: str
) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    async with gateway(log, tmp_path, gateway_spool_folder=folder) as served:
        raw = add_token(served.tokens_file, "ccs", use=Use.CLICS)
        async with httpx.AsyncClient(base_url=served.address) as client:
            answer = await client.post(PATH, content=body, headers={"Webhook-Token": raw})
            assert said in problem_of(answer, 400, "notification-invalid")["detail"]
            folder.rmdir()
            answer = await client.post(PATH, json=callback({"type": "x", "data": 1}), headers={"Webhook-Token": raw})
            problem_of(answer, 503, "spool-unwritable")
            (missing,) = (await client.get("/readyz")).json()["missing"]
            assert "the folder for notifications" in missing


@pytest.mark.parametrize("left", [b"", b'{"type":"te', b'{"a":1}\n{"type":"te' + b"x" * 200_000])
async def test_what_a_crash_left_of_a_line_is_cut_off(tmp_path: Path, left: bytes) -> None:
    path = tmp_path / "ccs~cup.ndjson"
    path.write_bytes(left)
    assert await spool_in(tmp_path).add("ccs", callback({"type": "x", "id": "é", "data": None})) == 1
    *before, last = lines_of(path)
    assert before == ([b'{"a":1}\n'] if b"\n" in left else [])
    assert json.loads(last) == {"type": "x", "id": "é", "data": None}


async def test_a_folder_that_is_full_takes_no_more_and_loses_nothing(log: KafkaConnection, tmp_path: Path) -> None:
    said = callback({"type": "x", "id": "1", "data": "y" * 600_000})
    async with gateway(
        log, tmp_path, gateway_spool_folder=tmp_path, gateway_spool_max_bytes=1024 * 1024, gateway_spool_files_max=1
    ) as served:
        raw = add_token(served.tokens_file, "ccs", use=Use.CLICS)
        async with served.client(**{"Webhook-Token": raw}) as ccs:
            assert (await ccs.post(PATH, json=said)).status_code == 204
            for refused in (said, callback(contest_id="other")):
                problem_of(await ccs.post(PATH, json=refused), 503, "spool-full")
    assert kept_in(tmp_path) == {"ccs~cup.ndjson"}
    assert len(lines_of(tmp_path / "ccs~cup.ndjson")) == 1


async def test_a_file_is_in_its_folder_before_it_is_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, sync = [], os.fsync

    def seen(file: int) -> None:
        synced.append(Path(f"/proc/self/fd/{file}").readlink())
        sync(file)

    monkeypatch.setattr(os, "fsync", seen)
    await spool_in(tmp_path).add("ccs", callback({"type": "x", "id": "1", "data": None}))
    assert synced == [tmp_path / "ccs~cup.ndjson", tmp_path]


def test_a_folder_that_is_not_there_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(SpoolUnusable, match="SOLVE_GATEWAY_SPOOL_FOLDER"):
        spool_in(tmp_path / "nowhere")

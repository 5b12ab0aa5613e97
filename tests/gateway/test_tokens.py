"""Tokens: shown once, kept as hashes in a file that others may not write, and revoked under a running gateway."""

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import get_ident

import pytest
from typer.testing import CliRunner

from solve_gateway import tokens as module
from solve_gateway.cli.tokens import app
from solve_gateway.errors import TokenRefused, TokensUnusable
from solve_gateway.tokens import KnownTokens, Token, Use, add_token, read_tokens, revoke_token
from tests.gateway.serving import JSON, Served
from tests.gateway.test_events import TYPED
from tests.waiting import until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the tokens will be."""
    return tmp_path / "tokens.json"


def command(path: Path, *words: str) -> str:
    """What it prints on standard output. Raises what the program says in one line."""
    done = CliRunner(env={"SOLVE_GATEWAY_TOKENS_FILE": str(path)}).invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_commands_make_list_and_revoke_tokens(path: Path) -> None:
    raw = json.loads(command(path, "add", "main", "--source", "/judges/main", "--json"))["token"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert raw not in path.read_text()
    assert command(path, "add", "other").startswith("scg_")
    with pytest.raises(TokenRefused, match="there is a token main already"):
        command(path, "add", "main")
    main, other = json.loads(command(path, "list", "--json"))
    assert (main["name"], main["sources"], other["sources"]) == ("main", ["/judges/main"], [])
    for form in ((), ("--json",)):
        shown = command(path, "list", *form)
        assert "main" in shown
        assert not any(one.sha256 in shown for one in read_tokens(path))
    command(path, "revoke", "main")
    with pytest.raises(TokenRefused, match="no token main"):
        command(path, "revoke", "main")
    assert [one.name for one in read_tokens(path)] == ["other"]


def test_a_token_is_for_one_use_and_for_events_where_the_file_does_not_say(path: Path) -> None:
    command(path, "add", "judge")
    assert json.loads(command(path, "add", "ccs", "--for", "clics", "--json"))["use"] == "clics"
    assert [one["use"] for one in json.loads(command(path, "list", "--json"))] == ["events", "clics"]
    assert "clics" in command(path, "list")
    with pytest.raises(TokenRefused, match="leave --source out"):
        command(path, "add", "other", "--for", "clics", "--source", "x")
    older = json.loads(path.read_text())
    for one in older["tokens"]:
        del one["use"]
    path.write_text(json.dumps(older))
    assert {one.use for one in read_tokens(path)} == {Use.EVENTS}


def test_a_token_is_known_by_its_text_alone(path: Path) -> None:
    raw = add_token(path, "a", ("x",))
    known = KnownTokens(path)
    found = known.owner_of(raw)
    assert found
    assert (found.name, found.may_write_as("x"), found.may_write_as("y")) == ("a", True, False)
    for wrong in ("", raw[:-1], raw + "x", raw.upper(), found.sha256, "\udcff"):
        assert known.owner_of(wrong) is None


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "é", "a\n"])
def test_a_name_that_is_none_is_refused(path: Path, name: str) -> None:
    with pytest.raises(TokenRefused):
        add_token(path, name)
    assert not path.exists()


@pytest.mark.parametrize("source", ["", "x" * 201, "a\x1b"])
def test_a_source_that_no_event_can_have_is_refused(path: Path, source: str) -> None:
    with pytest.raises(TokenRefused):
        add_token(path, "a", (source,))


def test_commands_at_once_lose_nothing(path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: add_token(path, f"t-{number}"), range(12)))
        list(pool.map(lambda number: revoke_token(path, f"t-{number}"), range(0, 12, 2)))
    assert {one.name for one in read_tokens(path)} == {f"t-{number}" for number in range(1, 12, 2)}
    assert [one.name for one in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("content", ["", "[]", '{"tokens":[{"name":"a"}]}', "\xff"])
def test_a_file_that_is_none_lets_nobody_in(path: Path, content: str) -> None:
    path.write_text(content, encoding="latin-1")
    path.chmod(0o600)
    with pytest.raises(TokensUnusable, match="no file of tokens"):
        KnownTokens(path)
    with pytest.raises(TokensUnusable):
        add_token(path, "a")
    assert path.read_text(encoding="latin-1") == content


@pytest.mark.parametrize(("before", "after"), [(0o640, 0o640), (0o600, 0o600), (0o644, 0o640)])
def test_whoever_could_read_the_file_still_can(path: Path, before: int, after: int) -> None:
    add_token(path, "a")
    path.chmod(before)
    for change in (lambda: add_token(path, "b"), lambda: revoke_token(path, "a")):
        change()
        assert stat.S_IMODE(path.stat().st_mode) == after


def test_a_file_that_others_may_write_is_refused(path: Path) -> None:
    add_token(path, "a")
    path.chmod(0o620)
    with pytest.raises(TokensUnusable, match="chmod 600"):
        KnownTokens(path)
    path.chmod(0o640)  # as Kubernetes mounts it
    assert read_tokens(path)


def test_without_a_file_it_says_how_to_make_one(path: Path) -> None:
    with pytest.raises(TokensUnusable, match="solve-producer tokens add NAME"):
        KnownTokens(path)


def test_a_file_that_breaks_is_a_problem_until_it_is_restored(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHECK_S", 0)
    raw = add_token(path, "a")
    known = KnownTokens(path)
    content = path.read_text()
    for broken in (lambda: path.write_text("{"), path.unlink):
        broken()
        with pytest.raises(TokensUnusable):
            known.owner_of(raw)
        path.write_text(content)
        path.chmod(0o600)
        assert known.owner_of(raw)


def test_a_token_that_is_revoked_while_the_file_is_read_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the start too; the content was taken for that of the newer file."""
    monkeypatch.setattr(module, "CHECK_S", 0)
    raw = add_token(path, "a")
    add_token(path, "b")
    is_revoked = False

    def read_and_revoke(path: Path) -> tuple[Token, ...]:
        nonlocal is_revoked
        found = read_tokens(path)
        if not is_revoked:
            is_revoked = True
            monkeypatch.undo()
            monkeypatch.setattr(module, "CHECK_S", 0)
            revoke_token(path, "a")
        return found

    monkeypatch.setattr(module, "read_tokens", read_and_revoke)
    known = KnownTokens(path)
    assert is_revoked
    assert known.owner_of(raw) is None


async def test_tokens_are_checked_in_one_thread(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two that read the file at once, one would keep what the other has replaced."""
    threads = set[int]()
    owner_of = KnownTokens.owner_of

    def watched(self: KnownTokens, raw: str) -> Token | None:
        threads.add(get_ident())
        return owner_of(self, raw)

    monkeypatch.setattr(KnownTokens, "owner_of", watched)
    async with served.client(Authorization="Bearer x", **JSON) as client:
        for path in ("/v1/events", "/v1/callbacks/clics"):
            await client.post(path, content=TYPED, headers={"Webhook-Token": "x"})
    assert threads == {get_ident()}


async def test_a_running_gateway_learns_of_new_and_revoked_tokens(served: Served) -> None:
    raw = add_token(served.tokens_file, "for-a-moment")
    async with served.client(Authorization=f"Bearer {raw}", **JSON) as client:

        async def answers(status: int) -> bool:
            return (await client.post("/v1/events", content=TYPED)).status_code == status

        await until(lambda: answers(200), "the token to be known")
        revoke_token(served.tokens_file, "for-a-moment")
        await until(lambda: answers(401), "the token to be refused")


async def test_tokens_that_cannot_be_read_are_no_reason_to_call_one_wrong(served: Served) -> None:
    content = served.tokens_file.read_text()
    async with served.judge("stays") as judge:

        async def answers(status: int) -> bool:
            answer = await judge.post("/v1/events", content=TYPED, headers=JSON)
            assert answer.status_code in {200, 401, 503}
            return answer.status_code == status

        await until(lambda: answers(200))
        content = served.tokens_file.read_text()
        served.tokens_file.unlink()
        await until(lambda: answers(503))
        assert (await judge.get("/readyz")).json()["missing"] == ["the file of tokens cannot be used"]
        served.tokens_file.write_text(content)
        served.tokens_file.chmod(0o600)
        await until(lambda: answers(200))

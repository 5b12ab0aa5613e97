"""Forms of REDIS_URL: what they name, and that a malformed one is refused without a piece of its password."""

import pytest
from pydantic import SecretStr, ValidationError
from redis.asyncio import SSLConnection

from solve_projector.errors import SettingsError
from solve_projector.leaderboard.redis_client import connect_redis, parse_address
from solve_projector.settings import ProjectorSettings

SECRET = "s3cret/@word"
QUOTED = "s3cret%2F%40word"


@pytest.mark.parametrize(
    ("url", "kind", "nodes"),
    [
        (f"redis://u:{QUOTED}@a:1/2", "", [("a", 1)]),
        (f"redis://u:{QUOTED}@a/2", "", [("a", 6379)]),
        (f"redis+cluster://u:{QUOTED}@a:1,[::1]/2", "cluster", [("a", 1), ("::1", 6379)]),
        (f"rediss+sentinel://u:{QUOTED}@a,b:1/main/2", "sentinel", [("a", 26379), ("b", 1)]),
        (f"redis+sentinel://u:{QUOTED}@a/main/2?sentinel_password=x", "sentinel", [("a", 26379)]),
    ],
)
def test_an_address_names_a_server_a_cluster_or_sentinels(url: str, kind: str, nodes: list[tuple[str, int]]) -> None:
    settings = ProjectorSettings(redis_url=SecretStr(url))
    found = parse_address(settings.redis_url.get_secret_value())
    assert (found.kind, found.nodes) == (kind, nodes)
    assert [found.options[name] for name in ("username", "password", "db")] == ["u", SECRET, 2]
    assert (found.options.get("connection_class") is SSLConnection) == url.startswith("rediss")
    assert (found.master, found.sentinel_login) == (
        "main" if kind == "sentinel" else "",
        {"password": "x"} if "sentinel_password" in url else {},
    )
    connect_redis(settings)


@pytest.mark.parametrize(
    "url",
    [
        "redis+sentinel://u:s3cret@a:1",
        "redis+sentinel://u:s3cret@a:1/",
        "redis+guess://u:s3cret@a:1/0",
        "redis://u:s3cret@a:1,b:2/0",
        "redis://a:s3cret",
        "redis+cluster://u:x@a:1,b:s3cret",
        "redis://u:x/s3cret@a:1/0",
        "redis://u:x@a:1/0?socket_timeout=s3cret",
        "http://u:s3cret@a:1",
        "s3cret",
        "unix+sentinel://u:s3cret@/x/main",
    ],
)
def test_a_malformed_address_is_refused_without_its_password(url: str) -> None:
    with pytest.raises((SettingsError, ValidationError)) as caught:
        connect_redis(ProjectorSettings(redis_url=SecretStr(url)))
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None

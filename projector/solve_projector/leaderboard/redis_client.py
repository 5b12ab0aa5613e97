"""Connects to Redis, and turns its client's errors into ours. No message shows a password (I12).

REDIS_URL names one server, a node of a Redis Cluster, or Sentinels that know the master; `parse_address` says which. A
node of a cluster is recognised when it first answers, and then all nodes are used. All our keys are in one slot, so a
cluster serves us by one node at a time; after a failover, the client finds the next one.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import unquote

from redis.asyncio import ConnectionPool, Redis, RedisCluster, Sentinel, SSLConnection
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    ClusterDownError,
    ClusterError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
    SlotNotCoveredError,
)

from solve_projector.errors import LeaderboardUnavailable, SettingsError
from solve_projector.settings import ProjectorSettings

SOCKET_TIMEOUT_S = 2.0
PORT, SENTINEL_PORT = 6379, 26379
FORMS = (
    "redis://host:6379/0, redis+cluster://host:6379,host2:6379 or redis+sentinel://host:26379,host2:26379/name/0 "
    "(rediss… for TLS)"
)
ERRORS = (RedisError, RedisClusterException, OSError, TimeoutError, ValueError, OverflowError)


class RedisAddress(NamedTuple):
    """What REDIS_URL says: the kind ("", "cluster" or "sentinel"), its nodes, and how to connect to Redis."""

    kind: str
    nodes: list[tuple[str, int]]
    options: dict[str, Any]
    master: str = ""
    sentinel_login: Mapping[str, Any] = {}


def parse_address(url: str) -> RedisAddress:
    """Reads REDIS_URL. Raises ValueError, whose text may hold a piece of the password."""
    scheme, _, rest = url.partition("://")
    base, _, kind = scheme.lower().partition("+")
    if kind not in ("", "cluster", "sentinel"):
        raise ValueError("unknown scheme")
    if base == "unix":
        return RedisAddress(kind, [], dict(parse_url(url)))
    rest, _, query = rest.partition("?")
    netloc, _, path = rest.partition("/")
    login, at, hosts = netloc.rpartition("@")
    master, _, database = path.partition("/") if kind == "sentinel" else ("", "", path)
    if kind == "sentinel" and not master:
        raise ValueError("no name of a master")
    read = [parse_url(f"{base}://{login}{at}{host}/{database}?{query}") for host in hosts.split(",")]
    if not kind and len(read) > 1:
        raise ValueError("several hosts, and not of what")
    port = SENTINEL_PORT if kind == "sentinel" else PORT
    nodes = [(one.get("host", "localhost"), one.get("port", port)) for one in read]
    options = {name: value for name, value in read[0].items() if name not in ("host", "port")}
    sentinel_login = {name: options.pop(f"sentinel_{name}", None) for name in ("username", "password")}
    given = {name: value for name, value in sentinel_login.items() if value is not None}
    return RedisAddress(kind, nodes, options, unquote(master), given)


class RedisClient:
    """A client of what REDIS_URL names. It connects when first used; the caller closes it."""

    def __init__(self, address: RedisAddress, options: Mapping[str, Any]) -> None:
        self._address = address
        self._options = {**options, **address.options}
        self._client: Any = None  # its stubs give every answer as a union over protocol versions
        self._opened: list[Any] = []
        self._connecting = asyncio.Lock()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Any]:
        """The connected client. Raises LeaderboardUnavailable for its errors, and for values that are not ours."""
        try:
            yield self._client or await self._connect()
        except ERRORS as error:
            if isinstance(error, AskError):
                self._address = self._address._replace(kind="cluster")
            if isinstance(error, AskError) or _is_read_only(error):
                await self.aclose()  # whoever answers next is asked what it is
            raise LeaderboardUnavailable(f"Redis: {_meaning(error)}") from error
        except KeyError as error:
            if not isinstance(error.__context__, AskError):
                raise
            # redis-py follows a redirect of a slot that its own table of slots lacks
            raise LeaderboardUnavailable(f"Redis: {_meaning(SlotNotCoveredError(str(error.__context__)))}") from error

    async def aclose(self) -> None:
        """Closes the connections; the next session opens new ones."""
        self._client, opened, self._opened = None, self._opened, []
        for client in opened:
            await client.aclose()

    async def _connect(self) -> Any:
        async with self._connecting:
            if self._client is None:
                try:
                    self._client = await self._open()
                except BaseException as error:
                    await self.aclose()
                    if not isinstance(error, TypeError):
                        raise
                    raise LeaderboardUnavailable(
                        "Redis: REDIS_URL has an option that its client does not know; write host, login and database"
                    ) from None
            return self._client

    async def _open(self) -> Any:
        if not self._address.kind:
            node = dict(zip(("host", "port"), *self._address.nodes, strict=True)) if self._address.nodes else {}
            client = self._keep(Redis.from_pool(ConnectionPool(**self._options, **node)))
            if not await _is_cluster(client):
                return client
            await self.aclose()
        options = {name: value for name, value in self._options.items() if name != "connection_class"}
        if self._options.get("connection_class") is SSLConnection:
            options["ssl"] = True
        return self._of_sentinels(options) if self._address.kind == "sentinel" else self._of_cluster(options)

    def _of_cluster(self, options: dict[str, Any]) -> Any:
        if options.pop("db", 0):
            raise LeaderboardUnavailable("Redis: REDIS_URL names a Redis Cluster, which has database 0 alone; write /0")
        nodes = [ClusterNode(*node) for node in self._address.nodes]
        return self._keep(RedisCluster(startup_nodes=nodes, require_full_coverage=False, **options))

    def _of_sentinels(self, options: dict[str, Any]) -> Any:
        shared = {name: value for name, value in options.items() if name not in ("username", "password", "db")}
        login = self._address.sentinel_login
        sentinels = Sentinel(self._address.nodes, sentinel_kwargs={**shared, **login}, **options)  # type: ignore[no-untyped-call]
        return self._keep(self._keep(sentinels).master_for(self._address.master))

    def _keep(self, client: Any) -> Any:
        self._opened.append(client)
        return client


async def _is_cluster(client: Any) -> bool:
    """Whether the server is a node of a cluster. Raises LeaderboardUnavailable for a Sentinel."""
    try:
        said = await client.execute_command("HELLO")
    except ResponseError as error:
        if isinstance(error, ClusterDownError):
            raise
        return False  # an old server, or one that forbids it
    fields = said if isinstance(said, dict) else dict(zip(said[::2], said[1::2], strict=False))
    if fields.get(b"mode") == b"sentinel":
        raise LeaderboardUnavailable(
            "Redis: REDIS_URL is a Sentinel, which holds no keys; write redis+sentinel://host:26379/name-of-the-master"
        )
    return bool(fields.get(b"mode") == b"cluster")


def _is_read_only(error: BaseException | None) -> bool:
    """Whether a replica answered; a client of Sentinels says so by another error."""
    return isinstance(error, ReadOnlyError) or (error is not None and _is_read_only(error.__context__))


def _meaning(error: BaseException) -> str:
    """What it says, and what to do about it."""
    detail = str(error) or type(error).__name__
    if _is_read_only(error):
        return (
            "the server is a read-only replica (READONLY), as an old master is after a failover; the address is "
            "resolved again. If this stays, REDIS_URL must name the master, or its Sentinels: "
            "redis+sentinel://host:26379/name-of-the-master"
        )
    if isinstance(error, AskError):
        return (
            f"REDIS_URL is a node of a Redis Cluster, and {error.host}:{error.port} has our keys ({detail}); "
            "all nodes are asked from now on. To skip this at the start, write redis+cluster://host:6379"
        )
    if isinstance(error, ClusterDownError | SlotNotCoveredError):
        return (
            f"the Redis Cluster does not serve the slot of our keys ({detail}); see CLUSTER INFO and CLUSTER SHARDS on "
            "its nodes"
        )
    if isinstance(error, ClusterError | RedisClusterException):
        return f"the Redis Cluster gives no answer ({detail.partition(chr(10))[0]}); see CLUSTER INFO on its nodes"
    if isinstance(error, MasterNotFoundError):
        return (
            f"{detail.partition(' : ')[0]} by any Sentinel of REDIS_URL; check the name and the Sentinels "
            "(SENTINEL MASTERS), and their password (?sentinel_password=…)"
        )
    if "CERTIFICATE_VERIFY_FAILED" in detail:
        detail += "; REDIS_SSL_CAFILE must name the authority of the server's certificate"
    return f"{detail}; check REDIS_URL and the server"


def connect_redis(settings: ProjectorSettings, **changes: Any) -> RedisClient:
    """A client that connects when first used; the caller closes it. Raises SettingsError on an invalid URL."""
    try:
        address = parse_address(settings.redis_url.get_secret_value())
    except (ValueError, KeyError):  # whose text may hold a piece of the password
        raise SettingsError(f"REDIS_URL is not a Redis address; write {FORMS}") from None
    options: dict[str, Any] = {
        "socket_timeout": SOCKET_TIMEOUT_S,
        "socket_connect_timeout": SOCKET_TIMEOUT_S,
        # a failed write is repaired from PostgreSQL; retrying it here would delay the next one
        "retry": Retry(NoBackoff(), 0),
        "client_name": "solve-projector",
    }
    if address.nodes:  # a socket in a folder has none
        options["socket_keepalive"] = True
    if settings.redis_ssl_cafile and address.options.get("connection_class") is SSLConnection:
        options["ssl_ca_certs"] = str(settings.redis_ssl_cafile)
    return RedisClient(address, options | changes)

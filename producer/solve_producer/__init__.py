"""The library that a judge embeds: two clients, their settings and their errors, each imported at its first use."""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from solve_producer.client import SolveProducer
    from solve_producer.deliveries import Place
    from solve_producer.errors import (
        BrokerUnreachable,
        DeliveryUncertain,
        InvalidEvent,
        InvalidSettings,
        NotAllowed,
        ProducerError,
        ProducerMisused,
        RecordTooLarge,
        TopicMissing,
    )
    from solve_producer.sync_client import SyncSolveProducer
    from solve_runtime.kafka_settings import KafkaConnection

__version__ = version("solve-counts")
__all__ = [
    "BrokerUnreachable",
    "DeliveryUncertain",
    "InvalidEvent",
    "InvalidSettings",
    "KafkaConnection",
    "NotAllowed",
    "Place",
    "ProducerError",
    "ProducerMisused",
    "RecordTooLarge",
    "SolveProducer",
    "SyncSolveProducer",
    "TopicMissing",
    "__version__",
]
_MODULES = {
    "KafkaConnection": "solve_runtime.kafka_settings",
    "Place": "solve_producer.deliveries",
    "SolveProducer": "solve_producer.client",
    "SyncSolveProducer": "solve_producer.sync_client",
}


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES.get(name, "solve_producer.errors")), name)

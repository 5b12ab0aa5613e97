"""Reads and decodes one process' share of the log, and does nothing else. A floor of `bench.replay`."""

import asyncio
import json
import sys

from solve_projector.log.scan import open_scan
from solve_runtime.kafka_settings import KafkaConnection
from solve_schemas.record import decode


async def main(ranges: dict[int, tuple[int, int]]) -> None:
    """Reads `[from, to)` of each partition."""
    async with open_scan(KafkaConnection()) as scan:
        async for records in scan.read(ranges):
            for record in records:
                decode(record.value, record.headers, record.timestamp)


if __name__ == "__main__":
    asyncio.run(main({int(partition): tuple(span) for partition, span in json.loads(sys.argv[1]).items()}))

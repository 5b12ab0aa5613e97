"""Reads and decodes a share of the log in one process, and nothing else: a floor of `bench.replay`."""

import asyncio
import json
import sys

from solve_projector.domain.decoding import decode_record
from solve_projector.log.scan import open_scan
from solve_runtime.kafka_settings import KafkaConnection


async def main(ranges: dict[int, tuple[int, int]]) -> None:
    """Reads `[from, to)` of each partition."""
    async with open_scan(KafkaConnection()) as scan:
        async for records in scan.read(ranges):
            for record in records:
                decode_record(record)


if __name__ == "__main__":
    asyncio.run(main({int(partition): tuple(bounds) for partition, bounds in json.loads(sys.argv[1]).items()}))

"""Record batches that no client of ours would write."""

import gzip
import struct
from collections.abc import Iterator, Sequence

import zstandard
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from tests.world import World

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
Record = tuple[bytes | None, bytes | None, Sequence[tuple[str, bytes | None]]]


def batch(records: Sequence[Record], codec: str = "none", base_offset: int = 0) -> bytes:
    builder = DefaultRecordBatchBuilder(2, CODECS[codec], 0, -1, -1, -1, 1 << 30)
    for delta, (key, value, headers) in enumerate(records):
        assert builder.append(delta, timestamp=1_000 + delta, key=key, value=value, headers=headers)
    built = bytearray(builder.build())
    struct.pack_into(">q", built, 0, base_offset)
    return bytes(built)


def sealed(data: bytes) -> bytes:
    """The batch with its length and its checksum right."""
    sized = data[:8] + struct.pack(">i", len(data) - 12) + data[12:]
    return sized[:17] + struct.pack(">I", calc_crc32c(sized[21:])) + sized[21:]


NAME = b"\xff\xfename"


def with_bad_name(codec: str = "none") -> bytes:
    good = batch([(b"a", b"1", []), (b"b", b"2", [("n" * len(NAME), b"content")]), (b"c", b"3", [])])
    bad = good.replace(b"n" * len(NAME), NAME)
    if codec == "gzip":
        bad = bad[:21] + struct.pack(">h", CODECS[codec]) + bad[23:61] + gzip.compress(bad[61:])
    return sealed(bad)


def bomb(size: int, first: bytes, last: bytes) -> bytes:
    """A batch of three records with the values `first`, `size` times "a", `last`; some kilobytes in all."""
    small = [batch([(b"u", value, [])])[61:] for value in (first, last)]
    middle = b"\x00\x00\x02" + varint(1) + b"u" + varint(size)
    packer = zstandard.ZstdCompressor().compressobj()

    def packed() -> Iterator[bytes]:
        yield packer.compress(small[0] + varint(len(middle) + size + 1) + middle)
        for _ in range(size // 1_000_000):
            yield packer.compress(b"a" * 1_000_000)
        third = small[1]  # its offset delta is its fourth byte or the one after, after the length
        at = 3 if third[0] < 0x80 else 4
        yield packer.compress(b"\x00" + third[:at] + varint(2) + third[at + 1 :]) + packer.flush()

    head = batch([(b"u", first, [])] * 3)[:61]
    return sealed(head[:21] + struct.pack(">h", CODECS["zstd"]) + head[23:] + b"".join(packed()))


def varint(value: int) -> bytes:
    """As Kafka writes a number that is not negative."""
    value <<= 1
    found = b""
    while value > 0x7F:
        found += bytes([value & 0x7F | 0x80])
        value >>= 7
    return found + bytes([value])


async def append(world: World, *batches: bytes, partition: int = 0) -> None:
    """Has the broker append batches as they are."""
    producer = AIOKafkaProducer(bootstrap_servers=world.connection.bootstrap_servers)
    await producer.start()
    try:
        topic = world.connection.topic
        await producer.partitions_for(topic)
        leader = producer.client.cluster.leader_for_partition(TopicPartition(topic, partition))
        for one in batches:
            answer = await producer.client.send(leader, ProduceRequest(None, -1, 10_000, [(topic, [(partition, one)])]))
            assert answer.topics[0][1][0][1] == 0
    finally:
        await producer.stop()

"""FastStream: a handler per event, with a transaction of its own that inserts and counts."""

import asyncio
import os
from datetime import datetime
from typing import Any

import asyncpg
from faststream import FastStream
from faststream.kafka import KafkaBroker

broker = KafkaBroker(os.environ["KAFKA_BOOTSTRAP_SERVERS"], logger=None)
app = FastStream(broker, logger=None)
pool: asyncpg.Pool


@app.on_startup
async def connect() -> None:
    """Tables as the projector has them, without its fence."""
    global pool  # noqa: PLW0603 - the framework gives a handler nothing else to keep it in
    pool = await asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=1, max_size=1)
    await pool.execute(
        "CREATE TABLE faststream_verdicts (user_id text, problem_id text, submission_id text, judged_at timestamptz,"
        " PRIMARY KEY (user_id, problem_id, submission_id));"
        "CREATE TABLE faststream_users (user_id text PRIMARY KEY, problems_solved int NOT NULL)"
    )


@broker.subscriber(os.environ["PEER_TOPIC"], group_id=os.environ["PEER_GROUP"], auto_offset_reset="earliest")
async def handle(fields: dict[str, Any]) -> None:
    """One transaction an event."""
    if "submission_id" not in fields:
        return
    key = (fields["user_id"], fields["problem_id"], fields["submission_id"])
    async with pool.acquire() as connection, connection.transaction():
        made = await connection.execute(
            "INSERT INTO faststream_verdicts VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            *key,
            datetime.fromisoformat(fields["judged_at"]),
        )
        if made.endswith("1"):
            await connection.execute(
                "INSERT INTO faststream_users VALUES ($1, 1) ON CONFLICT (user_id)"
                " DO UPDATE SET problems_solved = faststream_users.problems_solved + 1",
                fields["user_id"],
            )


if __name__ == "__main__":
    asyncio.run(app.run())

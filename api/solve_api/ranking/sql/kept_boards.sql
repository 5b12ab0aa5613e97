-- name: build_board
-- Ranks the board of [$1, $2), or of all time if $3, and keeps it as generation $4, in one snapshot.
WITH standing AS (
    SELECT -problems_solved AS negated, last_solved_at AS solved_at, user_id
    FROM users
    WHERE $3::boolean AND problems_solved > 0 AND {solve_projector.store.listing.is_shown}
    UNION ALL
    SELECT -solved, solved_at, user_id
    FROM (
        SELECT count(*)::integer AS solved, max(solved_at) AS solved_at, user_id
        FROM solves
        WHERE NOT $3::boolean AND solved_at >= $1 AND solved_at < $2 AND {solve_projector.store.withdrawals.none_of}
        GROUP BY user_id
    ) AS solvers
    -- an index holds just those who are hidden
    WHERE NOT EXISTS (
        SELECT FROM users AS hidden WHERE hidden.user_id = solvers.user_id AND (hidden.removed OR NOT hidden.listed)
    )
),
ranked AS MATERIALIZED (
    SELECT
        negated, second, user_id,
        row_number() OVER (ORDER BY negated, second, user_id)::integer AS place
    FROM standing
    CROSS JOIN LATERAL (SELECT floor(date_part('epoch', solved_at))::bigint AS second) AS seconds
),
places AS (
    INSERT INTO kept_places
    SELECT
        $4, min(place) - 1, (array_agg(negated))[1], (array_agg(second))[1], (array_agg(user_id))[1],
        array_agg(negated), array_agg(second), array_agg(user_id)
    FROM (SELECT * FROM ranked ORDER BY place) AS ordered
    GROUP BY (place - 1) / 1000
),
places_of_users AS (
    INSERT INTO kept_ranks
    SELECT $4, min(user_id), array_agg(user_id), array_agg(place)
    FROM (
        SELECT user_id, place, (row_number() OVER (ORDER BY user_id) - 1) / 1000 AS chunk
        FROM ranked
    ) AS ordered
    GROUP BY chunk
)
SELECT count(*)::integer AS total
FROM ranked

-- name: show_board
-- Shows a generation in place of the board's last, which it drops, with every board that nobody asks for any more: not
-- one that somebody asks for just now, which has another `asked_at` then, or is locked.
WITH dropped AS (
    DELETE FROM kept_boards
    USING (
        SELECT begins_at, ends_at
        FROM kept_boards
        JOIN (
            SELECT begins_at, ends_at, asked_at, row_number() OVER (ORDER BY asked_at DESC) AS place FROM kept_boards
        ) AS boards USING (begins_at, ends_at, asked_at)
        WHERE (begins_at, ends_at) <> ($1, $2) AND (asked_at < clock_timestamp() - $6 * interval '1 second' OR place >= $7)
        FOR UPDATE OF kept_boards SKIP LOCKED
    ) AS unasked
    WHERE (kept_boards.begins_at, kept_boards.ends_at) = (unasked.begins_at, unasked.ends_at)
    RETURNING generation
),
gone AS (
    SELECT generation FROM dropped
    UNION ALL
    SELECT generation FROM kept_boards WHERE (begins_at, ends_at) = ($1, $2)
),
places AS (DELETE FROM kept_places WHERE generation IN (SELECT generation FROM gone)),
ranks AS (DELETE FROM kept_ranks WHERE generation IN (SELECT generation FROM gone))
INSERT INTO kept_boards (begins_at, ends_at, generation, total, computed_at, built_at, asked_at)
VALUES ($1, $2, $3, $4, $5, clock_timestamp(), clock_timestamp())
ON CONFLICT (begins_at, ends_at) DO UPDATE SET
    generation = excluded.generation,
    total = excluded.total,
    computed_at = excluded.computed_at,
    built_at = excluded.built_at,
    asked_at = excluded.asked_at
RETURNING
    extract(epoch FROM clock_timestamp() - computed_at)::float8 AS age_s,
    extract(epoch FROM built_at - computed_at)::float8 AS cost_s

-- name: prepare_build
-- Limits of one build, for its transaction: PostgreSQL ends it if it takes too long. One core, and planned for its period.
SELECT
    set_config('transaction_timeout', '0', true), set_config('statement_timeout', $1, true),
    set_config('plan_cache_mode', 'force_custom_plan', true), set_config('max_parallel_workers_per_gather', '0', true)

-- name: next_build
-- A generation that nothing has, how many seconds the next build has to wait ($1 times as long as the last one took), and
-- a time before its snapshot: a statement's own time may be after that.
SELECT
    coalesce(max(generation), 0) + 1 AS generation,
    coalesce(
        (
            SELECT extract(epoch FROM built_at + $1 * (built_at - computed_at) - clock_timestamp())
            FROM kept_boards
            ORDER BY built_at DESC
            LIMIT 1
        ), 0
    )::float8 AS wait_s,
    clock_timestamp() AS computed_at
FROM kept_boards

-- name: boards_of
-- How old the boards of these periods are, and how long each was computed.
SELECT
    begins_at, ends_at,
    extract(epoch FROM clock_timestamp() - computed_at)::float8 AS age_s,
    extract(epoch FROM built_at - computed_at)::float8 AS cost_s
FROM kept_boards
JOIN unnest($1::timestamptz[], $2::timestamptz[]) AS asked (begins_at, ends_at) USING (begins_at, ends_at)

-- name: find_board
-- How old this board is and how long it was computed, once it is noted that somebody asks for it. Waits for a build that
-- drops it, and then finds none.
UPDATE kept_boards
SET asked_at = clock_timestamp()
WHERE begins_at = $1 AND ends_at = $2
RETURNING
    extract(epoch FROM clock_timestamp() - computed_at)::float8 AS age_s,
    extract(epoch FROM built_at - computed_at)::float8 AS cost_s

-- name: note_asked
-- Notes that somebody asks for these boards; waits for nobody, so that two who do this never wait for each other.
UPDATE kept_boards
SET asked_at = clock_timestamp()
FROM (
    SELECT begins_at, ends_at
    FROM kept_boards
    JOIN unnest($1::timestamptz[], $2::timestamptz[]) AS asked (begins_at, ends_at) USING (begins_at, ends_at)
    FOR UPDATE OF kept_boards SKIP LOCKED
) AS free
WHERE (kept_boards.begins_at, kept_boards.ends_at) = (free.begins_at, free.ends_at)
RETURNING kept_boards.begins_at, kept_boards.ends_at

-- name: read_board
-- A page of the board of [$1, $2): $4 places, where $3 says relative to the position $5 (negated count), $6, $7; and the
-- places of the users $8. Each is found in one row of 1,000, two at most.
WITH board AS MATERIALIZED (
    SELECT
        generation, total, computed_at,
        extract(epoch FROM clock_timestamp() - computed_at)::float8 AS age_s,
        extract(epoch FROM built_at - computed_at)::float8 AS cost_s
    FROM kept_boards
    WHERE begins_at = $1 AND ends_at = $2
),
asked AS MATERIALIZED (
    SELECT chunk.ranks[at] AS place, wanted.user_id, wanted.is_center
    FROM board
    CROSS JOIN (
        SELECT unnest($8::text[]) AS user_id, false AS is_center
        UNION ALL
        SELECT $7, true
        WHERE $3 = 'around'
    ) AS wanted
    CROSS JOIN LATERAL (
        SELECT user_ids, ranks
        FROM kept_ranks
        WHERE generation = board.generation AND first_user_id <= wanted.user_id
        ORDER BY first_user_id DESC
        LIMIT 1
    ) AS chunk
    CROSS JOIN LATERAL array_position(chunk.user_ids, wanted.user_id) AS at
    WHERE at IS NOT NULL
),
-- how many stand before the position, or at it
stand AS MATERIALIZED (
    SELECT
        chunk.before + (
            SELECT count(*)
            FROM unnest(chunk.negated, chunk.seconds, chunk.user_ids) AS one (negated, second, user_id)
            WHERE (negated, second, user_id) < ($5, $6, $7)
                OR ($3 = 'after' AND (negated, second, user_id) = ($5, $6, $7))
        )::integer AS before
    FROM board
    CROSS JOIN LATERAL (
        SELECT before, negated, seconds, user_ids
        FROM kept_places
        WHERE generation = board.generation AND (first_negated, first_second, first_user_id) <= ($5, $6, $7)
        ORDER BY first_negated DESC, first_second DESC, first_user_id DESC
        LIMIT 1
    ) AS chunk
    WHERE $3 IN ('after', 'before')
),
page AS MATERIALIZED (
    SELECT
        board.*,
        CASE $3
            WHEN 'around' THEN coalesce((SELECT greatest(0, place - 1 - $4 / 2) FROM asked WHERE is_center), 0)
            WHEN 'after' THEN coalesce((SELECT before FROM stand), 0)
            WHEN 'before' THEN coalesce((SELECT greatest(0, before - $4) FROM stand), 0)
            ELSE 0
        END AS begin,
        CASE WHEN $3 = 'before' THEN coalesce((SELECT least(before, $4) FROM stand), 0) ELSE $4 END AS size
    FROM board
)
SELECT
    page.total, page.computed_at, page.age_s, page.cost_s, page.begin,
    found.is_asked, found.place, found.rank, -found.negated AS problems_solved, found.second AS seconds, found.user_id
FROM page
LEFT JOIN LATERAL (
    SELECT
        false AS is_asked, at.place,
        CASE WHEN at.place = page.begin + 1 THEN {solve_api.ranking.kept_places.rank} END AS rank,
        one.negated, one.second, one.user_id
    FROM kept_places AS chunk
    CROSS JOIN LATERAL (
        SELECT greatest(page.begin - chunk.before, 0) + 1 AS first, page.begin + page.size - chunk.before AS last
    ) AS bounds
    CROSS JOIN LATERAL unnest(chunk.negated[first:last], chunk.seconds[first:last], chunk.user_ids[first:last])
        WITH ORDINALITY AS one (negated, second, user_id, ordinal)
    CROSS JOIN LATERAL (SELECT chunk.before + first + ordinal - 1 AS place) AS at
    WHERE chunk.generation = page.generation
        AND chunk.before IN (page.begin / 1000 * 1000, (page.begin + page.size - 1) / 1000 * 1000)
    UNION ALL
    SELECT true, asked.place, {solve_api.ranking.kept_places.rank}, one.negated, one.second, asked.user_id
    FROM asked
    JOIN kept_places AS chunk
        ON chunk.generation = page.generation AND chunk.before = (asked.place - 1) / 1000 * 1000
    CROSS JOIN LATERAL (SELECT asked.place - chunk.before AS ordinal) AS bounds
    CROSS JOIN LATERAL (
        SELECT chunk.negated[ordinal] AS negated, chunk.seconds[ordinal] AS second
        OFFSET 0 -- once, not for each place that a rank compares: that reads both arrays each time
    ) AS one
    WHERE NOT asked.is_center
) AS found ON true
ORDER BY found.is_asked, found.place

-- name: search
-- Users whose name or id starts with $1, by problems solved and then by id, after the position ($2, $3) if it is given;
-- $4 at most. Of more than $5 keys, the $6 users who had solved most when blocks were made; without blocks, the users of
-- the first $5 keys. Every row says which: `many`, and the time of the blocks; there is one even where nobody is found.
WITH asked AS MATERIALIZED (
    -- no key that starts with the first is after the last: none has more than 200 characters
    SELECT user_search_key($1) AS first_key, user_search_key($1) || repeat(chr(1114111), 200) AS last_key
),
few AS MATERIALIZED (
    SELECT keys.user_id
    FROM asked
    CROSS JOIN LATERAL (
        SELECT user_id
        FROM user_search_keys
        WHERE key >= asked.first_key AND key <= asked.last_key
        ORDER BY key, user_id
        LIMIT $5 + 1
    ) AS keys
),
-- one row if there are more
more AS MATERIALIZED (SELECT true AS is_many FROM few OFFSET $5 LIMIT 1),
many AS MATERIALIZED (SELECT as_of, fresh_until FROM more CROSS JOIN user_search_state),
-- groups of blocks of which every key matches
inner_groups AS MATERIALIZED (
    SELECT blocks.*
    FROM asked
    CROSS JOIN LATERAL (
        SELECT block, first_key, last_key, top_solved, top_user_ids, solved, user_ids
        FROM user_search_blocks
        WHERE first_key >= asked.first_key AND first_key <= asked.last_key AND block < 0
            AND last_key <= asked.last_key
    ) AS blocks
    WHERE EXISTS (SELECT FROM many)
),
-- the blocks of the groups, which follow each other; without groups, those before it are all
grouped AS MATERIALIZED (
    SELECT
        coalesce(32 * min(-1 - block), 2147483647) AS first_block, 32 * max(-block) AS next_block,
        coalesce(min(first_key), (SELECT last_key FROM asked)) AS first_key, max(last_key) AS last_key
    FROM inner_groups
),
-- groups, and blocks before and after them, of which every key matches
inner_blocks AS MATERIALIZED (
    SELECT top_solved, top_user_ids, solved, user_ids FROM inner_groups
    UNION ALL
    SELECT blocks.*
    FROM asked
    CROSS JOIN grouped
    CROSS JOIN LATERAL (
        SELECT top_solved, top_user_ids, solved, user_ids
        FROM user_search_blocks
        WHERE first_key >= asked.first_key AND first_key <= grouped.first_key
            AND block >= 0 AND block < grouped.first_block AND last_key <= asked.last_key
        UNION ALL
        SELECT top_solved, top_user_ids, solved, user_ids
        FROM user_search_blocks
        WHERE first_key >= grouped.last_key AND first_key <= asked.last_key
            AND block >= grouped.next_block AND last_key <= asked.last_key
    ) AS blocks
    WHERE EXISTS (SELECT FROM many)
),
-- a place before which there are enough: ten of each block, two keys of each user
enough AS MATERIALIZED (
    SELECT top_solved[10] AS solved, top_user_ids[10] AS user_id
    FROM inner_blocks
    WHERE top_solved[10] IS NOT NULL
    ORDER BY 1 DESC, 2
    OFFSET 2 * $6 / 10 - 1
    LIMIT 1
),
-- a count that enough have; of few blocks, all are compared
least AS MATERIALIZED (
    SELECT coalesce(
        (SELECT solved FROM enough),
        (
            SELECT one
            FROM inner_blocks
            CROSS JOIN LATERAL unnest(solved[:2 * $6]) AS one
            WHERE NOT EXISTS (SELECT FROM enough)
            ORDER BY one DESC
            OFFSET 2 * $6 - 1
            LIMIT 1
        ),
        0
    ) AS solved
),
-- the blocks with the best, and the two in which the range starts and ends
read_blocks AS MATERIALIZED (
    SELECT
        CASE WHEN beyond_ten THEN top.solved ELSE top_solved END AS solved,
        CASE WHEN beyond_ten THEN user_ids ELSE top_user_ids END AS user_ids
    FROM (
        SELECT inner_blocks.*
        FROM inner_blocks
        CROSS JOIN least
        WHERE top_solved[1] >= least.solved
        ORDER BY top_solved[1] DESC, top_user_ids[1]
        LIMIT 2 * $6
    ) AS top
    LEFT JOIN enough ON true
    CROSS JOIN LATERAL (
        SELECT coalesce((-top_solved[10], top_user_ids[10]) <= (-enough.solved, enough.user_id), true) AS beyond_ten
    ) AS compared
    UNION ALL
    SELECT blocks.*
    FROM asked
    CROSS JOIN LATERAL (
        (
            SELECT solved, user_ids
            FROM user_search_blocks
            WHERE first_key < asked.first_key AND block >= 0
            ORDER BY first_key DESC, block DESC
            LIMIT 1
        )
        UNION ALL
        (
            SELECT solved, user_ids
            FROM user_search_blocks
            WHERE first_key <= asked.last_key AND block >= 0
            ORDER BY first_key DESC, block DESC
            LIMIT 1
        )
    ) AS blocks
    WHERE EXISTS (SELECT FROM many)
),
best AS MATERIALIZED (
    SELECT DISTINCT one.solved, one.user_id
    FROM read_blocks
    CROSS JOIN least
    CROSS JOIN LATERAL (
        SELECT count(*)::integer AS size FROM unnest(read_blocks.solved) AS count WHERE count >= least.solved
    ) AS at_least
    CROSS JOIN LATERAL unnest(read_blocks.solved[:size], read_blocks.user_ids[:size]) AS one (solved, user_id)
    ORDER BY one.solved DESC, one.user_id -- so that names are compared until there are enough, and no longer
),
matching AS (
    SELECT one.*
    FROM (
        SELECT DISTINCT user_id FROM (SELECT user_id FROM few LIMIT $5) AS first WHERE NOT EXISTS (SELECT FROM many)
    ) AS candidates
    CROSS JOIN LATERAL (
        SELECT user_id, username, problems_solved, last_solved_at
        FROM users
        WHERE users.user_id = candidates.user_id AND {solve_projector.store.listing.is_shown}
        OFFSET 0 -- by the index: reading all users is never cheaper for long
    ) AS one
    UNION ALL
    (
        SELECT one.*
        FROM best
        CROSS JOIN asked
        CROSS JOIN LATERAL (
            SELECT user_id, username, problems_solved, last_solved_at
            FROM users
            WHERE users.user_id = best.user_id AND {solve_projector.store.listing.is_shown}
            OFFSET 0
        ) AS one
        WHERE starts_with(user_search_key(one.username), asked.first_key)
            OR starts_with(user_search_key(one.user_id), asked.first_key)
        ORDER BY best.solved DESC, best.user_id
        LIMIT $6
    )
)
SELECT
    EXISTS (SELECT FROM more) AS is_many, (SELECT as_of FROM many) AS as_of,
    coalesce((SELECT fresh_until < clock_timestamp() FROM many), EXISTS (SELECT FROM more)) AS is_stale, found.*
FROM (SELECT) AS always
LEFT JOIN (
    SELECT *
    FROM matching
    WHERE $2::integer IS NULL OR (-problems_solved, user_id) > (-$2, $3)
    ORDER BY problems_solved DESC, user_id
    LIMIT $4
) AS found ON true

-- name: users_named
-- Users with this name, which is not unique, by count and then by id.
SELECT users.user_id, users.username, users.problems_solved, users.last_solved_at
FROM user_search_keys
JOIN users USING (user_id)
WHERE user_search_keys.key = user_search_key($1) AND users.username = $1 AND {solve_projector.store.listing.is_shown}
ORDER BY users.problems_solved DESC, users.user_id
LIMIT $2

-- name: may_make_blocks
SELECT NOT EXISTS (SELECT FROM user_search_state WHERE fresh_until >= now())

-- name: unlimited
-- For this transaction, which may take longer than a request, and as much as one core.
SELECT
    set_config('statement_timeout', '0', true), set_config('transaction_timeout', '0', true),
    set_config('max_parallel_workers_per_gather', '0', true)

-- name: users_exactly
-- Users whose name or id is $1 in any capitals, of $2 keys at most: first who has this id, then who has this name.
SELECT users.user_id, users.username, users.problems_solved, users.last_solved_at
FROM (
    SELECT user_id
    FROM user_search_keys
    JOIN users USING (user_id)
    WHERE key = user_search_key($1) AND {solve_projector.store.listing.is_shown}
    ORDER BY user_id
    LIMIT $2
) AS keys
JOIN users USING (user_id)
ORDER BY users.user_id = $1 DESC, users.username = $1 DESC, users.problems_solved DESC, users.user_id

-- name: make_blocks
-- Replaces all blocks; the caller is the only one who does.
DELETE FROM user_search_blocks;

INSERT INTO user_search_blocks (block, first_key, last_key, top_solved, top_user_ids, solved, user_ids)
SELECT block, first_key, last_key, solved[:10], user_ids[:10], solved, user_ids
FROM (
    SELECT
        block, min(key) AS first_key, max(key) AS last_key,
        array_agg(problems_solved ORDER BY problems_solved DESC, user_id) AS solved,
        array_agg(user_id ORDER BY problems_solved DESC, user_id) AS user_ids
    FROM (
        SELECT key, user_id, problems_solved, (row_number() OVER (ORDER BY key, user_id) - 1) / 300 AS block
        FROM user_search_keys
        JOIN users USING (user_id)
        WHERE {solve_projector.store.listing.is_shown}
    ) AS numbered
    GROUP BY block
) AS made;

-- Groups of 32 blocks, numbered from -1 downwards, with the first 200: no search of many needs more of one.
INSERT INTO user_search_blocks (block, first_key, last_key, top_solved, top_user_ids, solved, user_ids)
SELECT block, first_key, last_key, solved[:10], user_ids[:10], solved, user_ids
FROM (
    SELECT -1 - block / 32 AS block, min(first_key) AS first_key, max(last_key) AS last_key
    FROM user_search_blocks
    GROUP BY 1
    HAVING count(*) = 32
) AS groups
CROSS JOIN LATERAL (
    SELECT array_agg(solved) AS solved, array_agg(user_id) AS user_ids
    FROM (
        SELECT one.solved, one.user_id
        FROM user_search_blocks AS blocks
        CROSS JOIN LATERAL unnest(blocks.solved[:200], blocks.user_ids[:200]) AS one (solved, user_id)
        WHERE blocks.first_key BETWEEN groups.first_key AND groups.last_key AND -1 - blocks.block / 32 = groups.block
        ORDER BY one.solved DESC, one.user_id
        LIMIT 200
    ) AS best
) AS best_of_group;

INSERT INTO user_search_state (as_of, fresh_until)
VALUES (now(), clock_timestamp() + greatest(49 * (clock_timestamp() - now()), interval '2 s'))
ON CONFLICT (singleton) DO UPDATE SET as_of = excluded.as_of, fresh_until = excluded.fresh_until;

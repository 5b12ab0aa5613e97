-- name: park_events
-- Keeps verdicts of users who do not exist, folded by the same rule as verdicts (I5).
INSERT INTO parked_events AS standing ({solve_projector.store.verdict_rows.columns})
SELECT *
FROM {solve_projector.store.verdict_rows.arrays}
{solve_projector.store.verdict_rows.replace}
{solve_projector.store.verdict_rows.by_the_rule}

-- name: unpark_users
-- Takes out all parked events of users, to be applied in the same transaction.
DELETE FROM parked_events
WHERE user_id = ANY ($1::text[])
RETURNING {solve_projector.store.verdict_rows.columns}

-- name: unpark_events
-- Takes out parked events by their keys, to be applied in the same transaction.
DELETE FROM parked_events
USING unnest($1::text[], $2::text[], $3::text[]) AS wanted (user_id, problem_id, submission_id)
WHERE parked_events.user_id = wanted.user_id
    AND parked_events.problem_id = wanted.problem_id
    AND parked_events.submission_id = wanted.submission_id
RETURNING
    parked_events.user_id, parked_events.problem_id, parked_events.submission_id, solved, judged_at, submitted_at,
    language, contest_id, reason, source_partition, source_offset, revision, source

-- name: lock_parked_events
-- Locks parked events by their keys: after the users, as everywhere (I11).
SELECT count(*)
FROM (
    SELECT 1
    FROM parked_events
    WHERE (user_id, problem_id, submission_id) IN (SELECT * FROM unnest($1::text[], $2::text[], $3::text[]))
    ORDER BY user_id, problem_id, submission_id
    FOR UPDATE
) AS locked

-- name: lock_parked_of_batch
-- Locks at most $2 parked events of the users $1, whom a batch creates, and those with the keys $3 to $5, which it
-- parks again; returns how many there are of the users.
SELECT count(*) FILTER (WHERE user_id = ANY ($1::text[]))
FROM (
    SELECT user_id
    FROM parked_events
    WHERE (user_id, problem_id, submission_id) IN (
        (
            SELECT user_id, problem_id, submission_id
            FROM parked_events
            WHERE user_id = ANY ($1::text[])
            LIMIT $2
        )
        UNION
        SELECT * FROM unnest($3::text[], $4::text[], $5::text[])
    )
    ORDER BY user_id, problem_id, submission_id
    FOR UPDATE
) AS locked

-- name: lock_parked
-- Locks the parked events of users, by key: after the users, as everywhere (I11).
SELECT count(*)
FROM (
    SELECT 1
    FROM parked_events
    WHERE user_id = ANY ($1::text[])
    ORDER BY user_id, problem_id, submission_id
    FOR UPDATE
) AS locked

-- name: acknowledge_parked
-- Takes a user's parked events out of the alerts; they still apply once the user exists (I5). The caller locked them.
UPDATE parked_events SET
    acknowledged_at = now(),
    acknowledged_by = $2,
    acknowledged_why = $3
WHERE user_id = $1 AND acknowledged_at IS NULL
RETURNING submission_id

-- name: parked_users
-- Users with parked events: how many, since when, and how many of them are acknowledged by whom.
SELECT
    user_id,
    count(*) AS events,
    min(parked_at) AS oldest_parked_at,
    count(acknowledged_at) AS acknowledged,
    string_agg(DISTINCT acknowledged_by, ', ') AS acknowledged_by
FROM parked_events
WHERE $1::integer IS NULL OR source_partition = $1
GROUP BY user_id
ORDER BY oldest_parked_at, user_id
LIMIT $2

-- name: read_parked
-- Parked events by user; a filter that is NULL matches everything.
SELECT {solve_projector.store.verdict_rows.columns}, parked_at, acknowledged_at, acknowledged_by, acknowledged_why
FROM parked_events
WHERE ($1::text IS NULL OR user_id = $1) AND ($2::integer IS NULL OR source_partition = $2)
ORDER BY user_id, problem_id, submission_id
LIMIT $3

-- name: dead_letter_parked_event
-- Turns a parked event that PostgreSQL refuses into a dead letter, as its record was (I4).
WITH refused AS (
    DELETE FROM parked_events
    WHERE user_id = $2 AND problem_id = $3 AND submission_id = $4
    RETURNING *
)
INSERT INTO dead_letters ({solve_projector.store.dead_letter_rows.columns})
SELECT
    $1, source_partition, source_offset, -1,
    convert_to(user_id, 'UTF8'),
    convert_to(
        jsonb_strip_nulls(jsonb_build_object(
            'submission_id', submission_id, 'user_id', user_id, 'problem_id', problem_id, 'judged_at', judged_at,
            'submitted_at', submitted_at, 'language', nullif(language, ''), 'contest_id', nullif(contest_id, ''),
            'reason', nullif(reason, ''), 'revision', nullif(revision, 0)
        ))::text,
        'UTF8'
    ),
    ARRAY['ce_type', 'ce_source'],
    ARRAY[
        convert_to(CASE WHEN solved THEN 'submission.solved.v1' ELSE 'submission.revoked.v1' END, 'UTF8'),
        convert_to(source, 'UTF8')
    ],
    'refused-by-database', $5, ARRAY[user_id]
FROM refused
ON CONFLICT (topic, partition, "offset") DO NOTHING

-- name: next_parked_users
-- The next $2 users after $1 who have parked events, and whether they exist by now: one step from user to user.
WITH RECURSIVE parked (user_id, place) AS (
    SELECT (SELECT user_id FROM parked_events WHERE user_id > $1 ORDER BY user_id LIMIT 1), 1
    UNION ALL
    SELECT
        (SELECT next.user_id FROM parked_events AS next WHERE next.user_id > parked.user_id ORDER BY user_id LIMIT 1),
        place + 1
    FROM parked
    WHERE parked.user_id IS NOT NULL AND place < $2
)
SELECT user_id, EXISTS (SELECT FROM users WHERE users.user_id = parked.user_id) AS known
FROM parked
WHERE user_id IS NOT NULL
ORDER BY user_id

-- name: parked_of_users
-- Keys of parked events of these users, if they still exist.
SELECT user_id, problem_id, submission_id
FROM parked_events
JOIN users USING (user_id)
WHERE user_id = ANY ($1::text[])
ORDER BY user_id, problem_id, submission_id
LIMIT $2

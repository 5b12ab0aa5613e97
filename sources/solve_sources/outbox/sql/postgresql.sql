-- name: lock
-- Of the transaction and this table; a relay that hangs inside loses its session.
SELECT pg_try_advisory_xact_lock(hashtextextended('solve_outbox', 'solve_outbox'::regclass::oid::bigint)),
    set_config('idle_in_transaction_session_timeout', $1, true)
-- name: read
-- The rows that wait, whenever they were committed; a payload that is too large is left where it is.
SELECT seq, type, CASE WHEN octet_length(payload::text) <= $2 THEN payload::text END
FROM solve_outbox WHERE state = 'waiting' ORDER BY seq LIMIT $1
-- name: delete
-- What the broker has.
DELETE FROM solve_outbox WHERE seq = ANY($1::bigint[])
-- name: keep
-- What the broker has, for judges that look at it later.
UPDATE solve_outbox SET state = 'published', state_at = now() WHERE seq = ANY($1::bigint[])
-- name: refuse
-- What is no event, each with its reason.
UPDATE solve_outbox SET state = 'refused', state_at = now(), reason = refused.reason
FROM unnest($1::bigint[], $2::text[]) AS refused (seq, reason) WHERE solve_outbox.seq = refused.seq
-- name: backlog
-- Rows that wait, the age of the first, rows that were refused; counted up to a limit.
SELECT (SELECT count(*) FROM (SELECT FROM solve_outbox WHERE state = 'waiting' LIMIT $1) AS waiting),
    coalesce(extract(epoch FROM clock_timestamp() - (
        SELECT created_at FROM solve_outbox WHERE state = 'waiting' ORDER BY seq LIMIT 1
    )), 0)::float8,
    (SELECT count(*) FROM (SELECT FROM solve_outbox WHERE state = 'refused' LIMIT $1) AS refused)

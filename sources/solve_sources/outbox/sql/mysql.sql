-- name: lock
-- Of the session and this database; names are of the whole server, and of 64 characters at most.
SELECT GET_LOCK(CONCAT('solve_outbox_', MD5(DATABASE())), 0)
-- name: unlock
-- For the next relay.
SELECT RELEASE_LOCK(CONCAT('solve_outbox_', MD5(DATABASE())))
-- name: read
-- The rows that wait, whenever they were committed; a payload that is too large is left where it is.
SELECT seq, type, IF(LENGTH(payload) <= %s, payload, NULL)
FROM solve_outbox WHERE state = 'waiting' ORDER BY seq LIMIT %s
-- name: delete
-- What the broker has.
DELETE FROM solve_outbox WHERE seq IN %s
-- name: keep
-- What the broker has, for judges that look at it later.
UPDATE solve_outbox SET state = 'published', state_at = NOW(6) WHERE seq IN %s
-- name: refuse
-- What is no event, with its reason.
UPDATE solve_outbox SET state = 'refused', state_at = NOW(6), reason = %s WHERE seq = %s
-- name: backlog
-- Rows that wait, the age of the first, rows that were refused; counted up to a limit.
SELECT (SELECT count(*) FROM (SELECT 1 FROM solve_outbox WHERE state = 'waiting' LIMIT %s) AS waiting),
    coalesce(TIMESTAMPDIFF(MICROSECOND, (
        SELECT created_at FROM solve_outbox WHERE state = 'waiting' ORDER BY seq LIMIT 1
    ), NOW(6)) / 1000000, 0),
    (SELECT count(*) FROM (SELECT 1 FROM solve_outbox WHERE state = 'refused' LIMIT %s) AS refused)

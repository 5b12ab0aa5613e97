-- Locks the parked events of users, by key: after the users, as everywhere (I11).
SELECT count(*)
FROM (
    SELECT 1
    FROM parked_events
    WHERE user_id = ANY ($1::text[])
    ORDER BY user_id, problem_id, submission_id
    FOR UPDATE
) AS locked

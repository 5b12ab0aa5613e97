-- How many stand before a position: $1 problems, $2 whole second (UTC, without a zone), $3 user.
SELECT count(*)
FROM users
WHERE problems_solved > 0
    AND problems_solved >= $1
    AND (
        problems_solved > $1
        OR (date_trunc('second', last_solved_at AT TIME ZONE 'UTC'), user_id) < ($2::timestamp, $3)
    )

-- One user's row, and their place counted over those who stand before them.
SELECT
    users.*,
    CASE WHEN users.problems_solved > 0 THEN 1 + (
        SELECT count(*)
        FROM users AS before
        WHERE before.problems_solved > users.problems_solved
            OR (
                before.problems_solved = users.problems_solved
                AND (date_trunc('second', before.last_solved_at AT TIME ZONE 'UTC'), before.user_id)
                    < (date_trunc('second', users.last_solved_at AT TIME ZONE 'UTC'), users.user_id)
            )
    ) END AS rank
FROM users
WHERE users.user_id = $1

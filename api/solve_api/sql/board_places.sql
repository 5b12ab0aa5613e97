-- The places of some users who are on the board of all time.
SELECT
    placed.problems_solved, extract(epoch FROM date_trunc('second', placed.last_solved_at))::bigint AS seconds,
    placed.user_id, 1 + (
        SELECT count(*)
        FROM users AS before
        WHERE before.problems_solved > 0
            AND before.problems_solved >= placed.problems_solved
            AND (
                before.problems_solved > placed.problems_solved
                OR (date_trunc('second', before.last_solved_at AT TIME ZONE 'UTC'), before.user_id)
                    < (date_trunc('second', placed.last_solved_at AT TIME ZONE 'UTC'), placed.user_id)
            )
    ) AS rank
FROM users AS placed
WHERE placed.user_id = ANY ($1::text[]) AND placed.problems_solved > 0

-- name: rank
-- The rank of `one` on the board `page`: one more than those who are better, all of whom stand in one row of places or
-- before it.
coalesce(
    (
        SELECT
            worst.before + 1 + (
                SELECT count(*)
                FROM unnest(worst.negated, worst.seconds) AS better (negated, second)
                WHERE (better.negated, better.second) < (one.negated, one.second)
            )::integer
        FROM (
            SELECT before, negated, seconds
            FROM kept_places
            WHERE generation = page.generation AND (first_negated, first_second) < (one.negated, one.second)
            ORDER BY first_negated DESC, first_second DESC, first_user_id DESC
            LIMIT 1
        ) AS worst
    ), 1
)

-- Counts users again from their verdicts, with a newer version, and leaves word for the board: no offset stands for it.
WITH counted AS (
    SELECT ids.user_id, count(firsts.first)::integer AS problems_solved, max(firsts.first) AS last_solved_at
    FROM unnest($1::text[]) AS ids (user_id)
    LEFT JOIN LATERAL (
        SELECT min(submitted_at) AS first
        FROM verdicts
        WHERE verdicts.user_id = ids.user_id AND solved
        GROUP BY problem_id
    ) AS firsts ON true
    GROUP BY ids.user_id
),
raised AS (
    UPDATE users SET
        problems_solved = counted.problems_solved,
        last_solved_at = counted.last_solved_at,
        version = greatest(users.version + 1, (extract(epoch FROM now()) * 1000000)::bigint)
    FROM counted
    WHERE users.user_id = counted.user_id
    RETURNING users.user_id
)
INSERT INTO leaderboard_outbox (user_id) SELECT user_id FROM raised

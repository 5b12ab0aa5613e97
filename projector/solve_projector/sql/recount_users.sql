-- Counts users again from their standing verdicts. The caller holds their row locks.
UPDATE users SET
    problems_solved = counted.problems_solved,
    last_solved_at = counted.last_solved_at
FROM (
    SELECT ids.user_id, count(firsts.first)::integer AS problems_solved, max(firsts.first) AS last_solved_at
    FROM unnest($1::text[]) AS ids (user_id)
    LEFT JOIN LATERAL (
        SELECT min(submitted_at) AS first
        FROM verdicts
        WHERE verdicts.user_id = ids.user_id AND solved
        GROUP BY problem_id
    ) AS firsts ON true
    GROUP BY ids.user_id
) AS counted
WHERE users.user_id = counted.user_id
RETURNING users.user_id, users.problems_solved, users.last_solved_at, users.version

-- name: clear_dead_letters
-- Removes dead letters that the log does not have. A discarded one stays, with who discarded it and why.
DELETE FROM dead_letters
WHERE topic = $1
    AND discarded_at IS NULL
    AND NOT EXISTS (
        SELECT
        FROM solve_replay_rejected AS said
        WHERE (said.partition, said."offset") = (dead_letters.partition, dead_letters."offset")
    )

-- name: load_cold
-- Writes everything at once into empty tables; the caller holds the offset rows. Users of the site are kept.
INSERT INTO users (
    user_id, username, registered_at, listed, nameless, origin, problems_solved, last_solved_at, version
)
SELECT
    names.user_id, names.username, names.registered_at, NOT names.unlisted, names.username = '', 'log',
    coalesce(counts.problems_solved, 0), counts.last_solved_at, (extract(epoch FROM now()) * 1000000)::bigint
FROM solve_replay_names AS names
LEFT JOIN solve_replay_counts AS counts USING (user_id)
ORDER BY names.user_id
ON CONFLICT (user_id) DO NOTHING;
{solve_projector.replay.said_users.take_names};

DELETE FROM user_removals
WHERE NOT EXISTS (SELECT FROM solve_replay_removed AS said WHERE said.user_id = user_removals.user_id);
WITH said AS (
    SELECT * FROM solve_replay_removed
),
{solve_projector.replay.said_users.write_removals};

DELETE FROM problem_recounts;
DELETE FROM problem_facts;
INSERT INTO problem_facts ({solve_projector.store.withdrawals.columns})
SELECT {solve_projector.store.withdrawals.columns}
FROM solve_replay_problems;

UPDATE users SET
    {solve_projector.store.user_states.take_over}
FROM (
    {solve_projector.store.user_states.states}
    WHERE users.removed OR removal.user_id IS NOT NULL
) AS state
WHERE users.user_id = state.user_id
    AND {solve_projector.store.user_states.is_unlike};

UPDATE users SET
    problems_solved = coalesce(counts.problems_solved, 0),
    last_solved_at = counts.last_solved_at,
    version = greatest(users.version + 1, (extract(epoch FROM now()) * 1000000)::bigint)
FROM users AS everybody
LEFT JOIN solve_replay_counts AS counts USING (user_id)
WHERE users.user_id = everybody.user_id
    AND (
        (users.problems_solved, users.last_solved_at)
            IS DISTINCT FROM (coalesce(counts.problems_solved, 0), counts.last_solved_at)
        -- of who was here before: the same count can be of other solves
        OR (counts.problems_solved > 0 AND users.version < (extract(epoch FROM now()) * 1000000)::bigint)
    );

-- staging lies in the key's order already, which is how an index grows fastest
INSERT INTO verdicts
SELECT *
FROM solve_replay_standing AS standing
WHERE EXISTS (SELECT FROM solve_replay_known WHERE solve_replay_known.user_id = standing.user_id);

-- no verdict stands, so whatever stands here is of none
DELETE FROM solves;
INSERT INTO solves ({solve_projector.store.solve_rows.columns})
SELECT {solve_projector.store.solve_rows.columns}
FROM solve_replay_solves AS said
WHERE EXISTS (SELECT FROM solve_replay_known WHERE solve_replay_known.user_id = said.user_id);

DELETE FROM parked_events
WHERE NOT EXISTS (
    SELECT
    FROM solve_replay_standing AS said
    WHERE (said.user_id, said.problem_id, said.submission_id)
            = (parked_events.user_id, parked_events.problem_id, parked_events.submission_id)
        AND NOT EXISTS (SELECT FROM solve_replay_known WHERE solve_replay_known.user_id = said.user_id)
);
INSERT INTO parked_events ({solve_projector.store.verdict_rows.columns})
SELECT *
FROM solve_replay_standing AS standing
WHERE NOT EXISTS (SELECT FROM solve_replay_known WHERE solve_replay_known.user_id = standing.user_id)
{solve_projector.store.verdict_rows.replace};

UPDATE leaderboard_epoch SET epoch = epoch + 1;

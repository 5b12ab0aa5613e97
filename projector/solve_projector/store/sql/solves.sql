-- name: settle_pairs
-- Settles problems of locked users, of which a standing solve was taken back or became another.
WITH pairs AS (
    SELECT DISTINCT user_id, problem_id FROM unnest($1::text[], $2::text[]) AS pairs (user_id, problem_id)
),
{solve_projector.store.settling.settle}

-- name: settle_users
-- Settles all problems of locked users.
WITH pairs AS (
    SELECT user_id, problem_id FROM verdicts WHERE user_id = ANY ($1::text[])
    UNION
    SELECT user_id, problem_id FROM solves WHERE user_id = ANY ($1::text[])
),
{solve_projector.store.settling.settle}

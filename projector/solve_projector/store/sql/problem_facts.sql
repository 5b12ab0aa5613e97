-- name: write_problem_facts
-- Keeps facts about problems, each problem once, and asks for the recounts that follow; returns of which problems. The
-- caller has locked nothing that comes later (I11).
WITH written AS (
    INSERT INTO problem_facts AS standing ({solve_projector.store.withdrawals.columns})
    SELECT *
    FROM unnest($1::text[], $2::timestamptz[], $3::boolean[], $4::text[])
        AS fact ({solve_projector.store.withdrawals.columns})
    ORDER BY problem_id COLLATE "C"
    {solve_projector.store.withdrawals.by_the_rule}
    RETURNING new.problem_id, new.withdrawn <> coalesce(old.withdrawn, false) AS is_flipped
),
flipped AS (
    SELECT problem_id FROM written WHERE is_flipped
)
{solve_projector.store.withdrawals.ask_for_recounts}

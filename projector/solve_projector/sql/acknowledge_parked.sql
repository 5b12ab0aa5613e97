-- Makes a user's parked events quiet; they still apply once the user exists (I5). The caller holds their locks.
UPDATE parked_events SET
    acknowledged_at = now(),
    acknowledged_by = $2,
    acknowledged_why = $3
WHERE user_id = $1 AND acknowledged_at IS NULL
RETURNING submission_id

-- Locks dead letters by id: after users and parked events, so that nobody waits for anything while holding them (I11).
SELECT dead_letter_id, discarded_at, discarded_by, discarded_why
FROM dead_letters
WHERE dead_letter_id = ANY ($1::bigint[])
ORDER BY dead_letter_id
FOR UPDATE

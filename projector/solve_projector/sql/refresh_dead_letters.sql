-- Says of dead letters why they cannot be applied today. The caller holds their locks.
UPDATE dead_letters SET
    reason = said.reason,
    detail = said.detail
FROM unnest($1::bigint[], $2::text[], $3::text[]) AS said (dead_letter_id, reason, detail)
WHERE dead_letters.dead_letter_id = said.dead_letter_id
    AND (dead_letters.reason, dead_letters.detail) IS DISTINCT FROM (said.reason, said.detail)

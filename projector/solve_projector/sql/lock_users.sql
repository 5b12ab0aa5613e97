-- Locks the users that a batch names, by id, and says which of them exist (I11).
-- A statement of its own: one that locks and reads keeps the snapshot from before it waited.
SELECT user_id
FROM users
WHERE user_id = ANY ($1::text[])
ORDER BY user_id
FOR UPDATE

-- name: registered
-- A part of statements: the `names` of the log, or else what the site wrote into `users`.
SELECT
    coalesce(names.username, users.username) AS username,
    coalesce(NOT names.unlisted, users.listed) AS listed,
    coalesce(names.registered_at, '-infinity') AS registered_at

-- name: registered
-- A part of statements: what the `names` of the log say, or else what the site wrote into `users`.
SELECT
    CASE
        WHEN names.username = '' AND (users.origin = 'site' OR users.nameless) THEN users.username
        ELSE coalesce(names.username, users.username)
    END AS username,
    coalesce(NOT names.unlisted, users.listed) AS listed,
    coalesce(names.registered_at, '-infinity') AS registered_at

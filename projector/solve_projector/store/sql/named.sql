-- Parts of statements: which name a user has of what `names` says, the latest registration (no row: none).

-- name: username
-- Without one a user keeps the name that the site gave.
CASE
    WHEN names.username = '' AND (users.origin = 'site' OR users.nameless) THEN users.username
    ELSE coalesce(names.username, users.username)
END

-- name: take_erased
-- What follows `written` removals: a new erasure takes a name that the log does not say, whatever it says of the user since.
UPDATE users SET username = ''
FROM written
WHERE users.user_id = written.user_id AND written.erases AND users.nameless

-- name: erases
-- Whether a removal that is written, `old` by `new`, is such a one.
coalesce(new.erased_at > coalesce(old.erased_at, '-infinity'), false) AS erases

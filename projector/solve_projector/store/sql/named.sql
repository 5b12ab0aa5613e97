-- name: username
-- A part of updates: the name of what is `registered`. Without one a user keeps the name that the site gave.
CASE
    WHEN registered.username = '' AND (users.origin = 'site' OR users.nameless) THEN users.username
    ELSE registered.username
END

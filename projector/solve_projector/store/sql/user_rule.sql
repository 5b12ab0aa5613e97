-- Parts of statements: what follows from a user's facts, wherever those stand. `domain/rule.py` says the same.

-- name: registered_at
-- When the log registered `users`: what a site says of the time is no registration, and none is older than any.
coalesce(CASE WHEN users.origin = 'log' THEN users.registered_at END, '-infinity')

-- name: state
-- Of what was `registered` (username, listed, registered_at) and the `removal`: a registration as late as that loses to
-- it. Of an erased user name and listing are the defaults.
SELECT
    CASE WHEN found.erased THEN '' ELSE registered.username END AS username,
    found.erased OR registered.listed AS listed,
    found.erased,
    coalesce(removal.removed_at >= registered.registered_at, false) AS removed
FROM (SELECT coalesce(removal.erased_at >= registered.registered_at, false) AS erased) AS found

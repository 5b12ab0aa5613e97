-- name: is_shown
-- Whether a row of `users` is on boards.
users.listed AND NOT users.removed

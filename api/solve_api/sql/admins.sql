SELECT admin_id, name, created_at, password_changed_at, disabled_at,
       (SELECT count(*) FROM admin_sessions s WHERE s.admin_id = a.admin_id AND s.expires_at > now()) AS sessions,
       (
           SELECT count(*) FROM admin_tokens t
           WHERE t.admin_id = a.admin_id AND t.revoked_at IS NULL AND t.expires_at > now()
       ) AS tokens
FROM admins a
ORDER BY name

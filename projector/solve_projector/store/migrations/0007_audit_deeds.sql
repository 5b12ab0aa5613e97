-- Additive: what cannot be done in one transaction has two rows in the activity, one before it starts and one after it
-- ended. Both name the deed: a row that says "started" without a later one is of work that runs, or that was killed.
ALTER TABLE admin_audit ADD COLUMN deed uuid;
CREATE INDEX admin_audit_deed_idx ON admin_audit (deed) WHERE deed IS NOT NULL;

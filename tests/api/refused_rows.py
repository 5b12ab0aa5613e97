"""Ways in which a database keeps rows out of the activity: at once, when it commits, or without a word."""

RAISING = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not in this table'; END $$;
"""
AT_ONCE = f"{RAISING} CREATE TRIGGER refuse BEFORE INSERT ON admin_audit FOR EACH ROW EXECUTE FUNCTION refuse()"
UNLESS_STARTED = AT_ONCE.replace("FOR EACH ROW", "FOR EACH ROW WHEN (NEW.result <> 'started')")
AT_COMMIT = f"""{RAISING}
CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON admin_audit DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION refuse()
"""
SILENTLY = AT_ONCE.replace("RAISE EXCEPTION 'not in this table'", "RETURN NULL")
DELETING = AT_ONCE.replace("BEFORE INSERT", "AFTER INSERT").replace(
    "RAISE EXCEPTION 'not in this table'", "DELETE FROM admin_audit WHERE audit_id = NEW.audit_id; RETURN NULL"
)
DELETING_AT_COMMIT = AT_COMMIT.replace(
    "RAISE EXCEPTION 'not in this table'", "DELETE FROM admin_audit WHERE audit_id = NEW.audit_id; RETURN NULL"
)
CHANGING = AT_ONCE.replace("RAISE EXCEPTION 'not in this table'", "NEW.who = 'nobody'; RETURN NEW")
ANTEDATING = AT_ONCE.replace("RAISE EXCEPTION 'not in this table'", "NEW.at = 'epoch'; RETURN NEW")
ELSEWHERE = """
CREATE TABLE elsewhere (LIKE admin_audit INCLUDING ALL);
CREATE RULE refuse AS ON INSERT TO admin_audit DO INSTEAD
INSERT INTO elsewhere (who, via, action, detail, result, request_id, client, deed)
VALUES (NEW.who, NEW.via, NEW.action, NEW.detail, NEW.result, NEW.request_id, NEW.client, NEW.deed) RETURNING *
"""
BY_A_RULE = "CREATE RULE refuse AS ON INSERT TO admin_audit DO INSTEAD NOTHING"
NO_MORE = "DROP TRIGGER refuse ON admin_audit"

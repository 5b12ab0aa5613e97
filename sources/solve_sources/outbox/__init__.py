"""The transactional outbox: a table in a judge's own database, and the relay that brings its rows to the log."""

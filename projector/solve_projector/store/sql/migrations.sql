-- name: version_table
-- The table that says which revision the tables are at; NULL in a schema without our tables.
SELECT to_regclass('solve_counts_migration')

-- name: revision
SELECT max(version_num) FROM solve_counts_migration

-- name: create_version_table
CREATE TABLE IF NOT EXISTS solve_counts_migration (
    version_num varchar(32) NOT NULL,
    CONSTRAINT solve_counts_migration_pkc PRIMARY KEY (version_num)
)

-- name: add_revision
INSERT INTO solve_counts_migration (version_num) VALUES ($1)

-- name: remove_other_revisions
DELETE FROM solve_counts_migration WHERE version_num <> $1

-- name: foreign_table
-- One of these tables that is in a schema already.
SELECT min(table_name) FROM information_schema.tables WHERE table_schema = $1 AND table_name = ANY ($2)

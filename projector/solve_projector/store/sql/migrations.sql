-- name: version_table
-- The table that says which revision fences older writers; NULL in a schema without our tables.
SELECT to_regclass('solve_counts_migration')

-- name: addition_table
-- NULL in a schema of a version before there were additive revisions.
SELECT to_regclass('solve_counts_addition')

-- name: hidden_schema
-- Whether the schema is there, but not for this role: it finds no table in it.
SELECT NOT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = $1

-- name: denied_tables
-- Those of these tables that this role may not read, as one text; NULL if none.
SELECT string_agg(relname, ', ' ORDER BY relname)
FROM pg_class
WHERE oid = ANY (SELECT to_regclass(name) FROM unnest($1::text[]) AS name) AND NOT has_table_privilege(oid, 'SELECT')

-- name: fence
SELECT max(version_num) FROM solve_counts_migration

-- name: additions
SELECT version_num FROM solve_counts_addition

-- name: create_version_tables
CREATE TABLE IF NOT EXISTS solve_counts_migration (
    version_num varchar(32) NOT NULL,
    CONSTRAINT solve_counts_migration_pkc PRIMARY KEY (version_num)
);
CREATE TABLE IF NOT EXISTS solve_counts_addition (
    version_num text NOT NULL,
    CONSTRAINT solve_counts_addition_pkey PRIMARY KEY (version_num)
)

-- name: add_addition
INSERT INTO solve_counts_addition (version_num) VALUES ($1)

-- name: set_fence
-- One row, the newest revision that is not additive.
WITH older AS (
    DELETE FROM solve_counts_migration WHERE version_num <> $1
)
INSERT INTO solve_counts_migration (version_num) VALUES ($1)

-- name: lock_all_offsets
SELECT 1 FROM partition_offsets ORDER BY topic, partition FOR UPDATE

-- name: foreign_table
-- One of these tables that is in a schema already.
SELECT min(table_name) FROM information_schema.tables WHERE table_schema = $1 AND table_name = ANY ($2)

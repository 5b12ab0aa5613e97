CREATE FUNCTION public.add_user_search_keys() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    INSERT INTO user_search_keys (key, user_id)
    SELECT user_search_key(name), user_id
    FROM added
    CROSS JOIN LATERAL (VALUES (username), (user_id)) AS names (name)
    WHERE octet_length(user_id) <= 800
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;
CREATE FUNCTION public.clear_user_search_keys() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    TRUNCATE user_search_keys;
    RETURN NULL;
END
$$;
CREATE FUNCTION public.remove_user_search_keys() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_catalog', 'pg_temp'
    AS $$
BEGIN
    DELETE FROM user_search_keys
    USING removed, LATERAL (VALUES (username), (removed.user_id)) AS names (name)
    WHERE user_search_keys.key = user_search_key(name) AND user_search_keys.user_id = removed.user_id;
    RETURN NULL;
END
$$;
CREATE FUNCTION public.rename_user_search_keys() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'public', 'pg_catalog', 'pg_temp', 'pg_temp'
    AS $$
BEGIN
    DELETE FROM user_search_keys
    WHERE user_id = OLD.user_id AND key IN (user_search_key(OLD.username), user_search_key(OLD.user_id));
    INSERT INTO user_search_keys (key, user_id)
    SELECT user_search_key(name), NEW.user_id
    FROM (VALUES (NEW.username), (NEW.user_id)) AS names (name)
    WHERE octet_length(NEW.user_id) <= 800
    ON CONFLICT DO NOTHING;
    IF NEW.username = '' AND EXISTS (
        SELECT FROM user_search_blocks WHERE user_search_key(OLD.username) IN (first_key, last_key)
    ) THEN
        DELETE FROM user_search_blocks
        WHERE (first_key, block) IN (SELECT first_key, block FROM user_search_blocks FOR UPDATE SKIP LOCKED);
        DELETE FROM user_search_state
        WHERE singleton IN (SELECT singleton FROM user_search_state FOR UPDATE SKIP LOCKED);
    END IF;
    RETURN NULL;
END
$$;
CREATE FUNCTION public.require_writer() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'public', 'pg_catalog'
    AS $$
DECLARE
    needed CONSTANT text := (SELECT max(version_num) FROM solve_counts_migration);
    writer CONSTANT text := coalesce(nullif(current_setting('solve.revision', true), ''), '0004');
BEGIN
    IF writer < needed THEN
        RAISE EXCEPTION 'the tables are at revision % and this writer is of revision %; upgrade solve-counts', needed, writer
            USING ERRCODE = 'SC001';
    END IF;
    RETURN NULL;
END
$$;
CREATE FUNCTION public.user_search_key(name text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN "left"(CASE WHEN (octet_length(name) = char_length(name)) THEN casefold((name COLLATE pg_unicode_fast)) ELSE NORMALIZE(casefold((NORMALIZE(name, NFKC) COLLATE pg_unicode_fast)), NFKC) END, 200);
CREATE TABLE public.admin_audit (
    audit_id bigint NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    who text NOT NULL,
    via text NOT NULL,
    action text NOT NULL,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL,
    result text NOT NULL,
    request_id text DEFAULT ''::text NOT NULL,
    client text DEFAULT ''::text NOT NULL,
    deed uuid
);
ALTER TABLE public.admin_audit ALTER COLUMN audit_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.admin_audit_audit_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.admin_jobs (
    job_id uuid NOT NULL,
    kind text NOT NULL,
    dry_run boolean NOT NULL,
    started_by text NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    beaten_at timestamp with time zone DEFAULT now() NOT NULL,
    finished_at timestamp with time zone,
    state text DEFAULT 'running'::text NOT NULL,
    progress jsonb DEFAULT '{}'::jsonb NOT NULL,
    report jsonb,
    error text,
    CONSTRAINT admin_jobs_finished_check CHECK (((finished_at IS NULL) = (state = 'running'::text))),
    CONSTRAINT admin_jobs_state_check CHECK ((state = ANY (ARRAY['running'::text, 'done'::text, 'failed'::text, 'interrupted'::text])))
);
CREATE TABLE public.admin_lockouts (
    name text NOT NULL COLLATE pg_catalog."C",
    failures integer NOT NULL,
    last_failed_at timestamp with time zone NOT NULL,
    locked_until timestamp with time zone
);
CREATE TABLE public.admin_sessions (
    session_hash bytea NOT NULL,
    admin_id bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    last_seen_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    client text DEFAULT ''::text NOT NULL
);
CREATE TABLE public.admin_tokens (
    token_id bigint NOT NULL,
    token_hash bytea NOT NULL,
    admin_id bigint NOT NULL,
    label text NOT NULL,
    scopes text[] NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    last_used_at timestamp with time zone,
    revoked_at timestamp with time zone
);
ALTER TABLE public.admin_tokens ALTER COLUMN token_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.admin_tokens_token_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.admins (
    admin_id bigint NOT NULL,
    name text NOT NULL COLLATE pg_catalog."C",
    password_hash text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    password_changed_at timestamp with time zone DEFAULT now() NOT NULL,
    disabled_at timestamp with time zone,
    CONSTRAINT admins_name_check CHECK ((name ~ '^[a-z0-9][a-z0-9._@-]{0,63}$'::text))
);
ALTER TABLE public.admins ALTER COLUMN admin_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.admins_admin_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.dead_letters (
    dead_letter_id bigint NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    broker_timestamp_ms bigint NOT NULL,
    key bytea,
    value bytea,
    header_names text[] NOT NULL,
    header_values bytea[] NOT NULL,
    reason text NOT NULL,
    detail text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    discarded_at timestamp with time zone,
    discarded_by text,
    discarded_why text,
    user_ids text[] COLLATE pg_catalog."C",
    erased boolean DEFAULT false NOT NULL,
    CONSTRAINT dead_letters_discarded_check CHECK ((num_nulls(discarded_at, discarded_by, discarded_why) = ANY (ARRAY[0, 3])))
);
ALTER TABLE public.dead_letters ALTER COLUMN dead_letter_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.dead_letters_dead_letter_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE UNLOGGED TABLE public.kept_boards (
    begins_at timestamp with time zone NOT NULL,
    ends_at timestamp with time zone NOT NULL,
    generation bigint NOT NULL,
    total integer NOT NULL,
    computed_at timestamp with time zone NOT NULL,
    built_at timestamp with time zone NOT NULL,
    asked_at timestamp with time zone NOT NULL
);
CREATE UNLOGGED TABLE public.kept_places (
    generation bigint NOT NULL,
    before integer NOT NULL,
    first_negated integer NOT NULL,
    first_second bigint NOT NULL,
    first_user_id text NOT NULL COLLATE pg_catalog."C",
    negated integer[] NOT NULL,
    seconds bigint[] NOT NULL,
    user_ids text[] NOT NULL COLLATE pg_catalog."C"
);
ALTER TABLE ONLY public.kept_places ALTER COLUMN negated SET STORAGE EXTERNAL;
ALTER TABLE ONLY public.kept_places ALTER COLUMN seconds SET STORAGE EXTERNAL;
ALTER TABLE ONLY public.kept_places ALTER COLUMN user_ids SET STORAGE EXTERNAL;
CREATE UNLOGGED TABLE public.kept_ranks (
    generation bigint NOT NULL,
    first_user_id text NOT NULL COLLATE pg_catalog."C",
    user_ids text[] NOT NULL COLLATE pg_catalog."C",
    ranks integer[] NOT NULL
);
ALTER TABLE ONLY public.kept_ranks ALTER COLUMN user_ids SET STORAGE EXTERNAL;
ALTER TABLE ONLY public.kept_ranks ALTER COLUMN ranks SET STORAGE EXTERNAL;
CREATE TABLE public.leaderboard_epoch (
    singleton boolean DEFAULT true NOT NULL,
    epoch bigint DEFAULT 1 NOT NULL,
    CONSTRAINT leaderboard_epoch_singleton_check CHECK (singleton)
);
CREATE TABLE public.leaderboard_outbox (
    outbox_id bigint NOT NULL,
    user_id text NOT NULL COLLATE pg_catalog."C"
);
ALTER TABLE public.leaderboard_outbox ALTER COLUMN outbox_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.leaderboard_outbox_outbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.parked_events (
    user_id text CONSTRAINT verdicts_user_id_not_null NOT NULL COLLATE pg_catalog."C",
    problem_id text CONSTRAINT verdicts_problem_id_not_null NOT NULL COLLATE pg_catalog."C",
    submission_id text CONSTRAINT verdicts_submission_id_not_null NOT NULL COLLATE pg_catalog."C",
    solved boolean CONSTRAINT verdicts_solved_not_null NOT NULL,
    judged_at timestamp with time zone CONSTRAINT verdicts_judged_at_not_null NOT NULL,
    submitted_at timestamp with time zone,
    language text CONSTRAINT verdicts_language_not_null NOT NULL COLLATE pg_catalog."C",
    contest_id text CONSTRAINT verdicts_contest_id_not_null NOT NULL COLLATE pg_catalog."C",
    reason text CONSTRAINT verdicts_reason_not_null NOT NULL COLLATE pg_catalog."C",
    source_partition integer CONSTRAINT verdicts_source_partition_not_null NOT NULL,
    source_offset bigint CONSTRAINT verdicts_source_offset_not_null NOT NULL,
    parked_at timestamp with time zone DEFAULT now() NOT NULL,
    acknowledged_at timestamp with time zone,
    acknowledged_by text,
    acknowledged_why text,
    revision bigint DEFAULT 0 NOT NULL,
    source text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT parked_events_acknowledged_check CHECK ((num_nulls(acknowledged_at, acknowledged_by, acknowledged_why) = ANY (ARRAY[0, 3]))),
    CONSTRAINT verdicts_submitted_at_check CHECK ((solved = (submitted_at IS NOT NULL)))
);
CREATE TABLE public.partition_offsets (
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint DEFAULT 0 NOT NULL,
    first_offset bigint,
    first_timestamp_ms bigint,
    last_offset bigint,
    last_timestamp_ms bigint,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT partition_offsets_next_offset_check CHECK ((next_offset >= 0))
)
WITH (fillfactor='50');
CREATE TABLE public.problem_facts (
    problem_id text NOT NULL COLLATE pg_catalog."C",
    decided_at timestamp with time zone NOT NULL,
    withdrawn boolean NOT NULL,
    reason text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.problem_recounts (
    problem_id text NOT NULL COLLATE pg_catalog."C",
    ticket bigint NOT NULL,
    asked_at timestamp with time zone DEFAULT now() NOT NULL,
    after_user_id text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    after_problem_id text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C"
);
ALTER TABLE public.problem_recounts ALTER COLUMN ticket ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.problem_recounts_ticket_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.replay_runs (
    replay_run_id bigint NOT NULL,
    topic text NOT NULL,
    finished_at timestamp with time zone DEFAULT now() NOT NULL,
    dry_run boolean NOT NULL,
    drift boolean NOT NULL,
    total_users bigint NOT NULL,
    drifted_users bigint NOT NULL,
    records_read bigint NOT NULL
);
ALTER TABLE public.replay_runs ALTER COLUMN replay_run_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.replay_runs_replay_run_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE public.solve_counts_addition (
    version_num text NOT NULL
);
CREATE TABLE public.solve_counts_migration (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.solves (
    user_id text NOT NULL COLLATE pg_catalog."C",
    problem_id text NOT NULL COLLATE pg_catalog."C",
    solved_at timestamp with time zone NOT NULL,
    submission_id text NOT NULL COLLATE pg_catalog."C",
    language text NOT NULL COLLATE pg_catalog."C",
    contest_id text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE public.superseded_verdicts (
    user_id text NOT NULL COLLATE pg_catalog."C",
    problem_id text NOT NULL COLLATE pg_catalog."C",
    submission_id text NOT NULL COLLATE pg_catalog."C",
    judged_at timestamp with time zone NOT NULL,
    solved boolean NOT NULL,
    source_partition integer NOT NULL,
    source_offset bigint NOT NULL,
    losing boolean NOT NULL
);
CREATE TABLE public.user_removals (
    user_id text NOT NULL COLLATE pg_catalog."C",
    removed_at timestamp with time zone NOT NULL,
    reason text NOT NULL COLLATE pg_catalog."C",
    erased_at timestamp with time zone,
    CONSTRAINT user_removals_erased_at_check CHECK ((erased_at <= removed_at))
);
CREATE UNLOGGED TABLE public.user_search_blocks (
    block integer NOT NULL,
    first_key text NOT NULL COLLATE pg_catalog."C",
    last_key text NOT NULL COLLATE pg_catalog."C",
    top_solved integer[] NOT NULL,
    top_user_ids text[] NOT NULL COLLATE pg_catalog."C",
    solved integer[] NOT NULL,
    user_ids text[] NOT NULL COLLATE pg_catalog."C"
)
WITH (toast_tuple_target='512');
ALTER TABLE ONLY public.user_search_blocks ALTER COLUMN top_solved SET STORAGE MAIN;
ALTER TABLE ONLY public.user_search_blocks ALTER COLUMN top_user_ids SET STORAGE MAIN;
ALTER TABLE ONLY public.user_search_blocks ALTER COLUMN solved SET STORAGE EXTERNAL;
ALTER TABLE ONLY public.user_search_blocks ALTER COLUMN user_ids SET STORAGE EXTERNAL;
CREATE TABLE public.user_search_keys (
    key text NOT NULL COLLATE pg_catalog."C",
    user_id text NOT NULL COLLATE pg_catalog."C"
);
CREATE UNLOGGED TABLE public.user_search_state (
    singleton boolean DEFAULT true NOT NULL,
    as_of timestamp with time zone NOT NULL,
    fresh_until timestamp with time zone NOT NULL,
    CONSTRAINT user_search_state_singleton_check CHECK (singleton)
);
CREATE TABLE public.users (
    user_id text NOT NULL COLLATE pg_catalog."C",
    username text NOT NULL,
    registered_at timestamp with time zone,
    origin text DEFAULT 'site'::text NOT NULL,
    problems_solved integer DEFAULT 0 NOT NULL,
    last_solved_at timestamp with time zone,
    version bigint DEFAULT 0 NOT NULL,
    listed boolean DEFAULT true NOT NULL,
    removed boolean DEFAULT false NOT NULL,
    nameless boolean DEFAULT false NOT NULL,
    CONSTRAINT users_last_solved_at_check CHECK (((last_solved_at IS NULL) = (problems_solved = 0))),
    CONSTRAINT users_origin_check CHECK ((origin = ANY (ARRAY['log'::text, 'site'::text]))),
    CONSTRAINT users_problems_solved_check CHECK ((problems_solved >= 0))
)
WITH (fillfactor='50');
CREATE TABLE public.verdicts (
    user_id text NOT NULL COLLATE pg_catalog."C",
    problem_id text NOT NULL COLLATE pg_catalog."C",
    submission_id text NOT NULL COLLATE pg_catalog."C",
    solved boolean NOT NULL,
    judged_at timestamp with time zone NOT NULL,
    submitted_at timestamp with time zone,
    language text NOT NULL COLLATE pg_catalog."C",
    contest_id text NOT NULL COLLATE pg_catalog."C",
    reason text NOT NULL COLLATE pg_catalog."C",
    source_partition integer NOT NULL,
    source_offset bigint NOT NULL,
    revision bigint DEFAULT 0 NOT NULL,
    source text DEFAULT ''::text NOT NULL COLLATE pg_catalog."C",
    CONSTRAINT verdicts_submitted_at_check CHECK ((solved = (submitted_at IS NOT NULL)))
);
ALTER TABLE ONLY public.admin_audit
    ADD CONSTRAINT admin_audit_pkey PRIMARY KEY (audit_id);
ALTER TABLE ONLY public.admin_jobs
    ADD CONSTRAINT admin_jobs_pkey PRIMARY KEY (job_id);
ALTER TABLE ONLY public.admin_lockouts
    ADD CONSTRAINT admin_lockouts_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.admin_sessions
    ADD CONSTRAINT admin_sessions_pkey PRIMARY KEY (session_hash);
ALTER TABLE ONLY public.admin_tokens
    ADD CONSTRAINT admin_tokens_pkey PRIMARY KEY (token_id);
ALTER TABLE ONLY public.admin_tokens
    ADD CONSTRAINT admin_tokens_token_hash_key UNIQUE (token_hash);
ALTER TABLE ONLY public.admins
    ADD CONSTRAINT admins_name_key UNIQUE (name);
ALTER TABLE ONLY public.admins
    ADD CONSTRAINT admins_pkey PRIMARY KEY (admin_id);
ALTER TABLE ONLY public.dead_letters
    ADD CONSTRAINT dead_letters_pkey PRIMARY KEY (dead_letter_id);
ALTER TABLE ONLY public.dead_letters
    ADD CONSTRAINT dead_letters_record_key UNIQUE (topic, partition, "offset");
ALTER TABLE ONLY public.kept_boards
    ADD CONSTRAINT kept_boards_pkey PRIMARY KEY (begins_at, ends_at);
ALTER TABLE ONLY public.kept_places
    ADD CONSTRAINT kept_places_pkey PRIMARY KEY (generation, before);
ALTER TABLE ONLY public.kept_ranks
    ADD CONSTRAINT kept_ranks_pkey PRIMARY KEY (generation, first_user_id);
ALTER TABLE ONLY public.leaderboard_epoch
    ADD CONSTRAINT leaderboard_epoch_pkey PRIMARY KEY (singleton);
ALTER TABLE ONLY public.leaderboard_outbox
    ADD CONSTRAINT leaderboard_outbox_pkey PRIMARY KEY (outbox_id);
ALTER TABLE ONLY public.parked_events
    ADD CONSTRAINT parked_events_pkey PRIMARY KEY (user_id, problem_id, submission_id);
ALTER TABLE ONLY public.partition_offsets
    ADD CONSTRAINT partition_offsets_pkey PRIMARY KEY (topic, partition);
ALTER TABLE ONLY public.problem_facts
    ADD CONSTRAINT problem_facts_pkey PRIMARY KEY (problem_id);
ALTER TABLE ONLY public.problem_recounts
    ADD CONSTRAINT problem_recounts_pkey PRIMARY KEY (problem_id);
ALTER TABLE ONLY public.replay_runs
    ADD CONSTRAINT replay_runs_pkey PRIMARY KEY (replay_run_id);
ALTER TABLE ONLY public.solve_counts_addition
    ADD CONSTRAINT solve_counts_addition_pkey PRIMARY KEY (version_num);
ALTER TABLE ONLY public.solve_counts_migration
    ADD CONSTRAINT solve_counts_migration_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.solves
    ADD CONSTRAINT solves_pkey PRIMARY KEY (user_id, problem_id) INCLUDE (solved_at, language);
ALTER TABLE ONLY public.superseded_verdicts
    ADD CONSTRAINT superseded_verdicts_pkey PRIMARY KEY (user_id, problem_id, submission_id, judged_at, solved);
ALTER TABLE ONLY public.user_removals
    ADD CONSTRAINT user_removals_pkey PRIMARY KEY (user_id);
ALTER TABLE ONLY public.user_search_blocks
    ADD CONSTRAINT user_search_blocks_pkey PRIMARY KEY (first_key, block);
ALTER TABLE ONLY public.user_search_keys
    ADD CONSTRAINT user_search_keys_pkey PRIMARY KEY (key, user_id);
ALTER TABLE ONLY public.user_search_state
    ADD CONSTRAINT user_search_state_pkey PRIMARY KEY (singleton);
ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (user_id);
ALTER TABLE ONLY public.verdicts
    ADD CONSTRAINT verdicts_pkey PRIMARY KEY (user_id, problem_id, submission_id);
CREATE INDEX admin_audit_deed_idx ON public.admin_audit USING btree (deed) WHERE (deed IS NOT NULL);
CREATE INDEX admin_jobs_started_at_idx ON public.admin_jobs USING btree (started_at);
CREATE INDEX admin_sessions_admin_id_idx ON public.admin_sessions USING btree (admin_id);
CREATE INDEX dead_letters_open_idx ON public.dead_letters USING btree (reason, topic, dead_letter_id) WHERE (discarded_at IS NULL);
CREATE INDEX dead_letters_unread_idx ON public.dead_letters USING btree (dead_letter_id) WHERE (user_ids IS NULL);
CREATE INDEX dead_letters_user_ids_idx ON public.dead_letters USING gin (user_ids) WITH (fastupdate=off) WHERE ((NOT erased) AND (user_ids IS NOT NULL));
CREATE INDEX kept_places_first_idx ON public.kept_places USING btree (generation, first_negated, first_second, first_user_id);
CREATE INDEX parked_events_open_idx ON public.parked_events USING btree (user_id) WHERE (acknowledged_at IS NULL);
CREATE INDEX problem_facts_withdrawn_idx ON public.problem_facts USING btree (problem_id) WHERE withdrawn;
CREATE INDEX solves_solved_at_idx ON public.solves USING btree (solved_at) INCLUDE (user_id, problem_id);
CREATE INDEX users_hidden_idx ON public.users USING btree (user_id) WHERE (removed OR (NOT listed));
CREATE TRIGGER add_search_keys AFTER INSERT ON public.users REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION public.add_user_search_keys();
CREATE TRIGGER clear_search_keys AFTER TRUNCATE ON public.users FOR EACH STATEMENT EXECUTE FUNCTION public.clear_user_search_keys();
CREATE TRIGGER remove_search_keys AFTER DELETE ON public.users REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION public.remove_user_search_keys();
CREATE TRIGGER rename_search_keys AFTER UPDATE OF user_id, username ON public.users FOR EACH ROW WHEN (((old.user_id IS DISTINCT FROM new.user_id) OR (old.username IS DISTINCT FROM new.username))) EXECUTE FUNCTION public.rename_user_search_keys();
CREATE TRIGGER require_writer BEFORE INSERT OR DELETE OR UPDATE ON public.dead_letters FOR EACH STATEMENT EXECUTE FUNCTION public.require_writer();
CREATE TRIGGER require_writer BEFORE INSERT OR DELETE OR UPDATE ON public.parked_events FOR EACH STATEMENT EXECUTE FUNCTION public.require_writer();
CREATE TRIGGER require_writer BEFORE INSERT OR DELETE OR UPDATE ON public.partition_offsets FOR EACH STATEMENT EXECUTE FUNCTION public.require_writer();
CREATE TRIGGER require_writer BEFORE INSERT OR DELETE OR UPDATE ON public.problem_facts FOR EACH STATEMENT EXECUTE FUNCTION public.require_writer();
CREATE TRIGGER require_writer BEFORE INSERT OR DELETE OR UPDATE ON public.problem_recounts FOR EACH STATEMENT EXECUTE FUNCTION public.require_writer();
CREATE TRIGGER require_writer BEFORE INSERT OR DELETE OR UPDATE ON public.solves FOR EACH STATEMENT EXECUTE FUNCTION public.require_writer();
CREATE TRIGGER require_writer BEFORE INSERT OR DELETE OR UPDATE ON public.user_removals FOR EACH STATEMENT EXECUTE FUNCTION public.require_writer();
CREATE TRIGGER require_writer BEFORE INSERT OR DELETE OR UPDATE ON public.verdicts FOR EACH STATEMENT EXECUTE FUNCTION public.require_writer();
ALTER TABLE ONLY public.admin_sessions
    ADD CONSTRAINT admin_sessions_admin_id_fkey FOREIGN KEY (admin_id) REFERENCES public.admins(admin_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.admin_tokens
    ADD CONSTRAINT admin_tokens_admin_id_fkey FOREIGN KEY (admin_id) REFERENCES public.admins(admin_id) ON DELETE CASCADE;

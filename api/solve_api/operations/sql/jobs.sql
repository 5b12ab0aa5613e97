-- name: finish_job
-- Records the end of a job.
UPDATE admin_jobs
SET state = $2, progress = $3, report = $4, error = $5, finished_at = now()
WHERE job_id = $1

-- name: jobs
-- The jobs with these ids. A running job without a heartbeat for $2 seconds is silent.
SELECT
    job_id, kind, dry_run, started_by, started_at, finished_at, progress, report,
    state, error, state = 'running' AND beaten_at < now() - make_interval(secs => $2) AS silent
FROM admin_jobs
WHERE job_id = ANY ($1::uuid[])

-- name: names
SELECT user_id, username FROM users WHERE user_id = ANY ($1::text[])

-- name: latest_jobs
-- The newest $1 jobs, without the lists ($3) of their reports. A running job without a heartbeat for $2 seconds is silent.
SELECT
    job_id, kind, dry_run, started_by, started_at, finished_at, progress, report - $3::text[] AS report,
    state, error, state = 'running' AND beaten_at < now() - make_interval(secs => $2) AS silent
FROM admin_jobs
ORDER BY started_at DESC
LIMIT $1

-- name: overview
-- The newest $1 jobs and the newest of each kind; of reports the message. A running job without a heartbeat for $2
-- seconds is silent.
SELECT
    job_id, kind, dry_run, started_by, started_at, finished_at, '{}'::jsonb AS progress,
    CASE WHEN report IS NOT NULL THEN jsonb_build_object('message', report -> 'message') END AS report,
    state, error, state = 'running' AND beaten_at < now() - make_interval(secs => $2) AS silent
FROM admin_jobs
WHERE job_id IN (
    (SELECT job_id FROM admin_jobs ORDER BY started_at DESC LIMIT $1)
    UNION ALL
    (SELECT DISTINCT ON (kind) job_id FROM admin_jobs ORDER BY kind, started_at DESC)
)
ORDER BY started_at DESC

-- name: start_job
-- Adds a running job.
INSERT INTO admin_jobs (job_id, kind, dry_run, started_by)
VALUES ($1, $2, $3, $4)

-- name: heartbeat
-- Records that a job still runs, and its progress.
UPDATE admin_jobs
SET beaten_at = now(), progress = $2
WHERE job_id = $1

-- name: trim_jobs
-- Drops the lists ($3) of all reports but the newest $1, and all jobs but the newest $2 and those that still run.
WITH placed AS (
    SELECT job_id, row_number() OVER (ORDER BY started_at DESC) AS place
    FROM admin_jobs
), dropped AS (
    DELETE FROM admin_jobs
    USING placed
    WHERE placed.job_id = admin_jobs.job_id
        AND place > $2
        AND (state <> 'running' OR beaten_at < now() - make_interval(secs => $4))
)
UPDATE admin_jobs
SET report = report - $3::text[]
FROM placed
WHERE placed.job_id = admin_jobs.job_id AND place > $1 AND place <= $2 AND report ?| $3::text[]

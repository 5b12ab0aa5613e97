-- name: finish_job
-- Records the end of a job.
UPDATE admin_jobs
SET state = $2, progress = $3, report = $4, error = $5, finished_at = now()
WHERE job_id = $1

-- name: job
-- One job. A running job without a heartbeat for $2 seconds is silent.
SELECT
    job_id, kind, dry_run, started_by, started_at, finished_at, progress, report,
    state, error, state = 'running' AND beaten_at < now() - make_interval(secs => $2) AS silent
FROM admin_jobs
WHERE job_id = $1

-- name: latest_jobs
-- The newest $1 jobs, without the list of updates. A running job without a heartbeat for $2 seconds is silent.
SELECT
    job_id, kind, dry_run, started_by, started_at, finished_at, progress, report - 'updates' AS report,
    state, error, state = 'running' AND beaten_at < now() - make_interval(secs => $2) AS silent
FROM admin_jobs
ORDER BY started_at DESC
LIMIT $1

-- name: start_job
-- Adds a running job.
INSERT INTO admin_jobs (job_id, kind, dry_run, started_by)
VALUES ($1, $2, $3, $4)

-- name: heartbeat
-- Records that a job still runs, and its progress.
UPDATE admin_jobs
SET beaten_at = now(), progress = $2
WHERE job_id = $1

-- The newest $1 jobs; one that has not beaten for $2 seconds was interrupted. Without their reports' long lists.
SELECT
    job_id, kind, dry_run, started_by, started_at, finished_at, progress, report - 'updates' AS report,
    CASE
        WHEN state = 'running' AND beaten_at < now() - make_interval(secs => $2) THEN 'interrupted'
        ELSE state
    END AS state,
    CASE
        WHEN state = 'running' AND beaten_at < now() - make_interval(secs => $2)
            THEN 'Its process is gone. Nothing half done is visible; run it again.'
        ELSE error
    END AS error
FROM admin_jobs
ORDER BY started_at DESC
LIMIT $1

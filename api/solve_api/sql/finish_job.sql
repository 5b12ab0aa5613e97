UPDATE admin_jobs
SET state = $2, progress = $3, report = $4, error = $5, finished_at = now()
WHERE job_id = $1

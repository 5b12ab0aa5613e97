-- Dead letters that nobody dealt with yet, by their reason.
SELECT reason, count(*)::integer AS number, min(created_at) AS oldest
FROM dead_letters
WHERE discarded_at IS NULL
GROUP BY reason
ORDER BY number DESC, reason

-- A crowd after a year: a third solved nothing, the rest a number of Pareto's law, of problems by Zipf's.
-- Written in the order of the judge's clock, as a projector would have.
SELECT setseed(0.5);

INSERT INTO users (user_id, username, registered_at, origin)
SELECT 'user-' || n, initcap(left(translate(md5((n / 3)::text), '0123456789', 'ghijklmnop'), 8)), now() - interval '1 year' * (1 + random()), 'log'
FROM generate_series(0, current_setting('bench.users')::integer - 1) AS n;

INSERT INTO verdicts (
    user_id, problem_id, submission_id, solved, judged_at, submitted_at, language, contest_id, reason,
    source_partition, source_offset
)
WITH people AS MATERIALIZED (
    SELECT
        user_id,
        CASE WHEN random() < 0.7 THEN least(3000, floor(0.3 * current_setting('bench.mean')::float8 / power(1 - random(), 1 / 1.2)))::integer ELSE 0 END AS attempts
    FROM users
),
submissions AS MATERIALIZED (
    SELECT
        user_id, 'problem-' || floor(exp(random() * ln(3000)))::integer AS problem_id, random() >= 0.03 AS solved,
        now() - interval '1 year' * random() AS at,
        (ARRAY['cpp', 'cpp', 'cpp', 'python', 'python', 'java', 'rust', 'go', ''])[1 + floor(random() * 9)::integer]
            AS language,
        CASE WHEN random() < 0.3 THEN 'round-' || floor(random() * 200)::integer ELSE '' END AS contest_id
    FROM people, generate_series(1, people.attempts)
)
SELECT
    user_id, problem_id, 'sub-' || row_number() OVER (ORDER BY at), solved, at, CASE WHEN solved THEN at END, language,
    contest_id, CASE WHEN solved THEN '' ELSE 'rejudged' END, 0, row_number() OVER (ORDER BY at)
FROM submissions
ORDER BY at;

INSERT INTO verdicts (
    user_id, problem_id, submission_id, solved, judged_at, submitted_at, language, contest_id, reason,
    source_partition, source_offset
)
SELECT 'user-0', 'rare-' || n, 'rare-' || n, true, at, at, 'cpp', '', '', 0, n
FROM generate_series(1, current_setting('bench.champion')::integer) AS n
CROSS JOIN LATERAL (SELECT now() - interval '1 minute' * 50 * n AS at) AS made;

INSERT INTO solves (user_id, problem_id, solved_at, submission_id, language, contest_id)
SELECT user_id, problem_id, submitted_at, submission_id, language, contest_id
FROM (
    SELECT DISTINCT ON (user_id, problem_id) *
    FROM verdicts
    WHERE solved
    ORDER BY user_id, problem_id, submitted_at, submission_id
) AS firsts
ORDER BY submitted_at;

UPDATE users
SET (problems_solved, last_solved_at, version)
    = (counted.problems, counted.last, (extract(epoch FROM now()) * 1000000)::bigint)
FROM (SELECT user_id, count(*) AS problems, max(solved_at) AS last FROM solves GROUP BY user_id) AS counted
WHERE counted.user_id = users.user_id;

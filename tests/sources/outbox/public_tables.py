"""Tables of judges by the names and types of their own public schemas: what their triggers and mappings read."""

DMOJ = """
CREATE TABLE auth_user (
    id int AUTO_INCREMENT PRIMARY KEY, username varchar(150) NOT NULL UNIQUE, date_joined datetime(6) NOT NULL
);
CREATE TABLE judge_profile (
    id int AUTO_INCREMENT PRIMARY KEY, user_id int NOT NULL UNIQUE, is_unlisted tinyint(1) NOT NULL DEFAULT 0,
    problem_count int NOT NULL DEFAULT 0, FOREIGN KEY (user_id) REFERENCES auth_user (id)
);
CREATE TABLE judge_problem (
    id int PRIMARY KEY, code varchar(20) NOT NULL, is_public tinyint(1) NOT NULL,
    is_organization_private tinyint(1) NOT NULL
);
CREATE TABLE judge_submission (
    id int AUTO_INCREMENT PRIMARY KEY, date datetime(6) NOT NULL, time double, memory double, points double,
    status varchar(2) NOT NULL DEFAULT 'QU', result varchar(3), error longtext, current_testcase int NOT NULL DEFAULT 0,
    case_points double NOT NULL DEFAULT 0, case_total double NOT NULL DEFAULT 0, judged_date datetime(6),
    rejudged_date datetime(6), is_archived tinyint(1) NOT NULL DEFAULT 0, contest_object_id int,
    language_id int NOT NULL, problem_id int NOT NULL, user_id int NOT NULL,
    FOREIGN KEY (problem_id) REFERENCES judge_problem (id), FOREIGN KEY (user_id) REFERENCES judge_profile (id)
);
"""
DOMJUDGE = """
CREATE TABLE contest (cid int unsigned AUTO_INCREMENT PRIMARY KEY, name varchar(255) NOT NULL);
CREATE TABLE problem (probid int unsigned AUTO_INCREMENT PRIMARY KEY, name varchar(255) NOT NULL);
CREATE TABLE language (langid varchar(32) PRIMARY KEY, name varchar(255) NOT NULL);
CREATE TABLE contestproblem (
    cid int unsigned, probid int unsigned, shortname varchar(255) NOT NULL, PRIMARY KEY (cid, probid),
    FOREIGN KEY (cid) REFERENCES contest (cid) ON DELETE CASCADE,
    FOREIGN KEY (probid) REFERENCES problem (probid) ON DELETE CASCADE
);
CREATE TABLE team (
    teamid int unsigned AUTO_INCREMENT PRIMARY KEY, name varchar(255) COLLATE utf8mb4_bin NOT NULL,
    display_name varchar(255) COLLATE utf8mb4_bin, enabled tinyint(1) NOT NULL DEFAULT 1,
    judging_last_started decimal(32,9) unsigned
);
CREATE TABLE rejudging (
    rejudgingid int unsigned AUTO_INCREMENT PRIMARY KEY, starttime decimal(32,9) unsigned NOT NULL,
    endtime decimal(32,9) unsigned, reason varchar(255) NOT NULL, valid tinyint(1) NOT NULL DEFAULT 1
);
CREATE TABLE submission (
    submitid int unsigned AUTO_INCREMENT PRIMARY KEY, cid int unsigned, teamid int unsigned, probid int unsigned,
    langid varchar(32), submittime decimal(32,9) unsigned NOT NULL, valid tinyint(1) NOT NULL DEFAULT 1,
    rejudgingid int unsigned,
    FOREIGN KEY (cid) REFERENCES contest (cid) ON DELETE CASCADE,
    FOREIGN KEY (teamid) REFERENCES team (teamid) ON DELETE CASCADE,
    FOREIGN KEY (probid) REFERENCES problem (probid) ON DELETE CASCADE,
    FOREIGN KEY (langid) REFERENCES language (langid) ON DELETE CASCADE,
    FOREIGN KEY (cid, probid) REFERENCES contestproblem (cid, probid) ON DELETE CASCADE,
    FOREIGN KEY (rejudgingid) REFERENCES rejudging (rejudgingid) ON DELETE SET NULL
);
CREATE TABLE judging (
    judgingid int unsigned AUTO_INCREMENT PRIMARY KEY, cid int unsigned, submitid int unsigned,
    starttime decimal(32,9) unsigned, endtime decimal(32,9) unsigned, result varchar(32),
    verified tinyint(1) NOT NULL DEFAULT 0, valid tinyint(1) NOT NULL DEFAULT 1, rejudgingid int unsigned,
    prevjudgingid int unsigned, uuid varchar(36) NOT NULL DEFAULT '',
    FOREIGN KEY (cid) REFERENCES contest (cid) ON DELETE CASCADE,
    FOREIGN KEY (submitid) REFERENCES submission (submitid) ON DELETE CASCADE,
    FOREIGN KEY (rejudgingid) REFERENCES rejudging (rejudgingid) ON DELETE SET NULL,
    FOREIGN KEY (prevjudgingid) REFERENCES judging (judgingid) ON DELETE SET NULL
);
"""
HUSTOJ = """
CREATE TABLE solution (
    solution_id int(11) unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY, problem_id int(11) NOT NULL DEFAULT 0,
    user_id char(48) NOT NULL, nick char(20) NOT NULL DEFAULT '', time int(11) NOT NULL DEFAULT 0,
    memory int(11) NOT NULL DEFAULT 0, in_date datetime NOT NULL DEFAULT '2016-05-13 19:24:00',
    result smallint(6) NOT NULL DEFAULT '0', language int unsigned NOT NULL DEFAULT '0',
    contest_id int(11) DEFAULT 0, valid tinyint(4) NOT NULL DEFAULT '1',
    judgetime timestamp NULL DEFAULT CURRENT_TIMESTAMP, pass_rate decimal(4,3) unsigned NOT NULL DEFAULT 0,
    first_time tinyint(1) NOT NULL DEFAULT 0
) ENGINE=MyISAM AUTO_INCREMENT=1001 DEFAULT CHARSET=utf8mb4;
CREATE TABLE users (
    user_id varchar(48) NOT NULL DEFAULT '' PRIMARY KEY, solved int(11) DEFAULT '0',
    defunct char(1) NOT NULL DEFAULT 'N', reg_time datetime DEFAULT NULL, nick varchar(20) NOT NULL DEFAULT ''
) ENGINE=MyISAM DEFAULT CHARSET=utf8mb4;
CREATE TRIGGER firstAC BEFORE UPDATE ON solution FOR EACH ROW SET NEW.first_time = NEW.result = 4 OR NEW.first_time;
"""
QINGDAOU = """
CREATE TABLE "user" (
    id serial PRIMARY KEY, username text UNIQUE NOT NULL, email text, create_time timestamptz DEFAULT now(),
    admin_type text NOT NULL DEFAULT 'Regular User', is_disabled boolean NOT NULL DEFAULT false
);
CREATE TABLE problem (id serial PRIMARY KEY, _id text NOT NULL, contest_id int, visible boolean NOT NULL DEFAULT true);
CREATE TABLE submission (
    id text PRIMARY KEY, contest_id int, problem_id int NOT NULL REFERENCES problem (id) DEFERRABLE INITIALLY DEFERRED,
    create_time timestamptz NOT NULL DEFAULT now(), user_id int NOT NULL, username text NOT NULL DEFAULT '',
    code text NOT NULL DEFAULT '', result int NOT NULL DEFAULT 6, info jsonb NOT NULL DEFAULT '{}',
    language text NOT NULL DEFAULT 'C++', shared boolean NOT NULL DEFAULT false,
    statistic_info jsonb NOT NULL DEFAULT '{}', ip text
);
"""
CMS = """
CREATE TABLE contests (id serial PRIMARY KEY, name varchar NOT NULL);
CREATE TABLE users (
    id serial PRIMARY KEY, first_name varchar NOT NULL, last_name varchar NOT NULL, username varchar UNIQUE NOT NULL,
    password varchar NOT NULL DEFAULT ''
);
CREATE TABLE participations (
    id serial PRIMARY KEY, hidden boolean NOT NULL DEFAULT false, unrestricted boolean NOT NULL DEFAULT false,
    contest_id integer NOT NULL REFERENCES contests ON UPDATE CASCADE ON DELETE CASCADE,
    user_id integer NOT NULL REFERENCES users ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE tasks (
    id serial PRIMARY KEY, num integer, contest_id integer REFERENCES contests ON UPDATE CASCADE ON DELETE SET NULL,
    name varchar NOT NULL, active_dataset_id integer
);
CREATE TABLE datasets (
    id serial PRIMARY KEY, task_id integer NOT NULL REFERENCES tasks ON UPDATE CASCADE ON DELETE CASCADE,
    description varchar NOT NULL DEFAULT '', autojudge boolean NOT NULL DEFAULT false
);
ALTER TABLE tasks ADD CONSTRAINT fk_active_dataset_id FOREIGN KEY (active_dataset_id) REFERENCES datasets
    ON UPDATE SET NULL ON DELETE SET NULL;
CREATE TABLE submissions (
    id serial PRIMARY KEY, "timestamp" timestamp NOT NULL DEFAULT now(), language varchar,
    comment varchar NOT NULL DEFAULT '', official boolean NOT NULL DEFAULT true,
    participation_id integer NOT NULL REFERENCES participations ON UPDATE CASCADE ON DELETE CASCADE,
    task_id integer NOT NULL REFERENCES tasks ON UPDATE CASCADE ON DELETE CASCADE
);
CREATE TABLE submission_results (
    submission_id integer REFERENCES submissions ON UPDATE CASCADE ON DELETE CASCADE,
    dataset_id integer REFERENCES datasets ON UPDATE CASCADE ON DELETE CASCADE,
    compilation_outcome varchar, evaluation_outcome varchar, score double precision, score_details jsonb,
    public_score double precision, PRIMARY KEY (submission_id, dataset_id)
);
"""

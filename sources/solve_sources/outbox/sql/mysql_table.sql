-- The transactional outbox of solve-counts (MariaDB 10.6, MySQL 8.0.13, or later). Applying this again changes nothing.
-- A judge inserts a row in the transaction that stores the verdict; `solve-producer relay` publishes it.
CREATE TABLE IF NOT EXISTS solve_outbox (
    seq bigint NOT NULL AUTO_INCREMENT PRIMARY KEY COMMENT 'The order of publishing',
    id char(36) NOT NULL DEFAULT (uuid()) COMMENT 'For the outbox event router of Debezium; the relay needs no id',
    aggregatetype varchar(255) NOT NULL DEFAULT 'judge-events'
        COMMENT 'For Debezium, which makes a topic of it; the relay has SOLVE_TOPIC',
    aggregateid varchar(255) NOT NULL
        COMMENT 'The user_id, or the problem_id of a fact about a problem; the key in Kafka',
    type varchar(255) NOT NULL COMMENT 'The type of the event, such as submission.solved.v1',
    payload json NOT NULL COMMENT 'The fields of the event',
    created_at timestamp(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
    state enum('waiting', 'published', 'refused') NOT NULL DEFAULT 'waiting'
        COMMENT 'waiting; refused: no event, see the reason; published: kept by relay --keep',
    state_at timestamp(6) NULL COMMENT 'When the relay set the state',
    reason text COMMENT 'Why a row was refused. Correct it, and set its state to waiting',
    KEY solve_outbox_state (state, seq)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4
    COMMENT 'Events of solve-counts on their way to Kafka; a published row is deleted';

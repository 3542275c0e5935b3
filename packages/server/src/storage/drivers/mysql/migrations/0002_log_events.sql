-- Version 2: log events of other systems.

-- Whoever appends holds this row until the commit: so events are committed in the order of their numbers.
CREATE TABLE IF NOT EXISTS octoflow_log_event_sequence (
  one  TINYINT NOT NULL PRIMARY KEY,
  next BIGINT  NOT NULL
) ENGINE = InnoDB;
INSERT IGNORE INTO octoflow_log_event_sequence (one, next) VALUES (1, 1);

CREATE TABLE IF NOT EXISTS octoflow_log_events (
  sequence  BIGINT       NOT NULL PRIMARY KEY,
  at        BIGINT       NOT NULL,
  size      INT          NOT NULL, -- characters of the document, which is not always in the row
  id        VARCHAR(256) NOT NULL,
  type      VARCHAR(256) NOT NULL,
  username  VARCHAR(256),
  email     VARCHAR(256),
  system_id VARCHAR(256),
  location  VARCHAR(256),
  operation VARCHAR(256),
  document  LONGTEXT     NOT NULL, -- JSON: the event as it is given back
  UNIQUE KEY octoflow_log_events_id (id),
  KEY octoflow_log_events_at (at, sequence),
  KEY octoflow_log_events_type (type, at, sequence),
  KEY octoflow_log_events_username (username, at, sequence),
  KEY octoflow_log_events_email (email, at, sequence),
  KEY octoflow_log_events_system_id (system_id, at, sequence),
  KEY octoflow_log_events_location (location, at, sequence),
  KEY octoflow_log_events_operation (operation, at, sequence)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = {collation};

-- How many events of a type happened in the `span` minutes from `start` on (in minutes since the epoch): each counts in its minute,
-- in its day, and in the row of span 0 for all time. By connection as in octoflow_counts; what is past is folded into slot -1.
CREATE TABLE IF NOT EXISTS octoflow_log_event_counts (
  span        INT          NOT NULL, -- 1, 1440 or 0
  start       INT          NOT NULL,
  type        VARCHAR(256) NOT NULL,
  slot        INT          NOT NULL,
  events      BIGINT       NOT NULL,
  open_until  INT GENERATED ALWAYS AS (IF(slot < 0 OR span = 0, NULL, start + span)) STORED,
  is_obsolete TINYINT GENERATED ALWAYS AS (IF(slot < 0 AND events = 0, 1, NULL)) STORED,
  PRIMARY KEY (span, start, type, slot),
  KEY octoflow_log_event_counts_unfolded (open_until),
  KEY octoflow_log_event_counts_obsolete (is_obsolete)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = {collation};

-- Up to which sequence those who follow the events have got.
CREATE TABLE IF NOT EXISTS octoflow_log_event_followers (
  name     VARCHAR(256) NOT NULL PRIMARY KEY,
  sequence BIGINT       NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = {collation};

-- Of an operation on log events, `position` is the time of the last one looked at, and this its sequence. Not every server knows
-- ADD COLUMN IF NOT EXISTS.
SET @change = IF(
  (SELECT COUNT(*) FROM information_schema.COLUMNS
    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'octoflow_operations' AND COLUMN_NAME = 'sequence') = 0,
  'ALTER TABLE octoflow_operations ADD COLUMN sequence BIGINT NOT NULL DEFAULT 0',
  'DO 0');
PREPARE octoflow_change FROM @change;
EXECUTE octoflow_change;
DEALLOCATE PREPARE octoflow_change;

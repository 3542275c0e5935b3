-- Version 1: requests, jobs and all that hangs on them.
--
-- Instants and durations are whole microseconds. Octoflow's own tables bear the prefix `octoflow_`; the views `requests`,
-- `jobs` and `events` show them under the names and columns that users' own SQL knows.
--
-- The server commits after each of these statements, so any number of them may have been carried out when a migration is
-- begun again: each must be as good twice as once. {collation} is the one of this server that compares character by
-- character and counts spaces at the end.

-- One counter numbers requests and jobs. `last_at` keeps creation times rising with the ids, though the servers' clocks
-- differ and may be stepped back, so that a span of time is a span of ids. Whoever submits holds the row until the commit;
-- without a binary log it is free again before the log is synced, so that the syncs of several submits are shared.
CREATE TABLE IF NOT EXISTS octoflow_sequence (
  one     TINYINT NOT NULL PRIMARY KEY,
  next_id BIGINT  NOT NULL,
  last_at BIGINT  NOT NULL
) ENGINE = InnoDB;
INSERT IGNORE INTO octoflow_sequence (one, next_id, last_at) VALUES (1, 1, 0);

CREATE TABLE IF NOT EXISTS octoflow_queues (
  id              INT          NOT NULL AUTO_INCREMENT PRIMARY KEY,
  name            VARCHAR(256) NOT NULL,
  created_at      BIGINT       NOT NULL,
  version         INT          NOT NULL DEFAULT 1,
  paused          TINYINT      NOT NULL DEFAULT 0,
  concurrency     INT,
  key_concurrency INT          NOT NULL DEFAULT 1,
  rate_limit      LONGTEXT,
  key_rate_limit  LONGTEXT,
  max_attempts    INT,
  backoff         LONGTEXT,
  retention       BIGINT,
  handler         LONGTEXT,
  review          VARCHAR(256), -- the lanes from this key on have yet to be looked at under the queue's new limits
  UNIQUE KEY octoflow_queues_name (name)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = {collation};

-- How many jobs a queue has in each stage. Every connection adds to rows of its own (`slot`), so that nobody waits for
-- anybody; what a queue has is their sum, and a single row may be below zero.
CREATE TABLE IF NOT EXISTS octoflow_counts (
  queue_id  INT    NOT NULL,
  slot      INT    NOT NULL,
  ready     BIGINT NOT NULL,
  scheduled BIGINT NOT NULL,
  held      BIGINT NOT NULL,
  running   BIGINT NOT NULL,
  completed BIGINT NOT NULL,
  cancelled BIGINT NOT NULL,
  dead      BIGINT NOT NULL,
  PRIMARY KEY (queue_id, slot)
) ENGINE = InnoDB;

-- A request and, where it made one, its job: they share an id, so they share a row. `stage`: 0 ready, 1 scheduled, 2 held
-- (these three are `pending`), 3 running, 4 completed, 5 cancelled, 6 dead; NULL for a request without a job.
--
-- There are no partial indexes here. The generated columns stand for their conditions: they are NULL, and so without an
-- order or a claim to be unique, in rows that an index is not about. They are stored, for an index on a virtual column costs
-- more at every change.
CREATE TABLE IF NOT EXISTS octoflow_requests (
  id               BIGINT   NOT NULL PRIMARY KEY,
  received_at      BIGINT   NOT NULL,
  queue_id         INT,
  stage            TINYINT,
  priority         TINYINT,
  attempt          INT      NOT NULL DEFAULT 0,
  fence            INT      NOT NULL DEFAULT 0,
  handled          TINYINT  NOT NULL DEFAULT 0,
  revised          TINYINT  NOT NULL DEFAULT 0, -- a retry put another payload in the body's place; see octoflow_payloads
  cancel_requested TINYINT  NOT NULL DEFAULT 0,
  run_at           BIGINT,
  lease_until      BIGINT,
  started_at       BIGINT,
  finished_at      BIGINT,
  max_attempts     INT,
  size             INT,          -- characters of the payload, where it does not stand in this row
  timeout          BIGINT,
  deadline         BIGINT,       -- of a running job with a time-out: no lease lasts longer
  worker           LONGTEXT,
  concurrency_key  VARCHAR(256),
  unique_key       VARCHAR(256),
  options          LONGTEXT,     -- JSON: backoff, labels
  meta             LONGTEXT,     -- JSON: how it came in, as far as that is not as usual
  body             LONGTEXT,     -- JSON; NULL where both stand in octoflow_bodies
  reason           LONGTEXT,
  status_label     LONGTEXT,
  progress         LONGTEXT,     -- JSON: fraction, message
  -- What a stage is in order of: of priority and id while a job is pending, which claims want; of the end of its lease while it
  -- runs; of id alone afterwards, which lists want.
  place            BIGINT GENERATED ALWAYS AS (CASE WHEN stage < 3 THEN priority WHEN stage = 3 THEN lease_until ELSE 0 END) STORED,
  due_queue        INT GENERATED ALWAYS AS (IF(stage = 1, queue_id, NULL)) STORED,
  due_at           BIGINT GENERATED ALWAYS AS (IF(stage = 1, run_at, NULL)) STORED,
  lane_queue       INT GENERATED ALWAYS AS (IF(concurrency_key IS NULL OR stage > 3, NULL, queue_id)) STORED,
  lane_stage       TINYINT GENERATED ALWAYS AS (IF(concurrency_key IS NULL OR stage > 3, NULL, stage)) STORED,
  unique_queue     INT GENERATED ALWAYS AS (IF(unique_key IS NULL OR stage > 3, NULL, queue_id)) STORED,
  KEY octoflow_requests_staged (queue_id, stage, place, id),
  KEY octoflow_requests_due (due_queue, due_at, id),
  KEY octoflow_requests_keyed (lane_queue, concurrency_key, lane_stage, priority, id),
  UNIQUE KEY octoflow_requests_unique (unique_queue, unique_key)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = {collation};

-- What is too large for the row that claims and reports rewrite. Written once.
CREATE TABLE IF NOT EXISTS octoflow_bodies (
  id   BIGINT   NOT NULL PRIMARY KEY,
  meta LONGTEXT,
  body LONGTEXT NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = {collation};

-- A label stands here twice, as `name` and as `name=value`: what a filter may ask for.
CREATE TABLE IF NOT EXISTS octoflow_job_labels (
  label  VARCHAR(640) NOT NULL,
  job_id BIGINT       NOT NULL,
  PRIMARY KEY (label, job_id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = {collation};

CREATE TABLE IF NOT EXISTS octoflow_payloads (
  job_id BIGINT   NOT NULL PRIMARY KEY,
  body   LONGTEXT NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = {collation};

-- Attempts that did not complete their job, and those of jobs that were run again.
CREATE TABLE IF NOT EXISTS octoflow_attempts (
  job_id      BIGINT      NOT NULL,
  fence       INT         NOT NULL,
  attempt     INT         NOT NULL,
  worker      LONGTEXT,
  started_at  BIGINT      NOT NULL,
  finished_at BIGINT      NOT NULL,
  outcome     VARCHAR(32) NOT NULL,
  error       LONGTEXT,
  PRIMARY KEY (job_id, fence)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = {collation};

CREATE TABLE IF NOT EXISTS octoflow_results (
  job_id BIGINT   NOT NULL PRIMARY KEY,
  at     BIGINT   NOT NULL,
  value  LONGTEXT NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = {collation};

CREATE TABLE IF NOT EXISTS octoflow_events (
  id      BIGINT      NOT NULL AUTO_INCREMENT PRIMARY KEY,
  job_id  BIGINT      NOT NULL,
  at      BIGINT      NOT NULL,
  kind    VARCHAR(32) NOT NULL,
  level   VARCHAR(32) NOT NULL,
  message LONGTEXT    NOT NULL,
  data    LONGTEXT,
  KEY octoflow_events_of_job (job_id, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = {collation};

-- A concurrency key in use: how many of its jobs run, and how many are ready to. At most its free places are ready; the
-- others are held, so that a claim never has to step over jobs it may not start. Whoever changes the stage of a keyed job
-- holds the lock of its row here until the commit.
CREATE TABLE IF NOT EXISTS octoflow_lanes (
  queue_id        INT          NOT NULL,
  concurrency_key VARCHAR(256) NOT NULL,
  running         INT          NOT NULL DEFAULT 0,
  ready           INT          NOT NULL DEFAULT 0,
  held            INT          NOT NULL DEFAULT 0,
  wake_at         BIGINT,                        -- when to look again for a free place
  PRIMARY KEY (queue_id, concurrency_key),
  KEY octoflow_lanes_waking (queue_id, wake_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = {collation};

-- Starts per slice of time, of a queue (counter '') and of its concurrency keys (counter 'k' and the key).
CREATE TABLE IF NOT EXISTS octoflow_rate_usage (
  queue_id INT          NOT NULL,
  counter  VARCHAR(257) NOT NULL,
  slice    BIGINT       NOT NULL,
  used     INT          NOT NULL,
  PRIMARY KEY (queue_id, counter, slice),
  KEY octoflow_rate_usage_aging (slice)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = {collation};

-- Roll-ups: what happened in a queue in the `span` minutes from `start` on (in minutes since the epoch), by connection as in
-- octoflow_counts. Each minute is there by itself, for a month, and as part of its hour. What is past is folded into slot -1.
CREATE TABLE IF NOT EXISTS octoflow_stats (
  queue_id  INT      NOT NULL,
  span      SMALLINT NOT NULL, -- 1 or 60
  start     INT      NOT NULL,
  slot      INT      NOT NULL,
  submitted BIGINT   NOT NULL,
  started   BIGINT   NOT NULL,
  completed BIGINT   NOT NULL,
  failed    BIGINT   NOT NULL,
  dead      BIGINT   NOT NULL,
  cancelled BIGINT   NOT NULL,
  expired   BIGINT   NOT NULL,
  waited    DOUBLE   NOT NULL, -- a large backlog waits longer, in microseconds, than the largest BIGINT
  ran       DOUBLE   NOT NULL,
  finished  BIGINT   NOT NULL,
  open_until INT GENERATED ALWAYS AS (IF(slot < 0, NULL, start + span)) STORED,
  PRIMARY KEY (queue_id, span, start, slot),
  KEY octoflow_stats_aging (span, start),
  KEY octoflow_stats_unfolded (open_until)
) ENGINE = InnoDB;

CREATE TABLE IF NOT EXISTS octoflow_idempotency (
  name        VARCHAR(256) NOT NULL PRIMARY KEY,
  fingerprint LONGTEXT,
  request_id  BIGINT,   -- of a submit
  has_job     TINYINT,
  status      INT,      -- of any other call, once it is answered
  body        LONGTEXT,
  expires_at  BIGINT   NOT NULL,
  KEY octoflow_idempotency_expiring (expires_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = {collation};

CREATE TABLE IF NOT EXISTS octoflow_workers (
  id            VARCHAR(256) NOT NULL PRIMARY KEY,
  queues        LONGTEXT     NOT NULL, -- JSON
  first_seen_at BIGINT       NOT NULL,
  last_seen_at  BIGINT       NOT NULL,
  draining      TINYINT      NOT NULL DEFAULT 0,
  agent         LONGTEXT
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = {collation};

CREATE TABLE IF NOT EXISTS octoflow_operations (
  id          BIGINT      NOT NULL AUTO_INCREMENT PRIMARY KEY,
  action      VARCHAR(32) NOT NULL,
  filter      LONGTEXT    NOT NULL, -- JSON
  state       VARCHAR(32) NOT NULL,
  position    BIGINT      NOT NULL, -- the last job id looked at
  upto        BIGINT      NOT NULL, -- the newest job id when it was asked for
  examined    BIGINT      NOT NULL DEFAULT 0,
  changed     BIGINT      NOT NULL DEFAULT 0,
  skipped     BIGINT      NOT NULL DEFAULT 0,
  created_at  BIGINT      NOT NULL,
  created_by  LONGTEXT    NOT NULL,
  finished_at BIGINT,
  KEY octoflow_operations_state (state, id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = {collation};

CREATE TABLE IF NOT EXISTS octoflow_keys (
  id           VARCHAR(256) NOT NULL PRIMARY KEY,
  hash         VARCHAR(256) NOT NULL, -- SHA-256 of the key, hexadecimal
  name         LONGTEXT     NOT NULL,
  role         VARCHAR(32)  NOT NULL,
  queues       LONGTEXT,    -- JSON; NULL for all
  created_at   BIGINT       NOT NULL,
  created_by   LONGTEXT     NOT NULL,
  expires_at   BIGINT,
  last_used_at BIGINT,
  UNIQUE KEY octoflow_keys_hash (hash)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = {collation};

CREATE TABLE IF NOT EXISTS octoflow_leader (
  one    TINYINT  NOT NULL PRIMARY KEY,
  holder LONGTEXT NOT NULL,
  term   BIGINT   NOT NULL,
  until  BIGINT   NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = {collation};
INSERT IGNORE INTO octoflow_leader (one, holder, term, until) VALUES (1, '', 0, 0);

-- Where the sweep for outlived jobs goes on: it takes one queue after the other. From the first on between two rounds.
CREATE TABLE IF NOT EXISTS octoflow_sweep (
  one      TINYINT NOT NULL PRIMARY KEY,
  queue_id INT     NOT NULL, -- 0 for requests without a job
  position BIGINT  NOT NULL  -- the last id looked at
) ENGINE = InnoDB;
INSERT IGNORE INTO octoflow_sweep (one, queue_id, position) VALUES (1, 0, 0);

-- How far a copy of another database into this one has got: a row for its source, and one for each kind of record begun.
-- No rows: nothing is being copied.
CREATE TABLE IF NOT EXISTS octoflow_transfer (
  kind VARCHAR(32) NOT NULL PRIMARY KEY,
  next LONGTEXT
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = {collation};

-- Written to find out whether the database can be.
CREATE TABLE IF NOT EXISTS octoflow_probe (
  one     TINYINT NOT NULL PRIMARY KEY,
  written BIGINT  NOT NULL
) ENGINE = InnoDB;
INSERT IGNORE INTO octoflow_probe (one, written) VALUES (1, 0);

-- The tables of the capture API as users' own SQL knows them.
CREATE OR REPLACE VIEW requests AS
SELECT r.id,
       TIMESTAMPADD(MICROSECOND, r.received_at, TIMESTAMP '1970-01-01 00:00:00') AS timestamp,
       JSON_UNQUOTE(JSON_EXTRACT(IF(r.body IS NULL, b.meta, r.meta), '$.sourceIp')) AS source_ip,
       JSON_UNQUOTE(JSON_EXTRACT(IF(r.body IS NULL, b.meta, r.meta), '$.userAgent')) AS user_agent,
       COALESCE(JSON_VALUE(IF(r.body IS NULL, b.meta, r.meta), '$.method'), _utf8mb4 'POST' COLLATE {collation}) AS method,
       COALESCE(JSON_UNQUOTE(JSON_EXTRACT(IF(r.body IS NULL, b.meta, r.meta), '$.url')), _utf8mb4 '/api/v1/jobs' COLLATE {collation}) AS request_url,
       COALESCE(r.body, b.body) AS request_raw,
       q.name AS custom_value,
       r.handled AS is_handled,
       COALESCE(JSON_VALUE(IF(r.body IS NULL, b.meta, r.meta), '$.source'), _utf8mb4 'api' COLLATE {collation}) AS source,
       COALESCE(JSON_VALUE(IF(r.body IS NULL, b.meta, r.meta), '$.contentType'), _utf8mb4 'application/json' COLLATE {collation}) AS content_type,
       JSON_EXTRACT(IF(r.body IS NULL, b.meta, r.meta), '$.headers') AS headers
  FROM octoflow_requests r
  LEFT JOIN octoflow_bodies b ON b.id = r.id
  LEFT JOIN octoflow_queues q ON q.id = r.queue_id;

CREATE OR REPLACE VIEW jobs AS
SELECT r.id,
       r.id AS request_id,
       TIMESTAMPADD(MICROSECOND, r.received_at, TIMESTAMP '1970-01-01 00:00:00') AS created_date,
       TIMESTAMPADD(MICROSECOND, GREATEST(r.received_at, COALESCE(r.started_at, r.received_at),
         COALESCE(r.finished_at, r.received_at)), TIMESTAMP '1970-01-01 00:00:00') AS modified_date,
       TIMESTAMPADD(MICROSECOND, r.finished_at, TIMESTAMP '1970-01-01 00:00:00') AS finished_date,
       COALESCE(r.status_label, CASE r.stage WHEN 3 THEN 'In Progress' WHEN 4 THEN 'Completed' WHEN 5 THEN 'Cancelled'
         WHEN 6 THEN 'Error' ELSE 'Pending' END) AS status,
       q.name AS queue, r.priority, r.attempt, r.worker, r.reason
  FROM octoflow_requests r
  JOIN octoflow_queues q ON q.id = r.queue_id
 WHERE r.stage IS NOT NULL;

CREATE OR REPLACE VIEW events AS
SELECT id, job_id, TIMESTAMPADD(MICROSECOND, at, TIMESTAMP '1970-01-01 00:00:00') AS timestamp, message, kind, level, data
  FROM octoflow_events;

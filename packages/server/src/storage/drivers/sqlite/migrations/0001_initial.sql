-- Version 1: requests, jobs and all that hangs on them.
--
-- Instants and durations are whole microseconds. Octoflow's own tables bear the prefix `octoflow_`; the views `requests`,
-- `jobs` and `events` show them under the names and columns that users' own SQL knows.

-- One counter numbers requests and jobs. `last_at` keeps creation times rising with the ids even when the clock is
-- stepped back, so that a span of time is a span of ids.
CREATE TABLE octoflow_sequence (
  next_id INTEGER NOT NULL,
  last_at INTEGER NOT NULL
);
INSERT INTO octoflow_sequence VALUES (1, 0);

-- Settings and counts of a queue. The columns from `ready` to `dead` count its jobs by stage.
CREATE TABLE octoflow_queues (
  id              INTEGER PRIMARY KEY,
  name            TEXT    NOT NULL UNIQUE,
  created_at      INTEGER NOT NULL,
  version         INTEGER NOT NULL DEFAULT 1,
  paused          INTEGER NOT NULL DEFAULT 0,
  concurrency     INTEGER,
  key_concurrency INTEGER NOT NULL DEFAULT 1,
  rate_limit      TEXT,
  key_rate_limit  TEXT,
  max_attempts    INTEGER,
  backoff         TEXT,
  retention       INTEGER,
  handler         TEXT,
  review          TEXT, -- the lanes from this key on have yet to be looked at under the queue's new limits
  ready           INTEGER NOT NULL DEFAULT 0,
  scheduled       INTEGER NOT NULL DEFAULT 0,
  held            INTEGER NOT NULL DEFAULT 0,
  running         INTEGER NOT NULL DEFAULT 0,
  completed       INTEGER NOT NULL DEFAULT 0,
  cancelled       INTEGER NOT NULL DEFAULT 0,
  dead            INTEGER NOT NULL DEFAULT 0
);

-- A request and, where it made one, its job: they share an id, so they share a row. `stage`: 0 ready, 1 scheduled, 2 held
-- (these three are `pending`), 3 running, 4 completed, 5 cancelled, 6 dead; NULL for a request without a job. What claims and
-- reports touch stands first.
CREATE TABLE octoflow_requests (
  id               INTEGER PRIMARY KEY,
  queue_id         INTEGER,
  stage            INTEGER,
  priority         INTEGER,
  run_at           INTEGER,
  lease_until      INTEGER,
  attempt          INTEGER NOT NULL DEFAULT 0,
  fence            INTEGER NOT NULL DEFAULT 0,
  started_at       INTEGER,
  finished_at      INTEGER,
  worker           TEXT,
  handled          INTEGER NOT NULL DEFAULT 0,
  received_at      INTEGER NOT NULL,
  concurrency_key  TEXT,
  unique_key       TEXT,
  max_attempts     INTEGER,
  options          TEXT,    -- JSON: backoff, timeout, labels
  meta             TEXT,    -- JSON: how it came in, as far as that is not as usual
  body             TEXT,    -- JSON; NULL where both stand in octoflow_bodies
  revised          INTEGER NOT NULL DEFAULT 0, -- a retry put another payload in the body's place; see octoflow_payloads
  deadline         INTEGER, -- of a running job with a time-out: no lease lasts longer
  cancel_requested INTEGER NOT NULL DEFAULT 0,
  reason           TEXT,
  status_label     TEXT,
  progress         TEXT     -- JSON: fraction, message
);
-- Claims read one stage in order of priority and id; lists of pending jobs merge the priorities.
CREATE INDEX octoflow_requests_pending ON octoflow_requests (queue_id, stage, priority, id) WHERE stage < 3;
CREATE INDEX octoflow_requests_scheduled ON octoflow_requests (queue_id, run_at) WHERE stage = 1;
CREATE INDEX octoflow_requests_keyed ON octoflow_requests (queue_id, concurrency_key, stage, priority, id)
  WHERE concurrency_key IS NOT NULL AND stage <= 3;
CREATE UNIQUE INDEX octoflow_requests_unique ON octoflow_requests (queue_id, unique_key)
  WHERE unique_key IS NOT NULL AND stage <= 3;
CREATE INDEX octoflow_requests_leased ON octoflow_requests (lease_until) WHERE stage = 3;
CREATE INDEX octoflow_requests_finished ON octoflow_requests (queue_id, stage, id) WHERE stage > 3;
CREATE INDEX octoflow_requests_without_job ON octoflow_requests (id) WHERE stage IS NULL;

-- What is too large for the row that claims and reports rewrite. Written once.
CREATE TABLE octoflow_bodies (
  id   INTEGER PRIMARY KEY,
  meta TEXT,
  body TEXT NOT NULL
);

-- A label stands here twice, as `name` and as `name=value`: what a filter may ask for.
CREATE TABLE octoflow_job_labels (
  label  TEXT    NOT NULL,
  job_id INTEGER NOT NULL,
  PRIMARY KEY (label, job_id)
) WITHOUT ROWID;

CREATE TABLE octoflow_payloads (
  job_id INTEGER PRIMARY KEY,
  body   TEXT NOT NULL
);

-- Attempts that did not complete their job, and those of jobs that were run again.
CREATE TABLE octoflow_attempts (
  job_id      INTEGER NOT NULL,
  fence       INTEGER NOT NULL,
  attempt     INTEGER NOT NULL,
  worker      TEXT,
  started_at  INTEGER NOT NULL,
  finished_at INTEGER NOT NULL,
  outcome     TEXT    NOT NULL,
  error       TEXT,
  PRIMARY KEY (job_id, fence)
) WITHOUT ROWID;

CREATE TABLE octoflow_results (
  job_id INTEGER PRIMARY KEY,
  at     INTEGER NOT NULL,
  value  TEXT    NOT NULL
);

-- AUTOINCREMENT, so that the id of a deleted event is never given again.
CREATE TABLE octoflow_events (
  id      INTEGER PRIMARY KEY AUTOINCREMENT,
  job_id  INTEGER NOT NULL,
  at      INTEGER NOT NULL,
  kind    TEXT    NOT NULL,
  level   TEXT    NOT NULL,
  message TEXT    NOT NULL,
  data    TEXT
);
CREATE INDEX octoflow_events_of_job ON octoflow_events (job_id, id);

-- A concurrency key in use: how many of its jobs run, and how many are ready to. At most its free places are ready; the
-- others are held, so that a claim never has to step over jobs it may not start.
CREATE TABLE octoflow_lanes (
  queue_id INTEGER NOT NULL,
  key      TEXT    NOT NULL,
  running  INTEGER NOT NULL,
  ready    INTEGER NOT NULL,
  wake_at  INTEGER, -- when to look again for a free place
  PRIMARY KEY (queue_id, key)
) WITHOUT ROWID;
CREATE INDEX octoflow_lanes_waking ON octoflow_lanes (queue_id, wake_at) WHERE wake_at IS NOT NULL;

-- Starts per slice of time, of a queue (key '') and of its concurrency keys (key 'k' and the key).
CREATE TABLE octoflow_rate_usage (
  queue_id INTEGER NOT NULL,
  key      TEXT    NOT NULL,
  slice    INTEGER NOT NULL,
  used     INTEGER NOT NULL,
  PRIMARY KEY (queue_id, key, slice)
) WITHOUT ROWID;
CREATE INDEX octoflow_rate_usage_aging ON octoflow_rate_usage (slice);

-- Roll-ups: what happened in a queue in the `span` minutes from `start` on (in minutes since the epoch). Each minute is there by
-- itself, for a month, and as part of its hour.
CREATE TABLE octoflow_stats (
  queue_id  INTEGER NOT NULL,
  span      INTEGER NOT NULL, -- 1 or 60
  start     INTEGER NOT NULL,
  submitted INTEGER NOT NULL,
  started   INTEGER NOT NULL,
  completed INTEGER NOT NULL,
  failed    INTEGER NOT NULL,
  dead      INTEGER NOT NULL,
  cancelled INTEGER NOT NULL,
  expired   INTEGER NOT NULL,
  waited    INTEGER NOT NULL,
  ran       INTEGER NOT NULL,
  finished  INTEGER NOT NULL,
  PRIMARY KEY (queue_id, span, start)
) WITHOUT ROWID;
CREATE INDEX octoflow_stats_aging ON octoflow_stats (span, start);

CREATE TABLE octoflow_idempotency (
  key         TEXT PRIMARY KEY,
  fingerprint TEXT,
  request_id  INTEGER, -- of a submit
  has_job     INTEGER,
  status      INTEGER, -- of any other call, once it is answered
  body        TEXT,
  expires_at  INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX octoflow_idempotency_expiring ON octoflow_idempotency (expires_at);

CREATE TABLE octoflow_workers (
  id            TEXT PRIMARY KEY,
  queues        TEXT    NOT NULL, -- JSON
  first_seen_at INTEGER NOT NULL,
  last_seen_at  INTEGER NOT NULL,
  draining      INTEGER NOT NULL DEFAULT 0,
  agent         TEXT
) WITHOUT ROWID;

CREATE TABLE octoflow_operations (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,
  action      TEXT    NOT NULL,
  filter      TEXT    NOT NULL, -- JSON
  state       TEXT    NOT NULL,
  position    INTEGER NOT NULL, -- the last job id looked at
  upto        INTEGER NOT NULL, -- the newest job id when it was asked for
  examined    INTEGER NOT NULL DEFAULT 0,
  changed     INTEGER NOT NULL DEFAULT 0,
  skipped     INTEGER NOT NULL DEFAULT 0,
  created_at  INTEGER NOT NULL,
  created_by  TEXT    NOT NULL,
  finished_at INTEGER
);
CREATE INDEX octoflow_operations_running ON octoflow_operations (id) WHERE state = 'running';

CREATE TABLE octoflow_keys (
  id           TEXT PRIMARY KEY,
  hash         TEXT    NOT NULL UNIQUE, -- SHA-256 of the key, hexadecimal
  name         TEXT    NOT NULL,
  role         TEXT    NOT NULL,
  queues       TEXT,    -- JSON; NULL for all
  created_at   INTEGER NOT NULL,
  created_by   TEXT    NOT NULL,
  expires_at   INTEGER,
  last_used_at INTEGER
) WITHOUT ROWID;

CREATE TABLE octoflow_leader (
  one    INTEGER PRIMARY KEY CHECK (one = 1),
  holder TEXT    NOT NULL,
  term   INTEGER NOT NULL,
  until  INTEGER NOT NULL
);

-- Where the sweep for outlived jobs goes on: it takes one queue after the other. No row between two rounds.
CREATE TABLE octoflow_sweep (
  one      INTEGER PRIMARY KEY CHECK (one = 1),
  queue_id INTEGER NOT NULL, -- 0 for requests without a job
  position INTEGER NOT NULL  -- the last id looked at
);

-- How far a copy of another database into this one has got: a row for its source, and one for each kind of record begun.
-- No rows: nothing is being copied.
CREATE TABLE octoflow_transfer (
  kind TEXT PRIMARY KEY,
  next TEXT
) WITHOUT ROWID;

-- The tables of the capture API as users' own SQL knows them. Times have six digits of fraction, as the libraries that wrote
-- them before always give them.
CREATE VIEW requests AS
WITH content AS (
  SELECT r.id, iif(r.body IS NULL, b.meta, r.meta) AS meta, coalesce(r.body, b.body) AS body
    FROM octoflow_requests r LEFT JOIN octoflow_bodies b ON b.id = r.id
)
SELECT r.id,
       strftime('%Y-%m-%d %H:%M:%S', r.received_at / 1000000, 'unixepoch') || printf('.%06d', r.received_at % 1000000) AS timestamp,
       c.meta ->> 'sourceIp' AS source_ip,
       c.meta ->> 'userAgent' AS user_agent,
       coalesce(c.meta ->> 'method', 'POST') AS method,
       coalesce(c.meta ->> 'url', '/api/v1/jobs') AS request_url,
       c.body AS request_raw,
       q.name AS custom_value,
       r.handled AS is_handled,
       coalesce(c.meta ->> 'source', 'api') AS source,
       coalesce(c.meta ->> 'contentType', 'application/json') AS content_type,
       c.meta -> 'headers' AS headers
  FROM octoflow_requests r
  JOIN content c ON c.id = r.id
  LEFT JOIN octoflow_queues q ON q.id = r.queue_id;

CREATE VIEW jobs AS
WITH dated AS (
  SELECT *, max(received_at, coalesce(started_at, 0), coalesce(finished_at, 0)) AS modified_at FROM octoflow_requests
)
SELECT r.id,
       r.id AS request_id,
       strftime('%Y-%m-%d %H:%M:%S', r.received_at / 1000000, 'unixepoch') || printf('.%06d', r.received_at % 1000000) AS created_date,
       strftime('%Y-%m-%d %H:%M:%S', r.modified_at / 1000000, 'unixepoch') || printf('.%06d', r.modified_at % 1000000) AS modified_date,
       strftime('%Y-%m-%d %H:%M:%S', r.finished_at / 1000000, 'unixepoch') || printf('.%06d', r.finished_at % 1000000) AS finished_date,
       CASE WHEN r.status_label IS NOT NULL THEN r.status_label
            ELSE CASE r.stage WHEN 3 THEN 'In Progress' WHEN 4 THEN 'Completed' WHEN 5 THEN 'Cancelled' WHEN 6 THEN 'Error' ELSE 'Pending' END
       END AS status,
       q.name AS queue, r.priority, r.attempt, r.worker, r.reason
  FROM dated r
  JOIN octoflow_queues q ON q.id = r.queue_id
 WHERE r.stage IS NOT NULL;

CREATE VIEW events AS
SELECT id, job_id,
       strftime('%Y-%m-%d %H:%M:%S', at / 1000000, 'unixepoch') || printf('.%06d', at % 1000000) AS timestamp,
       message, kind, level, data
  FROM octoflow_events;

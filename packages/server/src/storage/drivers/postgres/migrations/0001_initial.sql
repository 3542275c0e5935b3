-- Version 1: requests, jobs and all that hangs on them.
--
-- Instants and durations are whole microseconds. Octoflow's own tables bear the prefix `octoflow_`; the views `requests`,
-- `jobs` and `events` show them under the names and columns that users' own SQL knows. Texts are compared byte by byte.

CREATE SEQUENCE octoflow_ids;

-- When the request with the last id came. Keeps creation times rising with the ids, though the servers' clocks differ and
-- may be stepped back, so that a span of time is a span of ids.
CREATE SEQUENCE octoflow_clock MINVALUE -9223372036854775808 START -9223372036854775808;

-- Gives `wanted` ids in a row, and the time before which no request with them may have come. Ids and times have to be taken
-- together; a row that holds both would be locked until the commit, and all submits of all servers would wait for each
-- other's disk syncs. Sequences are outside of transactions, so the lock is held for microseconds. Whoever is interrupted
-- while holding it drops the connection.
CREATE FUNCTION octoflow_allocate(wanted integer, at bigint, OUT first_id bigint, OUT not_before bigint)
LANGUAGE plpgsql AS $$
DECLARE
  lock CONSTANT bigint := 'octoflow_ids'::regclass::oid::bigint;
BEGIN
  PERFORM pg_advisory_lock(lock);
  SELECT last_value INTO not_before FROM octoflow_clock;
  IF at > not_before THEN PERFORM setval('octoflow_clock', at); END IF;
  first_id := nextval('octoflow_ids');
  IF wanted > 1 THEN PERFORM setval('octoflow_ids', first_id + wanted - 1); END IF;
  PERFORM pg_advisory_unlock(lock);
END $$;

CREATE TABLE octoflow_queues (
  id              integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name            text COLLATE "C" NOT NULL UNIQUE,
  created_at      bigint  NOT NULL,
  version         integer NOT NULL DEFAULT 1,
  paused          boolean NOT NULL DEFAULT false,
  concurrency     integer,
  key_concurrency integer NOT NULL DEFAULT 1,
  rate_limit      text,
  key_rate_limit  text,
  max_attempts    integer,
  backoff         text,
  retention       bigint,
  handler         text
);

-- How many jobs a queue has in each stage. Every connection adds to rows of its own (`slot`), so that nobody waits for
-- anybody; what a queue has is their sum, and a single row may be below zero.
CREATE TABLE octoflow_counts (
  queue_id  integer NOT NULL,
  slot      integer NOT NULL,
  ready     bigint  NOT NULL,
  scheduled bigint  NOT NULL,
  held      bigint  NOT NULL,
  running   bigint  NOT NULL,
  completed bigint  NOT NULL,
  cancelled bigint  NOT NULL,
  dead      bigint  NOT NULL,
  PRIMARY KEY (queue_id, slot)
) WITH (fillfactor = 20);

-- A request and, where it made one, its job: they share an id, so they share a row. `stage`: 0 ready, 1 scheduled, 2 held
-- (these three are `pending`), 3 running, 4 completed, 5 cancelled, 6 dead; NULL for a request without a job. Short bodies
-- stand in the row; longer ones do not, for every change of the job writes the row anew. What all jobs have comes first:
-- PostgreSQL finds a column at once only where none before it is NULL.
CREATE TABLE octoflow_requests (
  id               bigint   PRIMARY KEY,
  received_at      bigint   NOT NULL,
  run_at           bigint,
  queue_id         integer,
  attempt          integer  NOT NULL DEFAULT 0,
  fence            integer  NOT NULL DEFAULT 0,
  stage            smallint,
  priority         smallint,
  handled          boolean  NOT NULL DEFAULT false,
  revised          boolean  NOT NULL DEFAULT false, -- a retry put another payload in the body's place; see octoflow_payloads
  cancel_requested boolean  NOT NULL DEFAULT false,
  lease_until      bigint,
  started_at       bigint,
  finished_at      bigint,
  max_attempts     integer,
  size             integer, -- characters of the payload, where it does not stand in this row
  timeout          bigint,
  deadline         bigint,  -- of a running job with a time-out: no lease lasts longer
  worker           text COLLATE "C",
  concurrency_key  text COLLATE "C",
  unique_key       text COLLATE "C",
  options          text,    -- JSON: backoff, labels
  meta             text,    -- JSON: how it came in, as far as that is not as usual
  body             text,    -- JSON; NULL where both stand in octoflow_bodies
  reason           text,
  status_label     text,
  progress         text     -- JSON: fraction, message
) WITH (
  fillfactor = 50, -- a job is written twice more: where there is room on its page that costs less, and leaves less behind
  autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 20000, autovacuum_vacuum_insert_scale_factor = 0.05,
  autovacuum_analyze_scale_factor = 0.1, autovacuum_vacuum_cost_delay = 1, toast_tuple_target = 8160
);
-- Claims read one stage in order of priority and id; lists of pending jobs merge the priorities.
CREATE INDEX octoflow_requests_pending ON octoflow_requests (queue_id, stage, priority, id) WHERE stage < 3;
CREATE INDEX octoflow_requests_scheduled ON octoflow_requests (queue_id, run_at) WHERE stage = 1;
-- `stage + 0`, so that a query which says the same can be served by this index and by no other.
CREATE INDEX octoflow_requests_keyed ON octoflow_requests (queue_id, concurrency_key, stage, priority, id)
  WHERE concurrency_key IS NOT NULL AND stage + 0 < 3;
CREATE UNIQUE INDEX octoflow_requests_unique ON octoflow_requests (queue_id, unique_key)
  WHERE unique_key IS NOT NULL AND stage <= 3;
CREATE INDEX octoflow_requests_leased ON octoflow_requests (lease_until) WHERE stage = 3;
CREATE INDEX octoflow_requests_finished ON octoflow_requests (queue_id, stage, id) WHERE stage > 3;
CREATE INDEX octoflow_requests_without_job ON octoflow_requests (id) WHERE stage IS NULL;

-- Written once.
CREATE TABLE octoflow_bodies (
  id   bigint PRIMARY KEY,
  meta text,
  body text NOT NULL
);

-- A label stands here twice, as `name` and as `name=value`: what a filter may ask for.
CREATE TABLE octoflow_job_labels (
  label  text COLLATE "C" NOT NULL,
  job_id bigint NOT NULL,
  PRIMARY KEY (label, job_id)
);

CREATE TABLE octoflow_payloads (
  job_id bigint PRIMARY KEY,
  body   text NOT NULL
);

-- Attempts that did not complete their job, and those of jobs that were run again.
CREATE TABLE octoflow_attempts (
  job_id      bigint  NOT NULL,
  fence       integer NOT NULL,
  attempt     integer NOT NULL,
  worker      text,
  started_at  bigint  NOT NULL,
  finished_at bigint  NOT NULL,
  outcome     text    NOT NULL,
  error       text,
  PRIMARY KEY (job_id, fence)
);

CREATE TABLE octoflow_results (
  job_id bigint PRIMARY KEY,
  at     bigint NOT NULL,
  value  text   NOT NULL
);

CREATE TABLE octoflow_events (
  id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  job_id  bigint NOT NULL,
  at      bigint NOT NULL,
  kind    text   NOT NULL,
  level   text   NOT NULL,
  message text   NOT NULL,
  data    text
);
CREATE INDEX octoflow_events_of_job ON octoflow_events (job_id, id);

-- A concurrency key in use: how many of its jobs run, are ready to, and are held. At most its free places are ready; the
-- others are held, so that a claim never has to step over jobs it may not start. Whoever changes the stage of a keyed job
-- holds the lock of its row here until the commit.
CREATE TABLE octoflow_lanes (
  queue_id integer NOT NULL,
  key      text COLLATE "C" NOT NULL,
  running  integer NOT NULL DEFAULT 0,
  ready    integer NOT NULL DEFAULT 0,
  held     integer NOT NULL DEFAULT 0,
  wake_at  bigint, -- when to look again for a free place
  PRIMARY KEY (queue_id, key)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05);
CREATE INDEX octoflow_lanes_waking ON octoflow_lanes (queue_id, wake_at) WHERE wake_at IS NOT NULL;

-- Starts per slice of time, of a queue (key '') and of its concurrency keys (key 'k' and the key).
CREATE TABLE octoflow_rate_usage (
  queue_id integer NOT NULL,
  key      text COLLATE "C" NOT NULL,
  slice    bigint  NOT NULL,
  used     integer NOT NULL,
  PRIMARY KEY (queue_id, key, slice)
) WITH (fillfactor = 50);
CREATE INDEX octoflow_rate_usage_aging ON octoflow_rate_usage (slice);

-- Roll-ups: what happened in a queue in a span of 1 or 60 minutes that begins at `start` (minutes since the epoch), by connection
-- as in octoflow_counts. Spans gone by are folded into slot -1.
CREATE TABLE octoflow_stats (
  queue_id  integer NOT NULL,
  span      smallint NOT NULL,
  start     integer NOT NULL,
  slot      integer NOT NULL,
  submitted bigint  NOT NULL,
  started   bigint  NOT NULL,
  completed bigint  NOT NULL,
  failed    bigint  NOT NULL,
  dead      bigint  NOT NULL,
  cancelled bigint  NOT NULL,
  expired   bigint  NOT NULL,
  waited    double precision NOT NULL, -- a large backlog waits longer, in microseconds, than the largest bigint
  ran       double precision NOT NULL,
  finished  bigint  NOT NULL,
  PRIMARY KEY (queue_id, span, start, slot)
) WITH (fillfactor = 50);
CREATE INDEX octoflow_stats_aging ON octoflow_stats (span, start);
CREATE INDEX octoflow_stats_unfolded ON octoflow_stats (start) WHERE slot >= 0;

CREATE TABLE octoflow_idempotency (
  key         text COLLATE "C" PRIMARY KEY,
  fingerprint text,
  request_id  bigint,  -- of a submit
  has_job     boolean,
  status      integer, -- of any other call, once it is answered
  body        text,
  expires_at  bigint NOT NULL
);
CREATE INDEX octoflow_idempotency_expiring ON octoflow_idempotency (expires_at);

CREATE TABLE octoflow_workers (
  id            text COLLATE "C" PRIMARY KEY,
  queues        text    NOT NULL, -- JSON
  first_seen_at bigint  NOT NULL,
  last_seen_at  bigint  NOT NULL,
  draining      boolean NOT NULL DEFAULT false,
  agent         text
);

CREATE TABLE octoflow_operations (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  action      text   NOT NULL,
  filter      text   NOT NULL, -- JSON
  state       text   NOT NULL,
  position    bigint NOT NULL, -- the last job id looked at
  upto        bigint NOT NULL, -- the newest job id when it was asked for
  examined    bigint NOT NULL DEFAULT 0,
  changed     bigint NOT NULL DEFAULT 0,
  skipped     bigint NOT NULL DEFAULT 0,
  created_at  bigint NOT NULL,
  created_by  text   NOT NULL,
  finished_at bigint
);
CREATE INDEX octoflow_operations_running ON octoflow_operations (id) WHERE state = 'running';

CREATE TABLE octoflow_keys (
  id           text COLLATE "C" PRIMARY KEY,
  hash         text   NOT NULL UNIQUE, -- SHA-256 of the key, hexadecimal
  name         text   NOT NULL,
  role         text   NOT NULL,
  queues       text,   -- JSON; NULL for all
  created_at   bigint NOT NULL,
  created_by   text   NOT NULL,
  expires_at   bigint,
  last_used_at bigint
);

CREATE TABLE octoflow_leader (
  one    boolean PRIMARY KEY DEFAULT true CHECK (one),
  holder text    NOT NULL,
  term   bigint  NOT NULL,
  until  bigint  NOT NULL
);

-- Where the sweep for outlived jobs goes on; empty between two rounds.
CREATE TABLE octoflow_sweep (
  one      boolean PRIMARY KEY DEFAULT true CHECK (one),
  queue_id integer NOT NULL, -- 0 for requests without a job
  position bigint  NOT NULL
);

-- How far a copy of another database into this one has got: a row for its source, and one for each kind of record begun.
-- No rows: nothing is being copied.
CREATE TABLE octoflow_transfer (
  kind text PRIMARY KEY,
  next text
);

-- Written to find out whether the database can be.
CREATE TABLE octoflow_probe (
  one boolean PRIMARY KEY DEFAULT true CHECK (one)
);
INSERT INTO octoflow_probe DEFAULT VALUES;

CREATE FUNCTION octoflow_timestamp(at bigint) RETURNS timestamp
LANGUAGE sql IMMUTABLE PARALLEL SAFE RETURN timestamp '1970-01-01' + at * interval '1 microsecond';

-- The tables of the capture API as users' own SQL knows them.
CREATE VIEW requests AS
WITH content AS (
  SELECT r.id, (CASE WHEN r.body IS NULL THEN b.meta ELSE r.meta END)::json AS meta, coalesce(r.body, b.body) AS body
    FROM octoflow_requests r LEFT JOIN octoflow_bodies b ON b.id = r.id
)
SELECT r.id,
       octoflow_timestamp(r.received_at) AS timestamp,
       c.meta ->> 'sourceIp' AS source_ip,
       c.meta ->> 'userAgent' AS user_agent,
       coalesce(c.meta ->> 'method', 'POST') AS method,
       coalesce(c.meta ->> 'url', '/api/v1/jobs') AS request_url,
       c.body::json AS request_raw,
       q.name AS custom_value,
       r.handled::integer AS is_handled,
       coalesce(c.meta ->> 'source', 'api') AS source,
       coalesce(c.meta ->> 'contentType', 'application/json') AS content_type,
       c.meta -> 'headers' AS headers
  FROM octoflow_requests r
  JOIN content c ON c.id = r.id
  LEFT JOIN octoflow_queues q ON q.id = r.queue_id;

CREATE VIEW jobs AS
SELECT r.id,
       r.id AS request_id,
       octoflow_timestamp(r.received_at) AS created_date,
       octoflow_timestamp(greatest(r.received_at, r.started_at, r.finished_at)) AS modified_date,
       octoflow_timestamp(r.finished_at) AS finished_date,
       coalesce(r.status_label, CASE r.stage WHEN 3 THEN 'In Progress' WHEN 4 THEN 'Completed' WHEN 5 THEN 'Cancelled'
         WHEN 6 THEN 'Error' ELSE 'Pending' END) AS status,
       q.name AS queue, r.priority, r.attempt, r.worker, r.reason
  FROM octoflow_requests r
  JOIN octoflow_queues q ON q.id = r.queue_id
 WHERE r.stage IS NOT NULL;

CREATE VIEW events AS
SELECT id, job_id, octoflow_timestamp(at) AS timestamp, message, kind, level, data FROM octoflow_events;

-- Version 2: log events of other systems.

-- Of the last event that arrived, whether it was stored or not.
CREATE SEQUENCE octoflow_log_event_sequence MINVALUE 0 START 0;

-- Gives `wanted` numbers in a row, and locks the one before them, together with others, until the transaction ends: so everybody can
-- tell from which number on events may yet come. As in octoflow_allocate, the numbers are taken under a lock that is held for
-- microseconds.
CREATE FUNCTION octoflow_allocate_log_events(wanted integer) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
  class  CONSTANT integer := 'octoflow_log_event_sequence'::regclass::oid::integer;
  before bigint;
BEGIN
  PERFORM pg_advisory_lock(class, -1);
  SELECT last_value INTO before FROM octoflow_log_event_sequence;
  PERFORM pg_advisory_xact_lock_shared(class, (before % 2147483648)::integer);
  PERFORM setval('octoflow_log_event_sequence', before + wanted);
  PERFORM pg_advisory_unlock(class, -1);
  RETURN before + 1;
END $$;

-- The last number given, and the last up to which all events are committed or will never be. A lock is seen until its transaction
-- is: who is not found among them is visible to the statements that follow. It shows 31 bits of a number, the others are those of
-- a number near it.
CREATE FUNCTION octoflow_complete_log_events(OUT given bigint, OUT complete bigint)
LANGUAGE plpgsql AS $$
BEGIN
  SELECT last_value INTO given FROM octoflow_log_event_sequence;
  SELECT least(given, min(given - (given - objid::bigint) % 2147483648)) INTO complete FROM pg_locks
   WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
     AND classid = 'octoflow_log_event_sequence'::regclass AND objsubid = 2 AND mode = 'ShareLock';
END $$;

CREATE TABLE octoflow_log_events (
  sequence  bigint PRIMARY KEY,
  at        bigint NOT NULL,
  id        text COLLATE "C" NOT NULL,
  type      text COLLATE "C" NOT NULL,
  username  text COLLATE "C",
  email     text COLLATE "C",
  system_id text COLLATE "C",
  location  text COLLATE "C",
  operation text COLLATE "C",
  document  text NOT NULL -- JSON: the event as it is given back
) WITH (
  -- Counting and stepping over read indexes only, as long as the pages are known to be visible to all.
  autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 1
);
CREATE UNIQUE INDEX octoflow_log_events_id ON octoflow_log_events (id);
-- The condition is always true, so that this index serves only queries which say it, and none about a type or a field.
CREATE INDEX octoflow_log_events_at ON octoflow_log_events (at, sequence) WHERE sequence + 0 > 0;
CREATE INDEX octoflow_log_events_type ON octoflow_log_events (type, at, sequence);
CREATE INDEX octoflow_log_events_username ON octoflow_log_events (username, at, sequence) WHERE username IS NOT NULL;
CREATE INDEX octoflow_log_events_email ON octoflow_log_events (email, at, sequence) WHERE email IS NOT NULL;
CREATE INDEX octoflow_log_events_system_id ON octoflow_log_events (system_id, at, sequence) WHERE system_id IS NOT NULL;
CREATE INDEX octoflow_log_events_location ON octoflow_log_events (location, at, sequence) WHERE location IS NOT NULL;
CREATE INDEX octoflow_log_events_operation ON octoflow_log_events (operation, at, sequence) WHERE operation IS NOT NULL;

-- How many events of a type happened in the `span` minutes from `start` on (in minutes since the epoch): each counts in its minute,
-- in its day, and in the row of span 0 for all time. By connection as in octoflow_counts; rows of times gone by are folded into slot -1.
CREATE TABLE octoflow_log_event_counts (
  span   integer NOT NULL, -- 1, 1440 or 0
  start  integer NOT NULL,
  type   text COLLATE "C" NOT NULL,
  slot   integer NOT NULL,
  events bigint  NOT NULL,
  PRIMARY KEY (span, start, type, slot)
) WITH (fillfactor = 50);
CREATE INDEX octoflow_log_event_counts_unfolded ON octoflow_log_event_counts (start) WHERE slot >= 0 AND span > 0;
CREATE INDEX octoflow_log_event_counts_obsolete ON octoflow_log_event_counts (start) WHERE slot < 0 AND events = 0;

-- Up to which sequence those who follow the events have got.
CREATE TABLE octoflow_log_event_followers (
  name     text COLLATE "C" PRIMARY KEY,
  sequence bigint NOT NULL
) WITH (fillfactor = 50);

-- Of an operation on log events, `position` is the time of the last one looked at, and this its sequence.
ALTER TABLE octoflow_operations ADD COLUMN sequence bigint NOT NULL DEFAULT 0;

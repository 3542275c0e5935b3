-- Version 2: log events of other systems.

-- `sequence` rises in the order of arrival and is never given twice. It is the rowid, which every index ends with: so an index by
-- time has events of the same time in the order of their arrival.
CREATE TABLE octoflow_log_events (
  sequence  INTEGER PRIMARY KEY,
  id        TEXT    NOT NULL,
  type      TEXT    NOT NULL,
  at        INTEGER NOT NULL,
  username  TEXT,
  email     TEXT,
  system_id TEXT,
  location  TEXT,
  operation TEXT,
  document  TEXT    NOT NULL -- JSON: the event as it is given back
);
CREATE UNIQUE INDEX octoflow_log_events_id ON octoflow_log_events (id);
CREATE INDEX octoflow_log_events_at ON octoflow_log_events (at);
CREATE INDEX octoflow_log_events_type ON octoflow_log_events (type, at);
CREATE INDEX octoflow_log_events_username ON octoflow_log_events (username, at) WHERE username IS NOT NULL;
CREATE INDEX octoflow_log_events_email ON octoflow_log_events (email, at) WHERE email IS NOT NULL;
CREATE INDEX octoflow_log_events_system_id ON octoflow_log_events (system_id, at) WHERE system_id IS NOT NULL;
CREATE INDEX octoflow_log_events_location ON octoflow_log_events (location, at) WHERE location IS NOT NULL;
CREATE INDEX octoflow_log_events_operation ON octoflow_log_events (operation, at) WHERE operation IS NOT NULL;

CREATE TABLE octoflow_log_event_sequence (
  next INTEGER NOT NULL
);
INSERT INTO octoflow_log_event_sequence VALUES (1);

-- How many events of a type happened in the `span` minutes from `start` on (in minutes since the epoch): each counts in its minute,
-- in its day, and in the row of span 0 for all time.
CREATE TABLE octoflow_log_event_counts (
  span   INTEGER NOT NULL, -- 1, 1440 or 0
  start  INTEGER NOT NULL,
  type   TEXT    NOT NULL,
  events INTEGER NOT NULL,
  PRIMARY KEY (span, start, type)
) WITHOUT ROWID;

-- Up to which sequence those who follow the events have got.
CREATE TABLE octoflow_log_event_followers (
  name     TEXT PRIMARY KEY,
  sequence INTEGER NOT NULL
) WITHOUT ROWID;

-- Of an operation on log events, `position` is the time of the last one looked at, and this its sequence.
ALTER TABLE octoflow_operations ADD COLUMN sequence INTEGER NOT NULL DEFAULT 0;

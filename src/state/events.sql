-- Events are kept as the lines that went out, for a time that is counted from here.
ALTER TABLE events ADD COLUMN stored INTEGER NOT NULL DEFAULT 0;

-- Only few events belong to a run.
DROP INDEX events_run;
CREATE INDEX events_run ON events (run) WHERE run IS NOT NULL;

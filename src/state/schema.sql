PRAGMA application_id = 0x41464f31;  -- "AFO1"

CREATE TABLE proposals (
    id TEXT PRIMARY KEY,
    run TEXT,
    ts INTEGER NOT NULL,              -- all times: microseconds since 1970, UTC
    hash TEXT NOT NULL,               -- SHA-256 of json
    json TEXT NOT NULL                -- canonical: keys sorted
) STRICT;
CREATE INDEX proposals_run ON proposals (run);

CREATE TABLE deployments (
    id TEXT PRIMARY KEY,
    run TEXT,
    ts INTEGER NOT NULL,
    actor TEXT NOT NULL,
    backend TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'applied', 'confirmed', 'rolled_back', 'failed', 'refused')),
    step TEXT CHECK (step IN ('applying', 'confirming', 'reverting')),
    step_actor TEXT,
    step_ts INTEGER,
    base_hash TEXT,
    generation_old INTEGER,
    generation_new INTEGER,
    window_seconds INTEGER,
    applied_at INTEGER,
    confirm_by INTEGER,
    confirmed_by TEXT,
    ended_at INTEGER,
    backup TEXT,
    apply_text TEXT,
    confirm_text TEXT,
    revert_text TEXT,
    policy_before TEXT NOT NULL,
    policy_after TEXT NOT NULL,
    error TEXT,
    heartbeat TEXT NOT NULL,
    rules TEXT NOT NULL,
    blocks TEXT NOT NULL
) STRICT;
CREATE INDEX deployments_run ON deployments (run);
CREATE INDEX deployments_ts ON deployments (ts);
CREATE INDEX deployments_open ON deployments (status) WHERE status IN ('pending', 'applied');

CREATE TABLE deployment_proposals (
    deployment TEXT NOT NULL REFERENCES deployments (id),
    position INTEGER NOT NULL,
    proposal TEXT NOT NULL REFERENCES proposals (id),
    PRIMARY KEY (deployment, position)
) STRICT, WITHOUT ROWID;

-- The code checks this first and in words; the trigger holds against whatever else writes here.
CREATE TRIGGER deployment_status BEFORE UPDATE OF status ON deployments
WHEN NOT (
    (OLD.status = 'pending' AND NEW.status IN ('applied', 'confirmed', 'rolled_back', 'failed', 'refused')) OR
    (OLD.status = 'applied' AND NEW.status IN ('confirmed', 'rolled_back', 'failed')) OR
    (OLD.status IN ('confirmed', 'failed') AND NEW.status = 'rolled_back')
)
BEGIN
    SELECT RAISE(ABORT, 'illegal change of a deployment''s status');
END;

CREATE TABLE policy (
    position INTEGER PRIMARY KEY,
    rule TEXT NOT NULL UNIQUE,
    deployment TEXT NOT NULL REFERENCES deployments (id),
    expires INTEGER,
    json TEXT NOT NULL
) STRICT;

CREATE TABLE blocks (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    direction TEXT NOT NULL CHECK (direction IN ('from', 'to')),
    address TEXT NOT NULL,
    protocol TEXT NOT NULL,           -- '' means any
    ports TEXT NOT NULL,              -- sorted, with commas; '' means all
    since INTEGER NOT NULL,
    until INTEGER,                    -- NULL means without end
    reason TEXT NOT NULL,
    assessment TEXT,
    run TEXT,
    deployment TEXT REFERENCES deployments (id),
    offence INTEGER NOT NULL,
    ended INTEGER,
    end TEXT CHECK (end IN ('expired', 'unblocked', 'mistake', 'failed', 'flushed'))
) STRICT;
CREATE UNIQUE INDEX blocks_live ON blocks (direction, address, protocol, ports) WHERE ended IS NULL;
CREATE INDEX blocks_due ON blocks (until) WHERE ended IS NULL;
CREATE INDEX blocks_address ON blocks (address);
CREATE INDEX blocks_run ON blocks (run);
CREATE INDEX blocks_deployment ON blocks (deployment);

CREATE TABLE events (
    id TEXT PRIMARY KEY,
    ts INTEGER NOT NULL,
    run TEXT,
    json TEXT NOT NULL
) STRICT;
CREATE INDEX events_ts ON events (ts);
CREATE INDEX events_run ON events (run);

CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
INSERT INTO settings VALUES ('audit_head', '0:0000000000000000000000000000000000000000000000000000000000000000');

CREATE TABLE cursors (source TEXT PRIMARY KEY, position TEXT NOT NULL, ts INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- body is what is hashed; nothing that it says is kept a second time where it could be changed alone.
CREATE TABLE audit (
    seq INTEGER PRIMARY KEY,
    ts INTEGER NOT NULL,              -- for the index only; the body's time is shown
    hash TEXT NOT NULL,
    body TEXT NOT NULL,
    run TEXT GENERATED ALWAYS AS (json_extract(body, '$.run')) VIRTUAL
) STRICT;
CREATE INDEX audit_ts ON audit (ts);
CREATE INDEX audit_run ON audit (run);

-- Proposals that wait for a person, and what one decided about them.
CREATE TABLE approvals (
    proposal TEXT PRIMARY KEY REFERENCES proposals (id),
    run TEXT,
    hash TEXT NOT NULL,               -- SHA-256 of what is to be done: rules, changes, backend
    backend TEXT NOT NULL,
    proposer TEXT NOT NULL,
    why TEXT NOT NULL,                -- why it was not done without a person
    since INTEGER NOT NULL,
    until INTEGER NOT NULL,           -- how long it waits; of what is approved, how long that holds
    status TEXT NOT NULL CHECK (status IN ('pending', 'approved', 'rejected', 'expired')),
    base TEXT,                        -- hash of the ruleset that it was approved for
    decided_by TEXT,
    decided_at INTEGER,
    reason TEXT,
    deployment TEXT REFERENCES deployments (id)  -- what an approval was used for
) STRICT;
CREATE INDEX approvals_open ON approvals (until) WHERE status IN ('pending', 'approved');
CREATE INDEX approvals_since ON approvals (since);

-- The code checks this first and in words; the trigger holds against whatever else writes here.
CREATE TRIGGER approval_status BEFORE UPDATE OF status ON approvals
WHEN OLD.status IN ('rejected', 'expired') AND NEW.status <> OLD.status OR NEW.status = 'pending' AND OLD.status <> 'pending'
BEGIN
    SELECT RAISE(ABORT, 'illegal change of an approval''s status');
END;

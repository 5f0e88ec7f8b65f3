-- Accounts that were closed: their names are never given again.
ALTER TABLE account ADD COLUMN closed_at timestamptz;

-- What users told the operator of (`python -m messaging reports`).
CREATE TABLE report (
    room_no bigint NOT NULL,
    seq bigint NOT NULL,
    user_no bigint NOT NULL REFERENCES account ON DELETE CASCADE,
    reason text,
    score int,
    made_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (room_no, seq, user_no)
);
CREATE INDEX report_made ON report (made_at, room_no, seq);
CREATE INDEX report_user ON report (user_no);

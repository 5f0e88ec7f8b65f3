-- told: who voted was told that it ended.
CREATE TABLE poll (
    status_id bigint PRIMARY KEY REFERENCES status ON DELETE CASCADE,
    options text[] NOT NULL,
    multiple boolean NOT NULL,
    hide_totals boolean NOT NULL,
    expires_at timestamptz NOT NULL,
    told boolean NOT NULL DEFAULT false
);
CREATE INDEX poll_to_tell ON poll (expires_at) WHERE NOT told;

ALTER TABLE status ADD COLUMN has_poll boolean NOT NULL DEFAULT false;

-- What an earlier version of a status asked.
ALTER TABLE status_edit ADD COLUMN poll text[];

-- One of each voter, so that nobody votes twice, at the same moment either.
CREATE TABLE ballot (
    status_id bigint NOT NULL REFERENCES poll ON DELETE CASCADE,
    account_id bigint NOT NULL REFERENCES account ON DELETE CASCADE,
    choices smallint[] NOT NULL,
    PRIMARY KEY (status_id, account_id)
);
CREATE INDEX ballot_by_account ON ballot (account_id);

-- Spread over rows as other counters are (0002), and kept by the ballots themselves: whatever adds
-- one or takes it away counts it.
CREATE TABLE poll_counter (
    status_id bigint NOT NULL REFERENCES poll ON DELETE CASCADE,
    slot smallint NOT NULL,
    voters integer NOT NULL,
    votes integer[] NOT NULL,
    PRIMARY KEY (status_id, slot)
) WITH (fillfactor = 70);

CREATE FUNCTION count_ballot() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    of bigint;
    chosen smallint[];
    more integer;
    free smallint;
BEGIN
    IF TG_OP = 'INSERT' THEN
        of := NEW.status_id; chosen := NEW.choices; more := 1;
    ELSE
        of := OLD.status_id; chosen := OLD.choices; more := -1;
    END IF;
    SELECT slot INTO free FROM poll_counter WHERE status_id = of
    LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        free := floor(random() * 32);
    END IF;
    -- Of a poll that is being deleted with its ballots nothing is counted any more.
    INSERT INTO poll_counter AS c (status_id, slot, voters, votes)
    SELECT of, free, more, ARRAY(
        SELECT CASE WHEN n - 1 = ANY(chosen) THEN more ELSE 0 END
        FROM generate_series(1, cardinality(p.options)) AS n ORDER BY n)
    FROM poll AS p WHERE p.status_id = of
    ON CONFLICT (status_id, slot) DO UPDATE SET
        voters = c.voters + EXCLUDED.voters,
        votes = ARRAY(SELECT one + other FROM unnest(c.votes, EXCLUDED.votes)
                      WITH ORDINALITY AS x (one, other, n) ORDER BY n);
    RETURN NULL;
END
$$;
CREATE TRIGGER ballot_counted AFTER INSERT OR DELETE ON ballot
    FOR EACH ROW EXECUTE FUNCTION count_ballot();

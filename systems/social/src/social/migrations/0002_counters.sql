-- Counters without hot rows: what is counted is spread over rows that are summed up when read. A
-- writer takes a row that nobody else holds; if there is none it makes one more, at most 32. So
-- what is cold has one row, and nobody ever waits for a transaction that counts for the same thing
-- unless 32 do (DECISIONS.md, 5).
CREATE TABLE account_counter (
    account_id bigint NOT NULL REFERENCES account ON DELETE CASCADE,
    slot smallint NOT NULL,
    statuses integer NOT NULL DEFAULT 0,
    followers integer NOT NULL DEFAULT 0,
    following integer NOT NULL DEFAULT 0,
    PRIMARY KEY (account_id, slot)
) WITH (fillfactor = 70);

CREATE TABLE status_counter (
    status_id bigint NOT NULL REFERENCES status ON DELETE CASCADE,
    slot smallint NOT NULL,
    replies integer NOT NULL DEFAULT 0,
    reblogs integer NOT NULL DEFAULT 0,
    favourites integer NOT NULL DEFAULT 0,
    PRIMARY KEY (status_id, slot)
) WITH (fillfactor = 70);

CREATE FUNCTION count_account(of bigint, more_statuses integer, more_followers integer,
                              more_following integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    free smallint;
BEGIN
    SELECT slot INTO free FROM account_counter WHERE account_id = of
    LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        free := floor(random() * 32);
    END IF;
    INSERT INTO account_counter AS c (account_id, slot, statuses, followers, following)
    VALUES (of, free, more_statuses, more_followers, more_following)
    ON CONFLICT (account_id, slot) DO UPDATE SET
        statuses = c.statuses + EXCLUDED.statuses,
        followers = c.followers + EXCLUDED.followers,
        following = c.following + EXCLUDED.following;
    RETURN 1;
END
$$;

CREATE FUNCTION count_status(of bigint, more_replies integer, more_reblogs integer,
                             more_favourites integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    free smallint;
BEGIN
    SELECT slot INTO free FROM status_counter WHERE status_id = of
    LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
        free := floor(random() * 32);
    END IF;
    INSERT INTO status_counter AS c (status_id, slot, replies, reblogs, favourites)
    VALUES (of, free, more_replies, more_reblogs, more_favourites)
    ON CONFLICT (status_id, slot) DO UPDATE SET
        replies = c.replies + EXCLUDED.replies,
        reblogs = c.reblogs + EXCLUDED.reblogs,
        favourites = c.favourites + EXCLUDED.favourites;
    RETURN 1;
END
$$;

-- Ids of notices: as systems_common.ids makes them, but the low 22 bits count up, whoever tells.
CREATE SEQUENCE notification_number AS integer MINVALUE 0 MAXVALUE 4194303 START 0 CYCLE;

-- Tell somebody of something, unless they do not want to hear of who did it. Done by the same
-- statement as what is told of.
CREATE FUNCTION notify_account(of bigint, by bigint, what smallint, about bigint)
RETURNS integer LANGUAGE sql AS $$
    INSERT INTO notification (id, account_id, sender_id, kind, status_id)
    SELECT ((extract(epoch FROM clock_timestamp()) * 1000)::bigint - 1704067200000 << 22)
               | nextval('notification_number'),
           of, by, what, about
    WHERE of <> by
      AND NOT EXISTS (SELECT FROM block WHERE account_id = of AND target_id = by)
      AND NOT EXISTS (SELECT FROM block WHERE account_id = by AND target_id = of)
      AND NOT EXISTS (SELECT FROM mute WHERE account_id = of AND target_id = by AND notifications
                          AND (expires_at IS NULL OR expires_at > now()))
    ON CONFLICT DO NOTHING
    RETURNING 1
$$;

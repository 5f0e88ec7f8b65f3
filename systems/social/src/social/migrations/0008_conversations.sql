-- A conversation as one account has it: the direct statuses of one thread among the same people.
-- thread_id: the direct status that began it, or what that one answered. participants: the others,
-- in order; nobody when somebody writes to themselves.
CREATE TABLE conversation (
    id bigint PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES account ON DELETE CASCADE,
    thread_id bigint NOT NULL,
    participants bigint[] NOT NULL,
    last_status_id bigint NOT NULL,
    unread boolean NOT NULL,
    UNIQUE (account_id, thread_id, participants)
);
CREATE INDEX conversation_list ON conversation (account_id, last_status_id DESC);

CREATE TABLE conversation_status (
    conversation_id bigint NOT NULL REFERENCES conversation ON DELETE CASCADE,
    status_id bigint NOT NULL REFERENCES status ON DELETE CASCADE,
    PRIMARY KEY (conversation_id, status_id)
);
CREATE INDEX conversation_status_by_status ON conversation_status (status_id);

-- Put a direct status into the conversations of those in `whom`, which are among `people`: its
-- author and all it names. Done by the same statement as the status. Returns pairs of an account
-- and its conversation. Who blocks the author, or is blocked, hears nothing.
CREATE FUNCTION converse(about bigint, author bigint, people bigint[], whom bigint[],
                         answered bigint) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    everybody bigint[] := ARRAY(SELECT DISTINCT x FROM unnest(people || author) AS x ORDER BY x);
    thread bigint := coalesce(
        (SELECT c.thread_id FROM conversation_status AS s
         JOIN conversation AS c ON c.id = s.conversation_id WHERE s.status_id = about LIMIT 1),
        (SELECT c.thread_id FROM conversation_status AS s
         JOIN conversation AS c ON c.id = s.conversation_id WHERE s.status_id = answered LIMIT 1),
        answered, about);
    made bigint;
    found bigint[] := '{}';
    person bigint;
BEGIN
    -- In order, so that two who write to the same people do not wait for each other.
    FOR person IN
        SELECT DISTINCT x FROM unnest(whom) AS x
        WHERE NOT EXISTS (SELECT FROM block WHERE account_id = x AND target_id = author)
          AND NOT EXISTS (SELECT FROM block WHERE account_id = author AND target_id = x)
        ORDER BY x
    LOOP
        INSERT INTO conversation AS c
            (id, account_id, thread_id, participants, last_status_id, unread)
        VALUES (id_now(), person, thread, array_remove(everybody, person), about, person <> author)
        ON CONFLICT (account_id, thread_id, participants) DO UPDATE SET
            last_status_id = greatest(c.last_status_id, EXCLUDED.last_status_id),
            unread = EXCLUDED.unread
        RETURNING c.id INTO made;
        INSERT INTO conversation_status (conversation_id, status_id) VALUES (made, about)
        ON CONFLICT DO NOTHING;
        found := found || ARRAY[ARRAY[person, made]];
    END LOOP;
    RETURN found;
END
$$;

-- However a status goes, the one before is the last again, and an empty conversation is gone.
CREATE FUNCTION shorten_conversation() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    newest bigint;
BEGIN
    -- Who adds to it holds this row as well.
    PERFORM FROM conversation WHERE id = OLD.conversation_id FOR UPDATE;
    SELECT max(status_id) INTO newest FROM conversation_status
    WHERE conversation_id = OLD.conversation_id;
    IF newest IS NULL THEN
        DELETE FROM conversation WHERE id = OLD.conversation_id;
    ELSE
        UPDATE conversation SET last_status_id = newest
        WHERE id = OLD.conversation_id AND last_status_id <> newest;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER conversation_shortened AFTER DELETE ON conversation_status
    FOR EACH ROW EXECUTE FUNCTION shorten_conversation();

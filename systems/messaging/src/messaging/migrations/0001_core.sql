-- Every table that /sync reads has a column xid: the transaction that wrote the row last. A sync
-- token is a snapshot, and what is new since then is what that snapshot does not see (DECISIONS 2).

CREATE SEQUENCE worker_number;

CREATE TABLE account (
    no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id text NOT NULL UNIQUE,
    password_digest text NOT NULL,
    display_name text,
    avatar_url text,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE device (
    no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_no bigint NOT NULL REFERENCES account ON DELETE CASCADE,
    device_id text NOT NULL,
    display_name text,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (user_no, device_id)
);

CREATE TABLE access_token (
    digest bytea PRIMARY KEY,
    refresh_digest bytea UNIQUE,
    device_no bigint NOT NULL REFERENCES device ON DELETE CASCADE,
    expires_at timestamptz,
    -- A refreshed pair lives on until the new access token is used: its answer may have been lost.
    replaces bytea
);
CREATE INDEX access_token_device ON access_token (device_no);

-- Every process forgets what it remembers of a token that is no more.
CREATE FUNCTION tell_token_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('token_ended', encode(OLD.digest, 'hex'));
    RETURN NULL;
END $$;
CREATE TRIGGER token_ended AFTER DELETE ON access_token
    FOR EACH ROW EXECUTE FUNCTION tell_token_ended();

CREATE TABLE filter (
    user_no bigint NOT NULL REFERENCES account ON DELETE CASCADE,
    no int NOT NULL,
    digest bytea NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (user_no, no),
    UNIQUE (user_no, digest)
);

-- seq: the number of the room's last event, and auth: of its last state event. counted: how many
-- of its events so far count as unread. Who appends holds the row's lock, so within a room events
-- commit in the order of their numbers.
CREATE TABLE room (
    no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    room_id text NOT NULL UNIQUE,
    version text NOT NULL,
    creator text NOT NULL,
    is_listed boolean NOT NULL DEFAULT false,
    seq bigint NOT NULL DEFAULT 0,
    auth bigint NOT NULL DEFAULT 0,
    counted bigint NOT NULL DEFAULT 0,
    joined int NOT NULL DEFAULT 0,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id()
) WITH (fillfactor = 70);
CREATE INDEX room_listed ON room (joined DESC, no) WHERE is_listed;

-- No foreign key: nothing ever deletes a room, and it would be checked at each event.
-- The id of an event is its room and its number, so no index is needed to find it (DECISIONS 3).
CREATE TABLE event (
    room_no bigint NOT NULL,
    seq bigint NOT NULL,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    ts bigint NOT NULL,
    device_no bigint,
    counted bigint NOT NULL,
    counts boolean NOT NULL,
    replaces bigint,
    relates_to bigint,
    redacts bigint,
    redacted_by bigint,
    sender text NOT NULL,
    type text NOT NULL,
    state_key text,
    txn text,
    rel_type text,
    content bytea NOT NULL,
    PRIMARY KEY (room_no, seq)
);
CREATE INDEX event_xid ON event (xid);
CREATE UNIQUE INDEX event_txn ON event (device_no, room_no, txn, type) WHERE txn IS NOT NULL;
CREATE INDEX event_state ON event (room_no, type, state_key, seq) WHERE state_key IS NOT NULL;
CREATE INDEX event_relation ON event (room_no, relates_to, seq) WHERE relates_to IS NOT NULL;

CREATE TABLE room_state (
    room_no bigint NOT NULL REFERENCES room,
    type text NOT NULL,
    state_key text NOT NULL,
    seq bigint NOT NULL,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (room_no, type, state_key)
);

CREATE TABLE member (
    room_no bigint NOT NULL REFERENCES room,
    user_id text NOT NULL,
    membership text NOT NULL,
    seq bigint NOT NULL,
    is_forgotten boolean NOT NULL DEFAULT false,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (room_no, user_id)
);
CREATE INDEX member_user ON member (user_id, room_no);
CREATE INDEX member_joined ON member (room_no, user_id) WHERE membership = 'join';

-- How far a user has read: by a receipt, or because of an own event. counted: of that event.
CREATE TABLE read_mark (
    room_no bigint NOT NULL,
    user_id text NOT NULL,
    seq bigint NOT NULL,
    counted bigint NOT NULL,
    PRIMARY KEY (room_no, user_id)
) WITH (fillfactor = 70);

-- Who is mentioned by an event, and so gets it as a highlight.
CREATE TABLE highlight (
    room_no bigint NOT NULL,
    user_id text NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (room_no, user_id, seq)
);

CREATE TABLE receipt (
    room_no bigint NOT NULL,
    user_id text NOT NULL,
    type text NOT NULL,
    thread text NOT NULL DEFAULT '',
    seq bigint NOT NULL,
    ts bigint NOT NULL,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (room_no, user_id, type, thread)
);
CREATE INDEX receipt_xid ON receipt (xid);

CREATE TABLE alias (
    alias text PRIMARY KEY,
    room_no bigint NOT NULL REFERENCES room,
    creator text NOT NULL
);
CREATE INDEX alias_room ON alias (room_no);

-- Something of the user's own changed: a membership, account data, a message to a device.
CREATE TABLE user_change (
    user_no bigint PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX user_change_xid ON user_change (xid);

-- room_no 0: for all rooms.
CREATE TABLE account_data (
    user_no bigint NOT NULL REFERENCES account ON DELETE CASCADE,
    room_no bigint NOT NULL,
    type text NOT NULL,
    content bytea NOT NULL,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (user_no, room_no, type)
);

-- no is taken under the lock of the receiver's row of user_change, so it grows in commit order.
CREATE TABLE to_device (
    device_no bigint NOT NULL REFERENCES device ON DELETE CASCADE,
    no bigint NOT NULL,
    sender text NOT NULL,
    type text NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (device_no, no)
);
CREATE SEQUENCE to_device_no CACHE 1;
CREATE TABLE to_device_txn (
    device_no bigint NOT NULL REFERENCES device ON DELETE CASCADE,
    txn text NOT NULL,
    type text NOT NULL,
    PRIMARY KEY (device_no, txn, type)
);

-- Tokens of another epoch are of another database, or from before a restore.
CREATE TABLE epoch (name text NOT NULL);
INSERT INTO epoch VALUES (substr(md5(random()::text || clock_timestamp()::text), 1, 6));

-- Gateways that push to phones, and what is to be pushed.

-- due_at: when its gateway is to be asked next; null: there is nothing to push. tries: how often it
-- failed since it last did not.
CREATE TABLE pusher (
    no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_no bigint NOT NULL REFERENCES account ON DELETE CASCADE,
    user_id text NOT NULL,
    device_no bigint NOT NULL REFERENCES device ON DELETE CASCADE,
    app_id text NOT NULL,
    pushkey text NOT NULL,
    url text NOT NULL,
    content bytea NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    due_at timestamptz,
    tries int NOT NULL DEFAULT 0,
    UNIQUE (app_id, pushkey, user_no)
) WITH (fillfactor = 70);
CREATE INDEX pusher_user ON pusher (user_id);
CREATE INDEX pusher_user_no ON pusher (user_no);
CREATE INDEX pusher_device ON pusher (device_no);
CREATE INDEX pusher_due ON pusher (due_at) WHERE due_at IS NOT NULL;

CREATE TABLE push (
    pusher_no bigint NOT NULL REFERENCES pusher ON DELETE CASCADE,
    no bigint GENERATED ALWAYS AS IDENTITY,
    room_no bigint NOT NULL,
    seq bigint NOT NULL,
    tweaks bytea NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (pusher_no, no)
);

-- As event_text_position: what the snapshot `seen` saw is done.
CREATE TABLE push_position (
    seen text NOT NULL,
    target text,
    xid xid8 NOT NULL,
    room_no bigint NOT NULL,
    seq bigint NOT NULL
);
INSERT INTO push_position VALUES (pg_current_snapshot()::text, NULL, '0', 0, 0);

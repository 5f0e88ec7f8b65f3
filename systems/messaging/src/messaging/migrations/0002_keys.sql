-- End-to-end encryption of clients: the server keeps and hands out public keys.

CREATE TABLE device_key (
    device_no bigint PRIMARY KEY REFERENCES device ON DELETE CASCADE,
    content bytea NOT NULL
);

-- Each is given to one who asks, and is gone then.
CREATE TABLE one_time_key (
    device_no bigint NOT NULL REFERENCES device ON DELETE CASCADE,
    algorithm text NOT NULL,
    key_id text NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (device_no, algorithm, key_id)
);

-- Given again and again once there are no others.
CREATE TABLE fallback_key (
    device_no bigint NOT NULL REFERENCES device ON DELETE CASCADE,
    algorithm text NOT NULL,
    key_id text NOT NULL,
    content bytea NOT NULL,
    is_used boolean NOT NULL DEFAULT false,
    PRIMARY KEY (device_no, algorithm)
);

-- When the devices of a user, or their keys, changed last.
CREATE TABLE device_list (
    user_id text PRIMARY KEY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX device_list_xid ON device_list (xid);

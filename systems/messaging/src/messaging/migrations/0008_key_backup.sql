-- Backups of the keys that messages are encrypted with, encrypted by the client.

-- How many backups a user ever made: the number of one is never given again.
ALTER TABLE account ADD COLUMN backups_made bigint NOT NULL DEFAULT 0;

-- changes: moves with each change of its keys. kept: how many there are.
CREATE TABLE key_backup (
    user_no bigint NOT NULL REFERENCES account ON DELETE CASCADE,
    version bigint NOT NULL,
    algorithm text NOT NULL,
    auth_data bytea NOT NULL,
    changes bigint NOT NULL DEFAULT 0,
    kept bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (user_no, version)
);

CREATE TABLE backed_up_key (
    user_no bigint NOT NULL,
    version bigint NOT NULL,
    room_id text NOT NULL,
    session_id text NOT NULL,
    first_message_index bigint NOT NULL,
    forwarded_count bigint NOT NULL,
    is_verified boolean NOT NULL,
    session_data bytea NOT NULL,
    PRIMARY KEY (user_no, version, room_id, session_id),
    FOREIGN KEY (user_no, version) REFERENCES key_backup ON DELETE CASCADE
);

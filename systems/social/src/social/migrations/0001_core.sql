-- Workers take a number at their start, for ids that no two of them give (systems_common.ids).
CREATE SEQUENCE worker_number MINVALUE 0 MAXVALUE 4095 START 0 CYCLE;

-- Trusted since PostgreSQL 13: whoever owns the database may add it. Searching for a part of a
-- name needs it.
CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- Every id is a systems_common.ids id: it sorts by time, so it is also what lists are paged by.

-- version: rises with every change of what others see, and is what processes remember an account by.
-- pulled: its posts are not fanned out, but merged into homes at read (FANOUT=hybrid); never unset,
-- because posts of that time stand in no home.
CREATE TABLE account (
    id bigint PRIMARY KEY,
    username text COLLATE "C" NOT NULL,
    display_name text NOT NULL DEFAULT '',
    note text NOT NULL DEFAULT '',
    locked boolean NOT NULL DEFAULT false,
    bot boolean NOT NULL DEFAULT false,
    discoverable boolean NOT NULL DEFAULT true,
    fields jsonb NOT NULL DEFAULT '[]',
    default_visibility smallint NOT NULL DEFAULT 0,
    default_sensitive boolean NOT NULL DEFAULT false,
    default_language text,
    pulled boolean NOT NULL DEFAULT false,
    version integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX account_by_name ON account (lower(username));
CREATE INDEX account_search ON account
    USING gin (lower(username || ' ' || display_name) gin_trgm_ops);

CREATE TABLE login (
    account_id bigint PRIMARY KEY REFERENCES account ON DELETE CASCADE,
    email text NOT NULL,
    password_digest text NOT NULL
);
CREATE UNIQUE INDEX login_by_email ON login (lower(email));

-- Secrets, codes and tokens are 256 random bits: a plain SHA-256 of them cannot be guessed back,
-- and only that is kept.
CREATE TABLE app (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    website text,
    redirect_uris text[] NOT NULL,
    scopes text NOT NULL,
    client_id text COLLATE "C" NOT NULL UNIQUE,
    secret_digest bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE authorization_code (
    digest bytea PRIMARY KEY,
    app_id bigint NOT NULL REFERENCES app ON DELETE CASCADE,
    account_id bigint NOT NULL REFERENCES account ON DELETE CASCADE,
    redirect_uri text NOT NULL,
    scopes text NOT NULL,
    challenge text,
    expires_at timestamptz NOT NULL
);
CREATE INDEX authorization_code_by_end ON authorization_code (expires_at);

-- Without an account it is the app's own (client credentials).
CREATE TABLE token (
    id bigint PRIMARY KEY,
    digest bytea NOT NULL UNIQUE,
    app_id bigint NOT NULL REFERENCES app ON DELETE CASCADE,
    account_id bigint REFERENCES account ON DELETE CASCADE,
    scopes text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX token_by_account ON token (account_id);

-- Processes remember tokens; the notice that one is gone commits with its end.
CREATE FUNCTION tell_token_revoked() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('token_revoked', encode(OLD.digest, 'hex'));
    RETURN NULL;
END
$$;
CREATE TRIGGER token_revoked AFTER DELETE ON token
    FOR EACH ROW EXECUTE FUNCTION tell_token_revoked();

-- pulled: as of the target. It stands here as well so that the few followed accounts whose posts
-- are merged at read are found without looking at all that somebody follows.
CREATE TABLE follow (
    id bigint NOT NULL,
    account_id bigint NOT NULL REFERENCES account ON DELETE CASCADE,
    target_id bigint NOT NULL REFERENCES account ON DELETE CASCADE,
    show_reblogs boolean NOT NULL DEFAULT true,
    notify boolean NOT NULL DEFAULT false,
    pulled boolean NOT NULL DEFAULT false,
    PRIMARY KEY (account_id, target_id)
);
CREATE INDEX follow_following ON follow (account_id, id DESC);
CREATE INDEX follow_followers ON follow (target_id, id DESC);
CREATE INDEX follow_pulled ON follow (account_id) WHERE pulled;
CREATE INDEX follow_notify ON follow (target_id) WHERE notify;

CREATE TABLE follow_request (
    id bigint NOT NULL,
    account_id bigint NOT NULL REFERENCES account ON DELETE CASCADE,
    target_id bigint NOT NULL REFERENCES account ON DELETE CASCADE,
    show_reblogs boolean NOT NULL DEFAULT true,
    notify boolean NOT NULL DEFAULT false,
    PRIMARY KEY (account_id, target_id)
);
CREATE INDEX follow_request_waiting ON follow_request (target_id, id DESC);

CREATE TABLE block (
    id bigint NOT NULL,
    account_id bigint NOT NULL REFERENCES account ON DELETE CASCADE,
    target_id bigint NOT NULL REFERENCES account ON DELETE CASCADE,
    PRIMARY KEY (account_id, target_id)
);
CREATE INDEX block_list ON block (account_id, id DESC);
CREATE INDEX block_by_target ON block (target_id);

CREATE TABLE mute (
    id bigint NOT NULL,
    account_id bigint NOT NULL REFERENCES account ON DELETE CASCADE,
    target_id bigint NOT NULL REFERENCES account ON DELETE CASCADE,
    notifications boolean NOT NULL DEFAULT true,
    expires_at timestamptz,
    PRIMARY KEY (account_id, target_id)
);
CREATE INDEX mute_list ON mute (account_id, id DESC);
CREATE INDEX mute_by_target ON mute (target_id);

-- visibility: 0 public, 1 unlisted, 2 private, 3 direct.
-- A row with reblog_of_id says that somebody shared another one, and has no text.
-- version: rises with every edit; what processes remember of a status they remember by it.
-- mentioned, mentioned_names and tags repeat `mention` and `status_tag`, so that a status can be
-- shown without reading these; names never change.
CREATE TABLE status (
    id bigint PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES account ON DELETE CASCADE,
    reblog_of_id bigint REFERENCES status ON DELETE CASCADE,
    in_reply_to_id bigint REFERENCES status ON DELETE SET NULL,
    in_reply_to_account_id bigint,
    visibility smallint NOT NULL,
    text text NOT NULL DEFAULT '',
    spoiler text NOT NULL DEFAULT '',
    sensitive boolean NOT NULL DEFAULT false,
    language text,
    mentioned bigint[] NOT NULL DEFAULT '{}',
    mentioned_names text[] NOT NULL DEFAULT '{}',
    tags text[] NOT NULL DEFAULT '{}',
    app_id bigint REFERENCES app ON DELETE SET NULL,
    idempotency_key text,
    version integer NOT NULL DEFAULT 0,
    edited_at timestamptz
);
CREATE INDEX status_by_account ON status (account_id, id DESC);
CREATE INDEX status_public ON status (id DESC)
    WHERE visibility = 0 AND reblog_of_id IS NULL
      AND (in_reply_to_account_id IS NULL OR in_reply_to_account_id = account_id);
CREATE INDEX status_replies ON status (in_reply_to_id, id) WHERE in_reply_to_id IS NOT NULL;
CREATE INDEX status_reblogs ON status (reblog_of_id, id DESC) WHERE reblog_of_id IS NOT NULL;
CREATE UNIQUE INDEX status_reblogged_once ON status (account_id, reblog_of_id)
    WHERE reblog_of_id IS NOT NULL;
CREATE UNIQUE INDEX status_idempotency ON status (account_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX status_by_app ON status (app_id) WHERE app_id IS NOT NULL;

-- What a status was before each edit, and when that had been written.
CREATE TABLE status_edit (
    status_id bigint NOT NULL REFERENCES status ON DELETE CASCADE,
    version integer NOT NULL,
    text text NOT NULL,
    spoiler text NOT NULL,
    sensitive boolean NOT NULL,
    mentioned bigint[] NOT NULL,
    mentioned_names text[] NOT NULL,
    tags text[] NOT NULL,
    written_at timestamptz NOT NULL,
    PRIMARY KEY (status_id, version)
);

CREATE TABLE mention (
    status_id bigint NOT NULL REFERENCES status ON DELETE CASCADE,
    account_id bigint NOT NULL REFERENCES account ON DELETE CASCADE,
    PRIMARY KEY (status_id, account_id)
);
CREATE INDEX mention_of_account ON mention (account_id, status_id DESC);

CREATE TABLE status_tag (
    name text COLLATE "C" NOT NULL,
    status_id bigint NOT NULL REFERENCES status ON DELETE CASCADE,
    PRIMARY KEY (name, status_id)
);
CREATE INDEX status_tag_by_status ON status_tag (status_id);

CREATE TABLE favourite (
    id bigint NOT NULL,
    account_id bigint NOT NULL REFERENCES account ON DELETE CASCADE,
    status_id bigint NOT NULL REFERENCES status ON DELETE CASCADE,
    PRIMARY KEY (account_id, status_id)
);
CREATE INDEX favourite_list ON favourite (account_id, id DESC);
CREATE INDEX favourite_by_status ON favourite (status_id, id DESC);

CREATE TABLE bookmark (
    id bigint NOT NULL,
    account_id bigint NOT NULL REFERENCES account ON DELETE CASCADE,
    status_id bigint NOT NULL REFERENCES status ON DELETE CASCADE,
    PRIMARY KEY (account_id, status_id)
);
CREATE INDEX bookmark_list ON bookmark (account_id, id DESC);
CREATE INDEX bookmark_by_status ON bookmark (status_id);

CREATE TABLE pin (
    id bigint NOT NULL,
    account_id bigint NOT NULL REFERENCES account ON DELETE CASCADE,
    status_id bigint NOT NULL REFERENCES status ON DELETE CASCADE,
    PRIMARY KEY (account_id, status_id)
);
CREATE INDEX pin_by_status ON pin (status_id);

-- kind: 0 mention, 1 reblog, 2 favourite, 3 follow, 4 follow_request, 5 status.
-- The unique index makes telling twice impossible.
CREATE TABLE notification (
    id bigint PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES account ON DELETE CASCADE,
    sender_id bigint NOT NULL REFERENCES account ON DELETE CASCADE,
    kind smallint NOT NULL,
    status_id bigint REFERENCES status ON DELETE CASCADE
);
CREATE INDEX notification_list ON notification (account_id, id DESC);
CREATE UNIQUE INDEX notification_once ON notification (account_id, sender_id, kind, status_id)
    NULLS NOT DISTINCT;
CREATE INDEX notification_by_sender ON notification (sender_id);
CREATE INDEX notification_by_status ON notification (status_id) WHERE status_id IS NOT NULL;

CREATE TABLE marker (
    account_id bigint NOT NULL REFERENCES account ON DELETE CASCADE,
    timeline text COLLATE "C" NOT NULL,
    last_read_id bigint NOT NULL,
    version integer NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (account_id, timeline)
);

-- Statuses that may not stand in every home yet. A row commits with its status and goes when the
-- fan-out is done, so one whose message was lost is found and done later (DECISIONS.md, 4).
CREATE TABLE fanout (
    status_id bigint PRIMARY KEY REFERENCES status ON DELETE CASCADE
);

-- Homes in Valkey that a change of whom somebody follows has made wrong. A row commits with the
-- change and goes when the home was deleted.
CREATE TABLE stale_home (
    account_id bigint PRIMARY KEY REFERENCES account ON DELETE CASCADE,
    change_id bigint NOT NULL
);

DROP TABLE IF EXISTS tag, note;

CREATE TABLE note (
    id serial PRIMARY KEY,
    title text NOT NULL,
    body text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE tag (
    note_id integer NOT NULL REFERENCES note (id) ON DELETE CASCADE,
    name text NOT NULL,
    PRIMARY KEY (note_id, name)
);

CREATE INDEX tag_by_name ON tag (name);

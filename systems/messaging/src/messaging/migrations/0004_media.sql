-- Files that are to go, unless a transaction spares them first (systems_common.blobs.doomed).
CREATE TABLE doomed_blob (
    name text COLLATE "C" PRIMARY KEY,
    due_at timestamptz NOT NULL
);
CREATE INDEX doomed_blob_due ON doomed_blob (due_at);

-- A file under the id that clients know. Without a name it was only announced, until `expires_at`.
CREATE TABLE media (
    media_id text COLLATE "C" PRIMARY KEY,
    user_no bigint NOT NULL REFERENCES account ON DELETE CASCADE,
    name text COLLATE "C",
    content_type text NOT NULL DEFAULT '',
    filename text,
    expires_at timestamptz
);
CREATE INDEX media_by_user ON media (user_no);
CREATE INDEX media_announced ON media (expires_at) WHERE name IS NULL;

CREATE TABLE thumbnail (
    media_id text COLLATE "C" NOT NULL REFERENCES media ON DELETE CASCADE,
    width integer NOT NULL,
    height integer NOT NULL,
    crop boolean NOT NULL,
    name text COLLATE "C" NOT NULL,
    content_type text NOT NULL,
    PRIMARY KEY (media_id, width, height, crop)
);

-- Its file goes with its row, whoever deletes that.
CREATE FUNCTION doom_blob() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.name IS NOT NULL THEN
        INSERT INTO doomed_blob (name, due_at) VALUES (OLD.name, now())
        ON CONFLICT (name) DO UPDATE SET due_at = EXCLUDED.due_at;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER media_deleted AFTER DELETE ON media FOR EACH ROW EXECUTE FUNCTION doom_blob();
CREATE TRIGGER thumbnail_deleted AFTER DELETE ON thumbnail
    FOR EACH ROW EXECUTE FUNCTION doom_blob();

-- Files that are to go, unless a transaction spares them first (systems_common.blobs.doomed).
CREATE TABLE doomed_blob (
    name text COLLATE "C" PRIMARY KEY,
    due_at timestamptz NOT NULL
);
CREATE INDEX doomed_blob_due ON doomed_blob (due_at);

-- A picture. Without a status it waits for one, since `unused_since`; with one but without a place
-- it stood in an earlier version of it.
CREATE TABLE media (
    id bigint PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES account ON DELETE CASCADE,
    status_id bigint REFERENCES status ON DELETE SET NULL,
    place smallint,
    unused_since timestamptz NOT NULL DEFAULT now(),
    name text COLLATE "C" NOT NULL,
    width integer NOT NULL,
    height integer NOT NULL,
    preview_name text COLLATE "C" NOT NULL,
    preview_width integer NOT NULL,
    preview_height integer NOT NULL,
    blurhash text NOT NULL,
    description text,
    focus_x real NOT NULL DEFAULT 0,
    focus_y real NOT NULL DEFAULT 0
);
CREATE INDEX media_of_status ON media (status_id) WHERE status_id IS NOT NULL;
CREATE INDEX media_by_account ON media (account_id);
CREATE INDEX media_unused ON media (unused_since) WHERE status_id IS NULL;

-- When its status is deleted a picture waits again: clients post it anew with the text mended.
CREATE FUNCTION media_is_unused() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.status_id IS NULL AND OLD.status_id IS NOT NULL THEN
        NEW.unused_since := now();
        NEW.place := NULL;
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER media_unused BEFORE UPDATE OF status_id ON media
    FOR EACH ROW EXECUTE FUNCTION media_is_unused();

-- Its files go with its row, whoever deletes that.
CREATE FUNCTION doom_media() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO doomed_blob (name, due_at) VALUES (OLD.name, now()), (OLD.preview_name, now())
    ON CONFLICT (name) DO UPDATE SET due_at = EXCLUDED.due_at;
    RETURN NULL;
END
$$;
CREATE TRIGGER media_deleted AFTER DELETE ON media FOR EACH ROW EXECUTE FUNCTION doom_media();

ALTER TABLE status ADD COLUMN has_media boolean NOT NULL DEFAULT false;
CREATE INDEX status_media_by_account ON status (account_id, id DESC) WHERE has_media;
CREATE INDEX status_media_public ON status (id DESC)
    WHERE visibility = 0 AND reblog_of_id IS NULL AND has_media
      AND (in_reply_to_account_id IS NULL OR in_reply_to_account_id = account_id);

-- What the pictures of an earlier version were, as rows of `media`.
ALTER TABLE status_edit ADD COLUMN media jsonb;

ALTER TABLE account ADD COLUMN avatar text COLLATE "C", ADD COLUMN header text COLLATE "C";

CREATE FUNCTION doom_account_pictures() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO doomed_blob (name, due_at)
    SELECT name, now() FROM unnest(ARRAY[OLD.avatar, OLD.header]) AS name
    WHERE name IS NOT NULL
      AND (TG_OP = 'DELETE' OR name NOT IN (coalesce(NEW.avatar, ''), coalesce(NEW.header, '')))
    ON CONFLICT (name) DO UPDATE SET due_at = EXCLUDED.due_at;
    RETURN NULL;
END
$$;
CREATE TRIGGER account_pictures_changed AFTER UPDATE OF avatar, header ON account
    FOR EACH ROW EXECUTE FUNCTION doom_account_pictures();
CREATE TRIGGER account_pictures_deleted AFTER DELETE ON account
    FOR EACH ROW EXECUTE FUNCTION doom_account_pictures();

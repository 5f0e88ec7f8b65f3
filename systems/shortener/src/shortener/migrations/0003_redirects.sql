-- What CODES=permuted and CODES=hash are keyed with: 244 random bits, made here once.
CREATE TABLE code_key (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    key bytea NOT NULL
);
INSERT INTO code_key (key)
SELECT decode(replace(gen_random_uuid()::text || gen_random_uuid()::text, '-', ''), 'hex');
CREATE SEQUENCE code_number MINVALUE 0 START 0;

-- With VISITS=slotted a click counts here, in one of several rows of its link, and the rows are
-- folded into link_counter a few times a second.
CREATE TABLE link_counter_slot (
    link_id bigint NOT NULL REFERENCES link ON DELETE CASCADE,
    slot smallint NOT NULL,
    total bigint NOT NULL,
    bots bigint NOT NULL,
    PRIMARY KEY (link_id, slot)
) WITH (fillfactor = 50);

-- The key under which processes remember a link: its code, after `domain/` on another domain. New
-- links are told by who makes them (new_links.py): transactions that notify commit one at a
-- time, each waiting for the disk.
CREATE OR REPLACE FUNCTION tell_link_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('link_changed', concat(nullif(OLD.domain, '') || '/', OLD.code));
    IF TG_OP = 'UPDATE' AND (OLD.code, OLD.domain) <> (NEW.code, NEW.domain) THEN
        PERFORM pg_notify('link_changed', concat(nullif(NEW.domain, '') || '/', NEW.code));
    END IF;
    RETURN NULL;
END
$$;

-- Whose click it was, without the last octet (IPv4) or the last 80 bits (IPv6).
ALTER TABLE visit ADD COLUMN address text;
ALTER TABLE orphan_visit ADD COLUMN address text;

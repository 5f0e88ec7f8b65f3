-- Trusted since PostgreSQL 13: whoever owns the database may add it. Searching for a part of an
-- address needs it (link_search below).
CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- What a link is counted for: its domain and its tags, whose ids come from one sequence. The first
-- three are what orphan visits are counted for.
CREATE SEQUENCE scope_id AS integer START 11;

-- Domains that links were made for, or that have redirects of their own; '' is the default one.
-- link.domain names one of them without a foreign key: rows here are never deleted, and a key
-- would have every new link lock the row of its domain.
CREATE TABLE domain (
    id integer PRIMARY KEY DEFAULT nextval('scope_id'),
    name text COLLATE "C" NOT NULL UNIQUE,
    base_url_redirect text,
    regular_404_redirect text,
    invalid_short_url_redirect text,
    created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO domain (name) VALUES ('');
INSERT INTO domain (name) SELECT DISTINCT domain FROM link WHERE domain <> '';

CREATE FUNCTION tell_domain_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('domain_changed', NEW.name);
    RETURN NULL;
END
$$;
CREATE TRIGGER domain_changed AFTER INSERT OR UPDATE ON domain
    FOR EACH ROW EXECUTE FUNCTION tell_domain_changed();

-- A tag is renamed in one row (DECISIONS.md, 9). It outlives the links that have it, as in Shlink.
CREATE TABLE tag (
    id integer PRIMARY KEY DEFAULT nextval('scope_id'),
    name text COLLATE "C" NOT NULL UNIQUE
);
CREATE TABLE link_tag (
    link_id bigint NOT NULL REFERENCES link ON DELETE CASCADE,
    tag_id integer NOT NULL REFERENCES tag ON DELETE CASCADE,
    PRIMARY KEY (link_id, tag_id)
);
INSERT INTO tag (name) SELECT DISTINCT unnest(tags) FROM link ORDER BY 1;
INSERT INTO link_tag SELECT DISTINCT link.id, tag.id FROM link JOIN tag ON tag.name = ANY (link.tags);
CREATE INDEX link_tag_by_tag ON link_tag (tag_id, link_id DESC);
ALTER TABLE link DROP COLUMN tags;

-- Rules are tried by priority, from 1; the first of which every condition matches decides.
-- conditions: [{"type": …, "matchKey": …, "matchValue": …}, …] as the API gives them.
CREATE TABLE redirect_rule (
    link_id bigint NOT NULL REFERENCES link ON DELETE CASCADE,
    priority smallint NOT NULL CHECK (priority > 0),
    long_url text COLLATE "C" NOT NULL,
    conditions jsonb NOT NULL,
    PRIMARY KEY (link_id, priority)
);
-- Stands in the link, so that a redirect of a link without rules reads no second table, and so
-- that changing rules changes the link, which tells every process (link_changed).
ALTER TABLE link ADD COLUMN has_redirect_rules boolean NOT NULL DEFAULT false;

-- One index for each order that lists offer. A B-tree entry holds 2,704 bytes at most, so long
-- addresses are ordered by their first 512 characters.
CREATE INDEX link_by_long_url ON link (left(long_url, 512), id);
CREATE INDEX link_by_title ON link (title ASC NULLS LAST, id ASC);
CREATE INDEX link_by_title_down ON link (title DESC NULLS LAST, id DESC);
CREATE INDEX link_by_domain ON link (domain, created_at DESC, id DESC);
CREATE INDEX link_by_key ON link (api_key_id, created_at DESC, id DESC);
CREATE INDEX link_search ON link
    USING gin ((code || ' ' || long_url || ' ' || coalesce(title, '')) gin_trgm_ops);

-- An index on a count would be written at every visit. The band of a count, two of them each time
-- it doubles, changes rarely and sorts like the count: an index on it leads to the few rows
-- among which the counts themselves decide (DECISIONS.md, 10).
ALTER TABLE link_counter
    ADD COLUMN visits_band smallint NOT NULL
        GENERATED ALWAYS AS (floor(2 * ln((greatest(total, 0) + 1)::float8) / ln(2::float8))) STORED,
    ADD COLUMN people_band smallint NOT NULL
        GENERATED ALWAYS AS (floor(2 * ln((greatest(total - bots, 0) + 1)::float8) / ln(2::float8))) STORED;
CREATE INDEX link_counter_by_visits ON link_counter (visits_band);
CREATE INDEX link_counter_by_people ON link_counter (people_band);

-- Where the visitor was sent; null when it is not known.
ALTER TABLE visit ADD COLUMN redirect_url text;
-- The id of a visit holds its time, so a range of dates is a range of ids; bot is included so
-- that counting people reads the index alone.
ALTER TABLE visit DROP CONSTRAINT visit_pkey, ADD PRIMARY KEY (id) INCLUDE (bot);
DROP INDEX visit_by_link;
CREATE INDEX visit_by_link ON visit (link_id, id DESC) INCLUDE (bot);

-- Visits that found no link, in a table of their own: they have no link to count for, and
-- are deleted apart. domain is the host that was asked, without the default one's name ('').
CREATE TABLE orphan_visit (
    id bigint PRIMARY KEY,
    type text COLLATE "C" NOT NULL
        CHECK (type IN ('base_url', 'invalid_short_url', 'regular_404')),
    domain text COLLATE "C" NOT NULL DEFAULT '',
    visited_at timestamptz NOT NULL,
    bot boolean NOT NULL DEFAULT false,
    referer text,
    user_agent text,
    visited_url text NOT NULL,
    redirect_url text
);
CREATE INDEX orphan_visit_by_type ON orphan_visit (type, id DESC) INCLUDE (bot);
CREATE INDEX orphan_visit_by_domain ON orphan_visit (domain, id DESC) INCLUDE (bot);

-- What counting would take minutes for: links, their visits, and those of bots, for each scope. A
-- sum is spread over slots, one for each connection to the database as far as they go, so that
-- visits of different links do not queue for one row. Statements that count visits of links add to
-- it themselves (tally.py: a trigger cost 400 µs more a visit); all else is done by triggers here.
CREATE TABLE tally (
    scope integer NOT NULL,
    slot smallint NOT NULL DEFAULT pg_backend_pid() % 32,
    links bigint NOT NULL DEFAULT 0,
    total bigint NOT NULL DEFAULT 0,
    bots bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (scope, slot)
) WITH (fillfactor = 50);

-- The scopes of a link stand beside its counts, under the same lock: a visit is counted for exactly
-- the tags that its link has, and a link that gains a tag brings along exactly what it has counted.
ALTER TABLE link_counter ADD COLUMN scopes integer[] NOT NULL DEFAULT '{}';

UPDATE link_counter AS c
SET scopes = domain.id || ARRAY(
    SELECT tag_id FROM link_tag WHERE link_tag.link_id = c.link_id ORDER BY tag_id)
FROM link JOIN domain ON domain.name = link.domain WHERE link.id = c.link_id;

-- The tally as a recount has it: after loading, and what tests compare it with.
CREATE FUNCTION recounted_tally()
RETURNS TABLE (scope integer, links bigint, total bigint, bots bigint)
LANGUAGE sql STABLE AS $$
    SELECT s.scope, count(*), sum(c.total)::bigint, sum(c.bots)::bigint
    FROM link_counter AS c, unnest(c.scopes) AS s (scope) GROUP BY s.scope
    UNION ALL
    SELECT array_position('{base_url,invalid_short_url,regular_404}'::text[], type), 0,
           count(*), count(*) FILTER (WHERE bot)
    FROM orphan_visit GROUP BY type;
$$;
INSERT INTO tally (scope, links, total, bots) SELECT * FROM recounted_tally();

CREATE FUNCTION tally_link() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tally AS t (scope, links, total, bots)
    SELECT scope, sum(links), sum(total), sum(bots)
    FROM (
        SELECT unnest(NEW.scopes) AS scope, 1 AS links, NEW.total, NEW.bots
        WHERE TG_OP <> 'DELETE'
        UNION ALL
        SELECT unnest(OLD.scopes), -1, -OLD.total, -OLD.bots WHERE TG_OP <> 'INSERT'
    ) AS change
    -- Whoever locks several rows locks them in this order.
    GROUP BY scope ORDER BY scope
    ON CONFLICT (scope, slot) DO UPDATE
    SET links = t.links + excluded.links, total = t.total + excluded.total,
        bots = t.bots + excluded.bots;
    RETURN NULL;
END
$$;
CREATE TRIGGER tally_link AFTER INSERT OR DELETE OR UPDATE OF scopes ON link_counter
    FOR EACH ROW EXECUTE FUNCTION tally_link();

-- A tag that is deleted takes its tally along. Its id stays in scopes, where it counts for nothing
-- that is ever shown: ids are not given twice, and taking it out would rewrite every such counter.
CREATE FUNCTION forget_tag() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM tally WHERE scope = OLD.id;
    RETURN NULL;
END
$$;
CREATE TRIGGER tag_deleted AFTER DELETE ON tag FOR EACH ROW EXECUTE FUNCTION forget_tag();

CREATE FUNCTION tally_orphans() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    sign integer := CASE TG_OP WHEN 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    INSERT INTO tally AS t (scope, total, bots)
    SELECT array_position('{base_url,invalid_short_url,regular_404}'::text[], type),
           sign * count(*), sign * count(*) FILTER (WHERE bot)
    FROM changed_rows GROUP BY type ORDER BY 1
    ON CONFLICT (scope, slot) DO UPDATE
    SET total = t.total + excluded.total, bots = t.bots + excluded.bots;
    RETURN NULL;
END
$$;
CREATE TRIGGER orphans_inserted AFTER INSERT ON orphan_visit REFERENCING NEW TABLE AS changed_rows
    FOR EACH STATEMENT EXECUTE FUNCTION tally_orphans();
CREATE TRIGGER orphans_deleted AFTER DELETE ON orphan_visit REFERENCING OLD TABLE AS changed_rows
    FOR EACH STATEMENT EXECUTE FUNCTION tally_orphans();

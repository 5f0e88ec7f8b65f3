-- scrypt; null: the link has no password.
ALTER TABLE link ADD COLUMN password_digest text;

-- In lower case ASCII without a final dot; a ban covers all subdomains.
CREATE TABLE banned_host (
    host text COLLATE "C" PRIMARY KEY CHECK (host = lower(host) AND host <> ''),
    banned_at timestamptz NOT NULL DEFAULT now()
);

-- The host of a URL and every domain that it is in: what a ban is compared with.
CREATE FUNCTION url_hosts(long_url text) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT array_agg(array_to_string(labels[n:], '.') COLLATE "C")
    FROM string_to_array(
        trim(BOTH '[]' FROM rtrim(lower(substring(long_url FROM '^[^:/?#]+://(?:[^/?#]*@)?(\[[^\]/?#]*\]|[^/?#:\[\]]+)')), '.')), '.'
    ) AS labels, generate_subscripts(labels, 1) AS n
$$;

-- robots.txt lists these, and they are few.
CREATE INDEX link_crawlable ON link (id) WHERE crawlable;

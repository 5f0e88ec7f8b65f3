-- One of everything that copies of rows have to keep, and some skew.
CREATE EXTENSION btree_gist;
CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE DOMAIN short_name AS varchar(30) CHECK (VALUE ~ '^\w+$');
CREATE TABLE country (code char(2) PRIMARY KEY, name text NOT NULL UNIQUE);
CREATE TABLE "User" (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email citext NOT NULL UNIQUE CHECK (email LIKE '%@%.org'),
    handle short_name NOT NULL,
    token char(40) NOT NULL UNIQUE,
    country char(2) REFERENCES country,
    invited_by integer REFERENCES "User",
    mood mood NOT NULL,
    tags text[] NOT NULL DEFAULT '{}',
    settings jsonb NOT NULL DEFAULT '{}',
    handle_folded text GENERATED ALWAYS AS (lower(handle::text)) STORED,
    created_at timestamptz NOT NULL,
    CHECK (invited_by <> id)
);
CREATE UNIQUE INDEX user_handle ON "User" (lower(handle::text));
CREATE TABLE profile (
    user_id integer PRIMARY KEY REFERENCES "User" ON DELETE CASCADE,
    bio text
);
CREATE TABLE follow (
    follower integer NOT NULL REFERENCES "User",
    followed integer NOT NULL REFERENCES "User",
    PRIMARY KEY (follower, followed)
);
CREATE TABLE post (
    id uuid PRIMARY KEY,
    author integer NOT NULL REFERENCES "User",
    slug varchar(20) NOT NULL,
    body text,
    reply_to uuid REFERENCES post,
    created_at timestamptz NOT NULL,
    edited_at timestamptz,
    CHECK (edited_at >= created_at),
    UNIQUE (author, slug)
);
CREATE INDEX post_by_author ON post (author, created_at DESC);
CREATE TABLE account_order (
    account integer NOT NULL REFERENCES "User",
    number integer NOT NULL,
    day date NOT NULL,
    PRIMARY KEY (account, number)
);
CREATE TABLE order_line (
    account integer NOT NULL,
    number integer NOT NULL,
    line smallint NOT NULL CHECK (line BETWEEN 1 AND 9),
    quantity integer NOT NULL,
    PRIMARY KEY (account, number, line),
    FOREIGN KEY (account, number) REFERENCES account_order MATCH FULL
);
CREATE TABLE room (id serial PRIMARY KEY, name text UNIQUE NOT NULL);
CREATE TABLE booking (
    id bigserial PRIMARY KEY,
    room_id integer NOT NULL REFERENCES room,
    user_id integer NOT NULL REFERENCES "User",
    during tstzrange NOT NULL,
    EXCLUDE USING gist (room_id WITH =, during WITH &&)
);
CREATE TABLE visit (
    id bigint NOT NULL,
    user_id integer NOT NULL REFERENCES "User",
    at timestamptz NOT NULL,
    PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
CREATE TABLE visit_old PARTITION OF visit FOR VALUES FROM (MINVALUE) TO ('2025-01-01');
CREATE TABLE visit_2025 PARTITION OF visit FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE hit (
    id bigint PRIMARY KEY,
    user_id integer NOT NULL REFERENCES "User"
) PARTITION BY HASH (id);
CREATE TABLE hit_0 PARTITION OF hit FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE hit_1 PARTITION OF hit FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE MATERIALIZED VIEW posts_of AS SELECT author, count(*) AS posts FROM post GROUP BY author;
CREATE FUNCTION forbid() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'a trigger fired'; END $$;

INSERT INTO country VALUES ('fr', 'France'), ('in', 'India');
INSERT INTO "User" (email, handle, token, country, invited_by, mood, created_at, tags, settings)
SELECT 'User' || n || '@mail.org', 'Name' || n, md5(n::text) || left(md5(-n || ''), 8),
    CASE n % 3 WHEN 0 THEN 'fr' WHEN 1 THEN 'in' END, CASE WHEN n > 1 THEN 1 END,
    (CASE n % 2 WHEN 0 THEN 'good' ELSE 'bad' END)::mood,
    '2025-03-01'::timestamptz + n * interval '1 hour', ARRAY['a', n::text], jsonb_build_object('n', n)
FROM generate_series(1, 40) AS n;
INSERT INTO profile SELECT id, CASE WHEN id % 4 = 0 THEN repeat('bio ', id) END FROM "User";
INSERT INTO follow SELECT a, b FROM generate_series(1, 40) AS a, generate_series(1, 40) AS b
WHERE a <> b AND b <= 40 / a;
-- The first users write the most.
INSERT INTO post
SELECT gen_random_uuid(), a, 'slug-' || n, CASE WHEN n % 5 > 0 THEN repeat('x', n) END, NULL,
    '2025-06-01'::timestamptz + (a * 7 + n) * interval '1 hour',
    CASE WHEN n % 2 = 0 THEN '2025-06-02'::timestamptz + (a * 7 + n) * interval '1 hour' END
FROM generate_series(1, 40) AS a, generate_series(1, 60) AS n WHERE n <= 60 / a;
UPDATE post SET reply_to = (SELECT id FROM post AS first WHERE first.slug = 'slug-1' LIMIT 1)
WHERE slug = 'slug-2';
INSERT INTO account_order SELECT a, n, '2025-01-01'::date + n
FROM generate_series(1, 40) AS a, generate_series(1, 5) AS n;
INSERT INTO order_line SELECT account, number, line, line * 2
FROM account_order, generate_series(1, 3) AS line;
INSERT INTO room (name) VALUES ('red'), ('blue');
INSERT INTO booking (room_id, user_id, during)
SELECT n % 2 + 1, n % 40 + 1, tstzrange('2025-05-01'::timestamptz + n * interval '1 hour',
    '2025-05-01'::timestamptz + n * interval '1 hour' + interval '1 hour')
FROM generate_series(1, 50) AS n;
INSERT INTO visit SELECT n, n % 40 + 1, '2025-02-01'::timestamptz + n * interval '1 hour'
FROM generate_series(1, 200) AS n;
INSERT INTO hit SELECT n, n % 40 + 1 FROM generate_series(1, 100) AS n;
CREATE TRIGGER loud AFTER INSERT ON post FOR EACH ROW EXECUTE FUNCTION forbid();
CREATE TRIGGER louder AFTER INSERT ON post FOR EACH ROW EXECUTE FUNCTION forbid();
ALTER TABLE post ENABLE ALWAYS TRIGGER louder;
REFRESH MATERIALIZED VIEW posts_of;

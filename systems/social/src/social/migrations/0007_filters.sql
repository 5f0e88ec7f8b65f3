-- filters_version: rises with every change of the account's filters, and is what processes remember
-- them by; 0 while there has never been one.
ALTER TABLE account ADD COLUMN filters_version integer NOT NULL DEFAULT 0;

-- hides: what matches is to be hidden, not only warned of.
CREATE TABLE filter (
    id bigint PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES account ON DELETE CASCADE,
    title text NOT NULL,
    contexts text[] NOT NULL,
    hides boolean NOT NULL,
    expires_at timestamptz
);
CREATE INDEX filter_by_account ON filter (account_id, id);

CREATE TABLE filter_keyword (
    id bigint PRIMARY KEY,
    filter_id bigint NOT NULL REFERENCES filter ON DELETE CASCADE,
    keyword text NOT NULL,
    whole_word boolean NOT NULL
);
CREATE INDEX filter_keyword_by_filter ON filter_keyword (filter_id, id);

CREATE TABLE filter_status (
    id bigint PRIMARY KEY,
    filter_id bigint NOT NULL REFERENCES filter ON DELETE CASCADE,
    status_id bigint NOT NULL REFERENCES status ON DELETE CASCADE,
    UNIQUE (filter_id, status_id)
);
CREATE INDEX filter_status_by_filter ON filter_status (filter_id, id);
CREATE INDEX filter_status_by_status ON filter_status (status_id);

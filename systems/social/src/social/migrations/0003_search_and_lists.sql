-- Words of statuses, in any language as they are written.
CREATE INDEX status_search ON status USING gin (to_tsvector('simple', spoiler || ' ' || text))
    WHERE reblog_of_id IS NULL;

-- replies: 0 to no one, 1 to members of the list, 2 to anybody followed.
CREATE TABLE list (
    id bigint PRIMARY KEY,
    account_id bigint NOT NULL REFERENCES account ON DELETE CASCADE,
    title text NOT NULL,
    replies smallint NOT NULL DEFAULT 1
);
CREATE INDEX list_by_account ON list (account_id, id);

-- Only who is followed can be in a list: who is not followed any more leaves it with the follow.
CREATE TABLE list_member (
    id bigint NOT NULL,
    list_id bigint NOT NULL REFERENCES list ON DELETE CASCADE,
    account_id bigint NOT NULL,
    target_id bigint NOT NULL,
    PRIMARY KEY (list_id, target_id),
    FOREIGN KEY (account_id, target_id) REFERENCES follow ON DELETE CASCADE
);
CREATE INDEX list_member_list ON list_member (list_id, id DESC);
CREATE INDEX list_member_by_follow ON list_member (account_id, target_id);

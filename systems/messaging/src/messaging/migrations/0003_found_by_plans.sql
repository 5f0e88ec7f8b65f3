-- What a look at the plans of every statement, in a large database, found without an index.

-- A refresh ends the pair that was given before and whose answer was lost.
CREATE INDEX access_token_replaces ON access_token (replaces) WHERE replaces IS NOT NULL;
-- How many are invited, for the summary of a room.
CREATE INDEX member_invited ON member (room_no) WHERE membership = 'invite';
-- Users are found by the beginning of an id or a name, whatever the collation of the database.
CREATE INDEX account_user_prefix ON account (user_id COLLATE "C");
CREATE INDEX account_name_prefix ON account (lower(display_name) COLLATE "C");

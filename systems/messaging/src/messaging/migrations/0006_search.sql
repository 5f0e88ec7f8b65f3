-- The words of events that can be searched, written behind the events by whichever process is first
-- (search_index.py). Besides the words of its text an event has the word #N, of its room's number.
CREATE TABLE event_text (
    room_no bigint NOT NULL,
    seq bigint NOT NULL,
    ts bigint NOT NULL,
    words tsvector NOT NULL,
    PRIMARY KEY (room_no, seq)
);
CREATE INDEX event_text_words ON event_text USING gin (words);

-- What the snapshot `seen` saw is done; of what `target` saw besides, all up to the event named.
CREATE TABLE event_text_position (
    seen text NOT NULL,
    target text,
    xid xid8 NOT NULL,
    room_no bigint NOT NULL,
    seq bigint NOT NULL
);
INSERT INTO event_text_position VALUES ('1:1:', NULL, '0', 0, 0);

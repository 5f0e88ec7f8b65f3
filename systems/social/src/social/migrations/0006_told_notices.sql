-- An id as systems_common.ids makes them, but the low 22 bits count up, whoever asks.
CREATE FUNCTION id_now() RETURNS bigint LANGUAGE sql AS $$
    SELECT ((extract(epoch FROM clock_timestamp()) * 1000)::bigint - 1704067200000 << 22)
               | nextval('notification_number')
$$;

-- Who is told of something hears of it at once, over a stream, so its id has to be known.
DROP FUNCTION notify_account(bigint, bigint, smallint, bigint);

-- Tell somebody of something, unless they do not want to hear of who did it. Done by the same
-- statement as what is told of. Returns the id of the notification, NULL when there is none.
CREATE FUNCTION notify_account(of bigint, by bigint, what smallint, about bigint)
RETURNS bigint LANGUAGE sql AS $$
    INSERT INTO notification (id, account_id, sender_id, kind, status_id)
    SELECT id_now(), of, by, what, about
    WHERE of <> by
      AND NOT EXISTS (SELECT FROM block WHERE account_id = of AND target_id = by)
      AND NOT EXISTS (SELECT FROM block WHERE account_id = by AND target_id = of)
      AND NOT EXISTS (SELECT FROM mute WHERE account_id = of AND target_id = by AND notifications
                          AND (expires_at IS NULL OR expires_at > now()))
    ON CONFLICT DO NOTHING
    RETURNING id
$$;

-- Cross-signing: keys that users sign their devices and each other with, and what they signed.
CREATE TABLE cross_signing_key (
    user_no bigint NOT NULL REFERENCES account ON DELETE CASCADE,
    usage text NOT NULL,
    public_key text NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (user_no, usage)
);

-- user_no: whose key was signed. target: the id of a device, or the master key when device_no is
-- null. Signatures end with the device's keys.
CREATE TABLE key_signature (
    user_no bigint NOT NULL REFERENCES account ON DELETE CASCADE,
    signer_no bigint NOT NULL,
    target text NOT NULL,
    key_id text NOT NULL,
    device_no bigint REFERENCES device_key ON DELETE CASCADE,
    signature text NOT NULL,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (user_no, signer_no, target, key_id)
);
CREATE INDEX key_signature_device ON key_signature (device_no) WHERE device_no IS NOT NULL;
CREATE INDEX key_signature_signer ON key_signature (signer_no, xid);

-- Times are milliseconds since the epoch, `minute` is the minute of expiry, ids are 16 bytes.
-- Tables without rowid: ids sort by birth, so new rows append and "newest first" is a backward walk.

CREATE TABLE images (
    id          BLOB PRIMARY KEY,
    minute      INTEGER NOT NULL,
    expires_at  INTEGER NOT NULL,
    state       TEXT    NOT NULL,
    source      TEXT    NOT NULL,
    media_type  TEXT    NOT NULL,
    size        INTEGER NOT NULL,
    sealed      BLOB    NOT NULL,
    labels      TEXT    NOT NULL,
    attempts    INTEGER NOT NULL,
    reason      TEXT,
    renditions  TEXT    NOT NULL,
    facts       TEXT,
    lease_token TEXT,
    lease_until INTEGER
) WITHOUT ROWID;
CREATE INDEX images_by_minute ON images (minute);
CREATE INDEX images_by_state  ON images (state, id);
CREATE INDEX images_by_source ON images (source, id);

-- The outbox that the local queue reads: a row is written in the transaction that admits or reopens its image.
CREATE TABLE jobs (
    image_id      BLOB PRIMARY KEY,
    minute        INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    visible_at    INTEGER NOT NULL,
    receive_count INTEGER NOT NULL,
    receipt       TEXT
) WITHOUT ROWID;
CREATE INDEX jobs_by_visibility ON jobs (visible_at);
CREATE INDEX jobs_by_minute     ON jobs (minute);

CREATE TABLE dead_letters (
    image_id BLOB PRIMARY KEY,
    minute   INTEGER NOT NULL,
    reason   TEXT    NOT NULL,
    attempts INTEGER NOT NULL,
    died_at  INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX dead_letters_by_minute ON dead_letters (minute);

-- Idempotency keys, as keyed hashes. `until` is when an unfinished one may be taken over; NULL: kept.
CREATE TABLE reservations (
    key      BLOB PRIMARY KEY,
    image_id BLOB    NOT NULL,
    minute   INTEGER NOT NULL,
    until    INTEGER
) WITHOUT ROWID;
CREATE INDEX reservations_by_minute ON reservations (minute);

CREATE TABLE properties (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

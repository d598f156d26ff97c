-- What happened, in order: a row is written in the transaction of the change it tells of, and removed a day later.
-- `renditions` are names, as a JSON list. AUTOINCREMENT: a sequence is never used again.

CREATE TABLE events (
    sequence   INTEGER PRIMARY KEY AUTOINCREMENT,
    image_id   BLOB    NOT NULL,
    state      TEXT    NOT NULL,
    reason     TEXT,
    at         INTEGER NOT NULL,
    source     TEXT    NOT NULL,
    renditions TEXT    NOT NULL
);

-- Through which sequence each sink was served.
CREATE TABLE sinks (
    name     TEXT PRIMARY KEY,
    sequence INTEGER NOT NULL
) WITHOUT ROWID;

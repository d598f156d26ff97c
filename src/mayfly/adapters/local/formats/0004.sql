-- Where in its stream an image stood; NULL: it came over HTTP.
ALTER TABLE images ADD COLUMN topic TEXT;
ALTER TABLE images ADD COLUMN partition INTEGER;
ALTER TABLE images ADD COLUMN "offset" INTEGER;
CREATE INDEX images_by_origin ON images (topic, partition, "offset") WHERE topic IS NOT NULL;

-- What died without having been processed. `key` never changes: the coordinates of its record, or the image's id. A row
-- that is not `open` remembers how often it was redriven. `failed`: we were at fault, not the image.
CREATE TABLE letters (
    key        TEXT PRIMARY KEY,
    image_id   BLOB,
    minute     INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    topic      TEXT,
    partition  INTEGER,
    "offset"   INTEGER,
    reason     TEXT    NOT NULL,
    failed     INTEGER NOT NULL,
    redrives   INTEGER NOT NULL,
    died_at    INTEGER NOT NULL,
    open       INTEGER NOT NULL,
    published  INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX letters_by_minute    ON letters (minute);
CREATE INDEX letters_by_image     ON letters (image_id);
CREATE INDEX letters_by_place     ON letters (topic, partition, "offset") WHERE open AND topic IS NOT NULL;
CREATE INDEX letters_to_publish   ON letters (died_at, key)
    WHERE open AND NOT published AND NOT failed AND topic IS NOT NULL;

-- Images that failed before there were letters. The key is the id as people read it.
INSERT INTO letters
SELECT lower(substr(hex(id), 1, 8) || '-' || substr(hex(id), 9, 4) || '-' || substr(hex(id), 13, 4) || '-'
             || substr(hex(id), 17, 4) || '-' || substr(hex(id), 21)),
       id, images.minute, expires_at, NULL, NULL, NULL, dead_letters.reason, 1, 0, died_at, 1, 0
FROM images JOIN dead_letters ON image_id = id
WHERE state = 'failed';

-- Which retention was in force from when on, by source; the first counts for what was born before, too.
CREATE TABLE retention_history (
    source  TEXT    NOT NULL,
    since   INTEGER NOT NULL,
    minutes INTEGER NOT NULL,
    PRIMARY KEY (source, since)
) WITHOUT ROWID;

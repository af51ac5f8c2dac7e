-- Both stores speak this; BYTES stands for the type of binary data. Moments are milliseconds since 1970.
-- A client who stops a job does not want it any more, and still finds it among its own.
-- State of a chunk: 0 waits, 1 is being computed, 2 done, 3 given up, 4 waits for another chunk, 5 not wanted any more.
CREATE TABLE IF NOT EXISTS jobs (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    question TEXT NOT NULL,
    digest TEXT NOT NULL,
    state TEXT NOT NULL,
    chunks BIGINT NOT NULL,
    done BIGINT NOT NULL DEFAULT 0,
    dead BIGINT NOT NULL DEFAULT 0,
    cost BIGINT NOT NULL,
    done_cost BIGINT NOT NULL DEFAULT 0,
    created BIGINT NOT NULL,
    started BIGINT,
    ended BIGINT,
    revision BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS jobs_by_digest ON jobs (digest);
CREATE INDEX IF NOT EXISTS jobs_by_state ON jobs (state, created);
CREATE TABLE IF NOT EXISTS chunks (
    job TEXT NOT NULL,
    number BIGINT NOT NULL,
    state BIGINT NOT NULL,
    tag BIGINT NOT NULL,
    cost BIGINT NOT NULL,
    attempts BIGINT NOT NULL DEFAULT 0,
    failures BIGINT NOT NULL DEFAULT 0,
    worker TEXT,
    lease BIGINT,
    milliseconds BIGINT,
    revision BIGINT NOT NULL DEFAULT 0,
    error TEXT,
    part BYTES,
    carry BYTES,
    PRIMARY KEY (job, number)
);
CREATE INDEX IF NOT EXISTS chunks_by_turn ON chunks (state, tag);
CREATE TABLE IF NOT EXISTS interests (
    job TEXT NOT NULL,
    client TEXT NOT NULL,
    address TEXT NOT NULL,
    created BIGINT NOT NULL,
    wanted BIGINT NOT NULL DEFAULT 1,
    PRIMARY KEY (job, client)
);
CREATE INDEX IF NOT EXISTS interests_by_client ON interests (client, created);
CREATE INDEX IF NOT EXISTS interests_by_address ON interests (address);
CREATE TABLE IF NOT EXISTS clients (
    client TEXT PRIMARY KEY,
    tag BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS clock (
    id BIGINT PRIMARY KEY,
    tag BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS workers (
    id TEXT PRIMARY KEY,
    threads BIGINT NOT NULL,
    started BIGINT NOT NULL,
    seen BIGINT NOT NULL,
    chunks BIGINT NOT NULL DEFAULT 0,
    milliseconds BIGINT NOT NULL DEFAULT 0
);
INSERT INTO clock (id, tag) VALUES (0, 0) ON CONFLICT (id) DO NOTHING;

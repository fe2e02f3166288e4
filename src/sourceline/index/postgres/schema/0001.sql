-- A version of a document: the same bytes, split and encoded in the same way. Its rows in the tables below are written
-- in one transaction with it and never changed. It is part of the snapshots from `since` up to, not including, `until`;
-- one without `since` was not published yet.
CREATE TABLE documents (
    key bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL,
    config text NOT NULL,
    sha256 text NOT NULL,
    title text NOT NULL,
    tail text NOT NULL,
    date date,
    speakers text NOT NULL,
    passages integer NOT NULL,
    rows integer NOT NULL,
    chunks integer NOT NULL,
    tokens bigint NOT NULL,
    length bigint NOT NULL,
    title_codes bytea NOT NULL,
    title_starts bytea NOT NULL,
    title_ids bytea NOT NULL,
    since bigint,
    until bigint
);
CREATE INDEX ON documents (since);
CREATE INDEX ON documents (until);

-- What is shown. `ordinal` counts all passages of a document, `row` those that can answer.
CREATE TABLE passages (
    document bigint NOT NULL,
    ordinal integer NOT NULL,
    row integer,
    id text NOT NULL,
    start integer NOT NULL,
    "end" integer NOT NULL,
    gap text NOT NULL,
    text text NOT NULL,
    line integer NOT NULL,
    paragraph integer NOT NULL,
    section text,
    page integer,
    speaker text,
    time_start float8,
    time_end float8,
    columns text,
    gaps text,
    asks boolean NOT NULL,
    form bigint NOT NULL
) PARTITION BY HASH (document);

-- What is searched. `words` are the stems of what the passage says, in order.
CREATE TABLE rows (
    document bigint NOT NULL,
    row integer NOT NULL,
    words text NOT NULL,
    vector halfvec({dim}) NOT NULL
) PARTITION BY HASH (document);

-- What a candidate is scored by: its token vectors, as `index/multivector.py` codes them, little-endian, one after the
-- other; whether it asks a question; and a hash of what it says, equal for duplicates.
CREATE TABLE tokens (
    document bigint NOT NULL,
    row integer NOT NULL,
    asks boolean NOT NULL,
    same bytea NOT NULL,
    codes bytea NOT NULL,
    starts bytea NOT NULL,
    ids bytea NOT NULL
) PARTITION BY HASH (document);

-- Where a word stands in a document: eight bytes a row, see `index/postgres/words.py`. They are read from the index alone,
-- where all of a word are together, while in the table each document's are elsewhere.
CREATE TABLE postings (
    document bigint NOT NULL,
    word text NOT NULL,
    entries bytea NOT NULL
) PARTITION BY HASH (document);

-- Which rows were encoded together.
CREATE TABLE chunks (
    document bigint NOT NULL,
    key bytea NOT NULL,
    first_row integer NOT NULL,
    rows integer NOT NULL
) PARTITION BY HASH (document);

-- Unique indexes stand on the partitions, not on the tables: a table with one takes no partition of another server.
-- `document << 32 | row` is the place of a row, by which queries ask for many at once.
DO $$
DECLARE
    part text;
BEGIN
    FOR number IN 0..{partitions} - 1 LOOP
        part := format('FOR VALUES WITH (MODULUS {partitions}, REMAINDER %s)', number);
        EXECUTE format('CREATE TABLE passages_%s PARTITION OF passages %s', number, part);
        EXECUTE format('CREATE UNIQUE INDEX ON passages_%s (document, ordinal)', number);
        EXECUTE format('CREATE UNIQUE INDEX ON passages_%s ((document << 32 | row))', number);
        EXECUTE format('CREATE INDEX ON passages_%s (id)', number);
        EXECUTE format('CREATE INDEX ON passages_%s (form)', number);
        EXECUTE format('CREATE INDEX ON passages_%s (speaker) WHERE speaker IS NOT NULL', number);
        EXECUTE format('CREATE TABLE rows_%s PARTITION OF rows %s', number, part);
        EXECUTE format('CREATE UNIQUE INDEX ON rows_%s ((document << 32 | row))', number);
        EXECUTE format('CREATE INDEX ON rows_%s (document)', number);
        EXECUTE format('CREATE INDEX ON rows_%s USING hnsw (vector halfvec_ip_ops)', number);
        EXECUTE format('CREATE TABLE tokens_%s PARTITION OF tokens %s', number, part);
        EXECUTE format('CREATE UNIQUE INDEX ON tokens_%s ((document << 32 | row))', number);
        EXECUTE format('CREATE INDEX ON tokens_%s (document)', number);
        EXECUTE format('CREATE INDEX ON tokens_%s (same)', number);
        EXECUTE format('ALTER TABLE tokens_%s ALTER codes SET STORAGE EXTERNAL', number);
        EXECUTE format('CREATE TABLE postings_%s PARTITION OF postings %s', number, part);
        EXECUTE format('CREATE INDEX ON postings_%s (word, document) INCLUDE (entries)', number);
        EXECUTE format('CREATE TABLE chunks_%s PARTITION OF chunks %s', number, part);
        EXECUTE format('CREATE INDEX ON chunks_%s (document)', number);
        EXECUTE format('CREATE INDEX ON chunks_%s (key)', number);
    END LOOP;
END $$;

-- In how many rows a word stands, from the snapshot `since` up to, not including, `until`.
CREATE TABLE words (
    word text NOT NULL,
    since bigint NOT NULL,
    until bigint,
    rows bigint NOT NULL,
    PRIMARY KEY (word, since)
);
CREATE INDEX ON words (until) WHERE until IS NOT NULL;

-- What was published. `token_rows` says in how many rows each token of the vocabulary stands, 32 bits each; `length`
-- counts the words of all rows.
CREATE TABLE snapshots (
    number bigint PRIMARY KEY,
    id text NOT NULL UNIQUE,
    manifest text NOT NULL,
    record text NOT NULL,
    token_rows bytea NOT NULL,
    length bigint NOT NULL
);
CREATE TABLE current (
    number bigint NOT NULL REFERENCES snapshots,
    published timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX ON current ((true));

-- A build that is running, and what there is to do: a task is a group of documents with the bytes of their files. Who does
-- one holds a lock on its row, see `indexing/postgres_tasks.py`.
CREATE TABLE builds (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    parameters text NOT NULL
);
CREATE TABLE tasks (
    build bigint NOT NULL REFERENCES builds ON DELETE CASCADE,
    number integer NOT NULL,
    files text NOT NULL,
    data bytea[] NOT NULL,
    bytes bigint NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    done boolean NOT NULL DEFAULT false,
    keys text NOT NULL DEFAULT '{}',
    skipped text NOT NULL DEFAULT '{}',
    encoded integer NOT NULL DEFAULT 0,
    PRIMARY KEY (build, number)
);

-- Exported models by their fingerprint, ranking heads by the digest of the config.
CREATE TABLE files (
    owner text NOT NULL,
    name text NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (owner, name)
);
ALTER TABLE files ALTER data SET STORAGE EXTERNAL;

-- The record of citations: every id ever issued, and what builds found to have become of it. Only added to.
CREATE TABLE ledger (
    id text NOT NULL
);
INSERT INTO ledger VALUES (replace(gen_random_uuid()::text, '-', ''));
CREATE TABLE citations (
    id text PRIMARY KEY,
    snapshot bigint NOT NULL,
    form bigint NOT NULL,
    body text NOT NULL
);
CREATE INDEX ON citations (form);
CREATE TABLE resolutions (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    snapshot bigint NOT NULL,
    citation text NOT NULL,
    status text NOT NULL,
    successor text
);
CREATE INDEX ON resolutions (citation, number);

-- The tables of a ledger. Their names and meanings are part of the format: this file never
-- changes once it was released; what comes later is a script of its own.

-- Whoever keeps the database may have made the schema, so that nobody else needs to.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'noticegate') THEN
        CREATE SCHEMA noticegate;
    END IF;
END
$$;

CREATE TABLE noticegate.migration (
    number  integer PRIMARY KEY,
    name    text NOT NULL,
    applied timestamptz NOT NULL DEFAULT now()
);

-- The place of the next entry. The row's lock puts commits in the order of their places.
CREATE TABLE noticegate.head (
    one  boolean PRIMARY KEY DEFAULT true CHECK (one),
    next bigint NOT NULL CHECK (next >= 0)
) WITH (fillfactor = 10);
INSERT INTO noticegate.head (next) VALUES (0);

-- The truth. What stands here is never changed, only pruned.
CREATE TABLE noticegate.entry (
    seq   bigint PRIMARY KEY CHECK (seq >= 0),
    bytes bytea NOT NULL,
    leaf  bytea NOT NULL CHECK (octet_length(leaf) = 32)
);

-- What lies beside an entry, sealed, until it is erased.
CREATE TABLE noticegate.clear (
    seq    bigint PRIMARY KEY,
    sealed bytea NOT NULL
);

-- The hashes of entries that were pruned, 256 in a row. The check refuses an incomplete row.
CREATE TABLE noticegate.pruned (
    chunk  bigint PRIMARY KEY,
    leaves bytea NOT NULL CHECK (octet_length(leaves) = 256 * 32)
);
ALTER TABLE noticegate.pruned ALTER COLUMN leaves SET STORAGE EXTERNAL;

-- Who writes. A living writer holds the advisory lock `lock`.
CREATE TABLE noticegate.writer (
    name    text PRIMARY KEY,
    lock    bigint NOT NULL,
    floor   bigint NOT NULL,
    retired boolean NOT NULL
);

-- The keys of people. An erased person keeps the number alone.
CREATE TABLE noticegate.person (
    person bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    blind  bytea UNIQUE,
    key    bytea
);

CREATE TABLE noticegate.policy_set (
    digest text PRIMARY KEY,
    texts  bytea NOT NULL
);

CREATE TABLE noticegate.property (
    name  text PRIMARY KEY,
    value text NOT NULL
);

CREATE TABLE noticegate.checkpoint (
    size bigint PRIMARY KEY,
    note text NOT NULL
);

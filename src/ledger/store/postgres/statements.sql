-- What people and systems state, by the names under which it is found.

-- The place after the last statement. The row's lock, which every append takes, makes it exact.
ALTER TABLE noticegate.head ADD COLUMN stated bigint NOT NULL DEFAULT 0;

CREATE TABLE noticegate.statement (
    name text NOT NULL,
    seq  bigint NOT NULL,
    PRIMARY KEY (name, seq)
);
CREATE INDEX statement_seq ON noticegate.statement (seq);

-- Statements whose entries were pruned. What lies beside them stays in `clear`.
CREATE TABLE noticegate.kept (
    seq   bigint PRIMARY KEY,
    bytes bytea NOT NULL,
    leaf  bytea NOT NULL
);

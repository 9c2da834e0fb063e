-- Who may do what with a ledger. Run this as the owner of the tables, with the right to make
-- roles, after each migration; it may be run again at any time. Then give each login one of them:
--
--     GRANT noticegate_gate TO the_login_of_a_gate;
--
-- noticegate_gate    appends and signs. It cannot change or delete an entry.
-- noticegate_reader  reads entries, hashes and checkpoints: for verifiers and reports.
-- noticegate_sealed  reads sealed text and wrapped keys. Granted beside noticegate_reader to those
--                    few who hold the key that opens them.
-- noticegate_clerk   erases and prunes, and as a gate records that it did.

DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY ARRAY['noticegate_reader', 'noticegate_sealed', 'noticegate_gate', 'noticegate_clerk'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            EXECUTE format('CREATE ROLE %I NOLOGIN', role);
        END IF;
    END LOOP;
END
$$;

GRANT USAGE ON SCHEMA noticegate TO noticegate_reader, noticegate_sealed;
GRANT SELECT ON noticegate.migration, noticegate.head, noticegate.entry, noticegate.pruned,
    noticegate.writer, noticegate.policy_set, noticegate.property, noticegate.checkpoint,
    noticegate.statement, noticegate.kept TO noticegate_reader;
GRANT SELECT ON noticegate.clear, noticegate.person TO noticegate_sealed;

GRANT noticegate_reader, noticegate_sealed TO noticegate_gate;
GRANT INSERT ON noticegate.entry, noticegate.clear, noticegate.writer, noticegate.person,
    noticegate.policy_set, noticegate.property, noticegate.checkpoint, noticegate.statement
    TO noticegate_gate;
GRANT UPDATE (next, stated) ON noticegate.head TO noticegate_gate;
GRANT UPDATE (floor, retired) ON noticegate.writer TO noticegate_gate;
GRANT UPDATE (note), DELETE ON noticegate.checkpoint TO noticegate_gate;

GRANT noticegate_gate TO noticegate_clerk;
GRANT INSERT ON noticegate.pruned, noticegate.kept TO noticegate_clerk;
GRANT DELETE ON noticegate.entry, noticegate.clear TO noticegate_clerk;
GRANT UPDATE (blind, key) ON noticegate.person TO noticegate_clerk;

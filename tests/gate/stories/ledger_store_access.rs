//! Who reaches a ledger in PostgreSQL, and what they may do there: tables, roles, passwords, servers
//! that would lose entries, certificates.

use noticegate::certs::Authority;
use noticegate::ledger::store::{Append, Checkpointed, Postgres, Store};

use super::ledger_store::{append, leaf, numbered, open, refusal, story, world};
use crate::support::postgres::{LOGIN, PASSWORD, Server};

#[test]
fn gates_that_start_at_once_make_the_tables_once() {
    let server = Server::shared();
    let url = server.url("owner", &server.database());
    assert!(refusal(&url).contains("noticegate ledger migrate"));
    let mut applied: Vec<_> = std::thread::scope(|scope| {
        let gates: Vec<_> =
            (0..8).map(|_| scope.spawn(|| Postgres::migrate(&url, None).unwrap())).collect();
        gates.into_iter().flat_map(|gate| gate.join().unwrap()).collect()
    });
    // Which gate makes which is anybody's guess.
    applied.sort_unstable();
    assert_eq!(applied, ["statements", "tables"]);
    assert_eq!(append(&mut open(&url), &numbered("x", 0, 1)).unwrap(), 0);
}

#[test]
fn tables_of_another_version_are_refused() {
    let (database, url) = world();
    let server = Server::shared();
    server.sql(&database, "INSERT INTO noticegate.migration VALUES (3, 'of the future')");
    assert!(refusal(&url).contains("use the newer noticegate"));
    let error = Postgres::migrate(&url, None).unwrap_err();
    assert!(error.to_string().contains("use the newer noticegate"));
    server.sql(&database, "DELETE FROM noticegate.migration");
    assert!(refusal(&url).contains("noticegate ledger migrate"));
}

/// Logins, and the role of each.
const LOGINS: [(&str, &str); 3] = [
    ("a_gate", "noticegate_gate"),
    ("a_reader", "noticegate_reader"),
    ("a_clerk", "noticegate_clerk"),
];

#[test]
fn each_role_may_do_its_work_and_no_more() {
    let (database, owner) = world();
    let server = Server::shared();
    for _ in 0..2 {
        server.roles(&database, &LOGINS);
    }
    server.sql(&database, "CREATE ROLE a_stranger LOGIN");
    let url = |user| server.url(user, &database);

    assert!(Postgres::migrate(&url("a_gate"), None).unwrap().is_empty());
    let mut gate = open(&url("a_gate"));
    assert!(gate.claim("gate").unwrap());
    assert!(open(&url("a_gate")).claim("other").unwrap());
    let mut second = open(&url("a_gate"));
    assert!(second.claim("gate").unwrap(), "it may end an earlier connection of its own");
    let mut gate = second;
    for batch in numbered("entry", 0, 600).chunks(200) {
        append(&mut gate, batch).unwrap();
    }
    let one = leaf("with clear");
    let entry = Append { bytes: b"with clear", leaf: &one, clear: Some(b"sealed") };
    assert_eq!(gate.append(&[entry]).unwrap(), 600);
    let person = gate.people(&[([7; 32], vec![1])]).unwrap()[0].person;
    let checkpoint = Checkpointed { size: 3, note: "n".to_owned() };
    gate.put_checkpoint(&checkpoint).unwrap();
    gate.put_checkpoint(&checkpoint).unwrap();
    gate.put_policy_set("d", b"t").unwrap();
    gate.put_property("p", "v").unwrap();
    gate.set_floor("gate", 1).unwrap();
    assert!(gate.lead().unwrap());
    assert_eq!(gate.at(&[600]).unwrap()[0].clear.as_deref(), Some(b"sealed".as_slice()));
    for sql in [
        "UPDATE noticegate.entry SET bytes = ''",
        "DELETE FROM noticegate.entry",
        "TRUNCATE noticegate.entry",
        "DELETE FROM noticegate.clear",
        "UPDATE noticegate.clear SET sealed = ''",
        "UPDATE noticegate.person SET key = NULL",
        "INSERT INTO noticegate.pruned VALUES (0, '')",
        "UPDATE noticegate.checkpoint SET size = 4",
        "UPDATE noticegate.property SET value = ''",
        "UPDATE noticegate.policy_set SET texts = ''",
        "INSERT INTO noticegate.migration VALUES (9, '')",
        "DROP TABLE noticegate.entry",
        "CREATE TABLE noticegate.mine ()",
    ] {
        let error = server.sql_as("a_gate", &database, sql).expect_err(sql);
        assert!(error.contains("permission denied") || error.contains("must be owner"), "{error}");
    }
    for refused in [gate.erase_person(person), gate.erase_clear(&[600]), gate.prune(256)] {
        assert!(refused.unwrap_err().to_string().contains("permission denied"));
    }

    let mut reader = open(&url("a_reader"));
    assert_eq!(reader.read(599, 9).unwrap().len(), 2);
    assert_eq!(reader.at(&[600]).unwrap()[0].clear, None);
    assert_eq!(reader.leaves(0, 9).unwrap().len(), 9);
    assert_eq!(reader.last_checkpoint().unwrap(), Some(checkpoint));
    assert!(append(&mut reader, &numbered("x", 0, 1)).is_err());
    assert!(open(&url("a_reader")).claim("gate").is_err());
    for sql in ["SELECT * FROM noticegate.clear", "SELECT * FROM noticegate.person"] {
        let error = server.sql_as("a_reader", &database, sql).unwrap_err();
        assert!(error.contains("permission denied"));
    }
    assert!(gate.is_in_place(), "a reader cannot end a gate's connection");

    let mut clerk = open(&url("a_clerk"));
    clerk.erase_person(person).unwrap();
    clerk.erase_clear(&[600]).unwrap();
    clerk.prune(512).unwrap();
    append(&mut clerk, &numbered("redaction", 0, 1)).unwrap();
    let error = server.sql_as("a_clerk", &database, "UPDATE noticegate.entry SET bytes = ''");
    assert!(error.unwrap_err().contains("permission denied"));

    assert!(refusal(&url("a_stranger")).contains("permission denied"));
    let fresh = server.database();
    let error = Postgres::migrate(&server.url("a_stranger", &fresh), None).unwrap_err();
    assert!(error.to_string().contains("permission denied"), "{error}");
    assert_eq!(open(&owner).first().unwrap(), 512);
}

#[test]
fn a_password_is_used_and_never_shown() {
    let (database, _) = world();
    let server = Server::shared();
    server.sql(&database, &format!("GRANT ALL ON SCHEMA noticegate TO {LOGIN}"));
    server.sql(&database, &format!("GRANT ALL ON ALL TABLES IN SCHEMA noticegate TO {LOGIN}"));
    let port = server.port;
    let url =
        |password: &str| format!("postgresql://{LOGIN}:{password}@127.0.0.1:{port}/{database}");
    let escaped = PASSWORD.replace(' ', "%20");
    let store = open(&url(&escaped));
    let pairs =
        format!("host=127.0.0.1 port={port} user={LOGIN} password='{PASSWORD}' dbname={database}");
    let other = open(&pairs);
    for shown in [format!("{store:?}"), format!("{other:?}"), store.name(), other.name()] {
        assert!(!shown.contains("sesame"), "{shown}");
    }
    assert!(!refusal(&url("hunter2")).contains("hunter2"));
    assert!(!refusal(&url("hun#ter2")).contains("ter2"));
    let nobody_there = "postgresql://u:hunter2@127.0.0.1:1/x";
    assert!(!refusal(nobody_there).contains("hunter2"));
}

#[test]
fn a_unix_socket_serves_too() {
    let (database, _) = world();
    let server = Server::shared();
    let (folder, port) = (server.socket().display(), server.port);
    let mut store = open(&format!("host={folder} port={port} user=owner dbname={database}"));
    assert_eq!(store.name(), format!("{folder}/{database}"));
    assert_eq!(append(&mut store, &numbered("x", 0, 1)).unwrap(), 0);
}

#[test]
fn of_several_hosts_the_one_that_writes_is_taken() {
    let (database, _) = world();
    let port = Server::shared().port;
    let url = format!("postgresql://owner@127.0.0.1:1,127.0.0.1:{port}/{database}");
    let mut store = open(&url);
    assert_eq!(store.name(), format!("127.0.0.1,127.0.0.1/{database}"));
    assert_eq!(append(&mut store, &numbered("x", 0, 1)).unwrap(), 0);
}

#[test]
fn a_server_that_would_lose_entries_is_refused() {
    let mut server = Server::start();
    let url = server.url("owner", &server.database());
    Postgres::migrate(&url, None).unwrap();
    server.stop();
    server.configure("fsync = off");
    server.resume();
    assert!(refusal(&url).contains("`fsync` is `off`"));
    assert!(Postgres::migrate(&url, None).is_err());
    server.stop();
    server.configure("fsync = on\nfull_page_writes = off");
    server.resume();
    assert!(refusal(&url).contains("`full_page_writes` is `off`"));
    server.stop();
    server.configure("full_page_writes = on\nsynchronous_commit = off");
    server.resume();
    append(&mut open(&url), &numbered("x", 0, 1)).unwrap();
    server.stop();
    std::fs::write(server.socket().join("data/standby.signal"), "").unwrap();
    server.resume();
    assert!(refusal(&url).contains("it is a standby"));
}

#[test]
fn a_certificate_is_always_verified() {
    let mut server = Server::start();
    let url = server.url("owner", &server.database());
    Postgres::migrate(&url, None).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [ours, another] = ["ours.pem", "another.pem"].map(|name| folder.path().join(name));
    let (authority, stranger) = (Authority::new().unwrap(), Authority::new().unwrap());
    std::fs::write(&ours, authority.certificate()).unwrap();
    std::fs::write(&another, stranger.certificate()).unwrap();
    let without = Postgres::connect(&url, Some(&ours)).unwrap_err();
    assert!(story(&without).contains("does not support TLS"), "{}", story(&without));

    let issued = authority.issue(&["localhost"]).unwrap();
    server.stop();
    server.certify(&issued.certificate, &issued.key);
    server.resume();
    let url = url.replace("127.0.0.1", "localhost");
    let tls = |mode: &str| format!("{url}?sslmode={mode}");
    for mode in ["prefer", "require", "verify-ca", "verify-full"] {
        let mut store = Postgres::connect(&tls(mode), Some(&ours)).unwrap();
        append(&mut store, &numbered("x", 0, 1)).unwrap();
    }
    let mut store = Postgres::connect(&tls("require"), Some(&ours)).unwrap();
    assert!(store.claim("gate").unwrap());
    let encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_locks USING (pid)
                     WHERE ssl AND locktype = 'advisory'";
    assert_eq!(server.sql("postgres", encrypted), "1");
    server.sql("postgres", &format!("ALTER ROLE {LOGIN} SUPERUSER"));
    let password = format!("//{LOGIN}:{}@", PASSWORD.replace(' ', "%20"));
    let bound = tls("require&channel_binding=require").replace("//owner@", &password);
    Postgres::connect(&bound, Some(&ours)).expect("the password is bound to the certificate");
    for refused in [
        Postgres::connect(&tls("require"), Some(&another)),
        Postgres::connect(&tls("require"), None),
        Postgres::connect(&tls("require").replace("localhost", "127.0.0.1"), Some(&ours)),
    ] {
        let error = story(&refused.expect_err("must be refused"));
        assert!(error.contains("certificate"), "{error}");
    }
}

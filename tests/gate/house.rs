//! The rules of the house, kept by reading the sources: which room may use which, and the few
//! things that only one room may do. `docs/ARCHITECTURE.md` gives the reasons.

use std::fs;
use std::path::{Path, PathBuf};

use noticegate::media::ROWS;

/// The rooms from the ground up. A room may use those before it, never those after it.
const ROOMS: [&str; 35] = [
    "words",
    "clock",
    "crash",
    "secret",
    "purpose",
    "certs",
    "standin",
    "media",
    "notice",
    "law",
    "config",
    "telemetry",
    "metrics",
    "identity",
    "crowd",
    "facts",
    "policy",
    "folder",
    "draft",
    "share",
    "ledger",
    "reload",
    "webhook",
    "upstream",
    "asked",
    "stream",
    "respond",
    "gate",
    "sweep",
    "listener",
    "console",
    "witness",
    "serve",
    "cli",
    "main",
];

struct Source {
    room: String,
    path: PathBuf,
    /// Without its tests, which stand at the end of a file.
    code: String,
    lines: usize,
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::from("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") && path != Path::new("src/lib.rs")
            {
                found.push(read(path));
            }
        }
    }
    assert!(found.len() > 40, "the sources are where they are expected");
    found
}

fn read(path: PathBuf) -> Source {
    let text = fs::read_to_string(&path).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap().to_owned();
    let inside = path.strip_prefix("src").unwrap();
    let room = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
    Source { room, lines: code.lines().count(), path, code }
}

/// Lines that are not comments.
fn statements(code: &str) -> impl Iterator<Item = &str> {
    code.lines().map(str::trim).filter(|line| !line.starts_with("//"))
}

fn rank(room: &str) -> usize {
    ROOMS.iter().position(|known| *known == room).unwrap_or_else(|| panic!("room `{room}`?"))
}

#[test]
fn imports_point_one_way() {
    for source in sources() {
        for line in statements(&source.code) {
            for used in line.split("crate::").skip(1) {
                let room: String =
                    used.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if ROOMS.contains(&room.as_str()) {
                    assert!(
                        rank(&room) <= rank(&source.room),
                        "{}: room `{}` may not use `{room}`: {line}",
                        source.path.display(),
                        source.room,
                    );
                }
            }
        }
    }
}

/// What only these places may do.
#[test]
fn some_things_are_done_in_one_place() {
    let rules: [(&str, &[&str]); 6] = [
        ("cedar_policy", &["src/policy/"]),
        ("Timestamp::now(", &["src/clock.rs"]),
        ("SystemTime::now(", &[]),
        (
            "std::fs",
            &[
                "src/cli/",
                "src/config/",
                "src/console/pages/log/export.rs",
                "src/draft/",
                "src/folder.rs",
                "src/identity/",
                "src/serve/",
                "src/ledger/",
                "src/upstream/decrypt/",
                "src/webhook/",
            ],
        ),
        (
            "StatusCode",
            &[
                "src/respond.rs",
                "src/respond/",
                "src/upstream/",
                "src/listener/operations.rs",
                "src/console/",
                "src/standin/",
            ],
        ),
        (
            ".expose()",
            &[
                "src/console/provider.rs",
                "src/upstream/account.rs",
                "src/webhook/signature.rs",
                "src/ledger/store/mod.rs",
                "src/gate/share/mail.rs",
            ],
        ),
    ];
    for source in sources() {
        let path = source.path.to_str().unwrap();
        for (word, places) in &rules {
            let used = statements(&source.code).any(|line| line.contains(word));
            let allowed = places.iter().any(|place| path.starts_with(place));
            assert!(!used || allowed, "{path} may not use `{word}`");
        }
    }
}

#[test]
fn pure_rooms_do_not_wait() {
    for source in sources() {
        if ["media", "notice", "policy", "purpose", "asked", "share"]
            .contains(&source.room.as_str())
        {
            for word in ["async fn", ".await", "tokio::"] {
                let used = statements(&source.code).any(|line| line.contains(word));
                assert!(!used, "{} is pure and may not use `{word}`", source.path.display());
            }
        }
    }
}

#[test]
fn every_file_has_one_job_and_says_which() {
    for source in sources() {
        assert!(source.code.starts_with("//! "), "{} opens with its job", source.path.display());
        assert!(source.lines <= 600, "{} has {} lines", source.path.display(), source.lines);
    }
}

/// `config example` and the keys of the configuration are the same.
#[test]
fn the_example_explains_every_key() {
    let example = fs::read_to_string("noticegate.example.toml").unwrap();
    let code = fs::read_to_string("src/config.rs").unwrap()
        + &fs::read_to_string("src/config/limits.rs").unwrap()
        + &fs::read_to_string("src/config/traces.rs").unwrap();
    let uncommented: String = example
        .lines()
        .map(|line| line.strip_prefix('#').filter(|rest| is_key(rest)).unwrap_or(line))
        .map(|line| format!("{line}\n"))
        .collect();
    let keys = uncommented.lines().filter(|line| is_key(line));
    let keys: Vec<&str> = keys.map(|line| line.split(' ').next().unwrap()).collect();
    let renamed = [
        "accounts",
        "issuers",
        "secret",
        "listen",
        "operations",
        "policies",
        "ledger",
        "postgres",
        "clients",
        "links",
        "decryption",
        "webhooks",
        "hooks",
        "keys",
        "encryption_keys",
        "cors",
        "flex",
        "source",
        "pem",
        "forward_key",
        "id",
        "env",
        "witnesses",
        "retention",
        "shares",
        "console",
    ];
    let tables = ["upstream", "facts", "limits", "log", "traces"];
    for line in statements(&code) {
        if let Some(rest) = line.strip_prefix("pub ")
            && let Some((field, _)) = rest.split_once(": ")
            && !renamed.contains(&field)
            && (!tables.contains(&field) || field == "upstream")
        {
            assert!(keys.contains(&field), "the example does not explain `{field}`");
        }
    }
}

fn is_key(line: &str) -> bool {
    let name = line.split(" = ").next().unwrap_or_default();
    line.contains(" = ")
        && !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

/// `docs/TWILIO-URLS.md` names every URL that is served, as the table in the code has it.
#[test]
fn the_list_of_urls_is_the_table() {
    let text = fs::read_to_string("docs/TWILIO-URLS.md").unwrap();
    let told: Vec<Vec<&str>> = text
        .lines()
        .filter(|line| line.starts_with("| `/") && line.matches('|').count() == 8)
        .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')))
        .map(Iterator::collect)
        .collect();
    assert_eq!(told.len(), ROWS.len());
    for (told, row) in told.iter().zip(ROWS) {
        let [url, methods, needs, form, .., tests] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!(*url, row.path);
        assert_eq!(*methods, if row.deletes { "GET, DELETE" } else { "GET" }, "{url}");
        assert_eq!(*needs, format!("{}, {}", row.artefact.as_str(), row.action.as_str()), "{url}");
        // An item of a list stands in the ledger in the form of the item.
        let is_list = row.form == "list";
        assert_eq!(*form, if is_list { "metadata" } else { row.form }, "{url}");
        for test in tests.split(", ") {
            let story = format!("tests/gate/stories/{test}.rs");
            assert!(Path::new(&story).exists(), "{url}: {story}");
        }
    }
}

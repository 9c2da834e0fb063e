//! The JSON API as schemathesis sees it: whatever its document allows and forbids to send, there is
//! no answer that the document does not tell of, and no failure of ours.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::support::world::of_kind;
use crate::support::{World, WorldSettings};

/// Random tries of each operation. Before them each field is sent in every wrong way that follows
/// from the document.
const TRIES: &str = "10";

/// What is checked of each answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_schema_conformance,response_headers_conformance,\
                      unsupported_method,ignored_auth";

fn installed(path: &str) -> PathBuf {
    let path = PathBuf::from(path);
    assert!(path.exists(), "`{}` is missing; `tests/run` installs it", path.display());
    path.canonicalize().unwrap_or(path)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_gets_an_answer_that_the_document_does_not_tell_of() {
    // `tests/run` makes the file when all is there.
    let program = installed("tests/api/.venv/installed").with_file_name("bin/schemathesis");
    let config = "[console]\naddress = \"127.0.0.1:0\"\n".to_owned();
    let world = World::with(WorldSettings { law: true, config, ..WorldSettings::default() }).await;
    let port = world.running().console().unwrap().address().port();
    let token = world.token("somebody", &["privacy-officer", "legal-counsel"]);
    let mut command = Command::new(program);
    command
        .args(["run", &format!("https://localhost:{port}/api/v1/openapi.json")])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--tls-verify", world.folder.join("ca.pem").to_str().unwrap()])
        .args(["--checks", CHECKS, "--max-examples", TRIES, "--seed", "1", "--workers", "1"])
        .args(["--generation-database", "none", "--continue-on-failure", "--no-color"])
        .current_dir(&world.folder)
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(!of_kind(&world.read_entries(), "console").is_empty(), "some of it was shown");
}

//! What the command line brings besides its commands: completions, manual pages, certificates.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use noticegate::listener::{Authorities, server_config_for_clients};

fn run(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_noticegate")).args(words).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn completions_are_what_the_shell_takes_and_know_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let commands = ["serve", "ledger", "sweep", "completions", "certs"];
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = run(&["completions", shell]);
        assert!(said.status.success());
        let script = text(&said.stdout);
        for command in commands {
            assert!(script.contains(command), "{shell} does not know `{command}`");
        }
        std::fs::write(folder.path().join(shell), script).unwrap();
    }
    let asked = format!(
        "set -e; source {}; COMP_WORDS=(noticegate led); COMP_CWORD=1; \
         _noticegate noticegate led noticegate; echo \"${{COMPREPLY[@]}}\"",
        folder.path().join("bash").display()
    );
    let bash = Command::new("bash").args(["-c", &asked]).output().unwrap();
    assert_eq!(text(&bash.stdout), "ledger\n", "{}", text(&bash.stderr));
    assert_eq!(run(&["completions", "dos"]).status.code(), Some(3));
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().to_str().unwrap();
    assert!(run(&["man", "--out", out]).status.success());
    for page in ["noticegate", "noticegate-serve", "noticegate-ledger-query", "noticegate-certs"] {
        let page = std::fs::read_to_string(folder.path().join(format!("{page}.1"))).unwrap();
        assert!(page.contains(".TH noticegate"), "{page}");
        assert!(page.contains("Example"), "{page}");
    }
    let nowhere = run(&["man", "--out", &format!("{out}/nowhere")]);
    assert_eq!(nowhere.status.code(), Some(3));
    assert!(text(&nowhere.stderr).contains("is no folder"));
}

#[test]
fn certificates_are_made_once_and_fit_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("made/here");
    let out = out.to_str().unwrap();
    let words = ["certs", "--out", out, "--name", "rec.test", "--client", "export.test"];
    let said = run(&words);
    assert!(said.status.success(), "{said:?}");
    for told in ["rec.test", "--cacert", "listen.key", "clients.ca_file", "not kept"] {
        assert!(text(&said.stdout).contains(told), "{told}");
    }
    let file = |name: &str| Path::new(out).join(name);
    for key in ["server.key", "client.key"] {
        let mode = std::fs::metadata(file(key)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }
    // The gate takes them, and openssl follows each to the authority.
    let authorities = Authorities { file: &file("authority.pem"), required: true };
    server_config_for_clients(&file("server.pem"), &file("server.key"), authorities).unwrap();
    for (leaf, purpose, other) in
        [("server.pem", "sslserver", "sslclient"), ("client.pem", "sslclient", "sslserver")]
    {
        for (purpose, fits) in [(purpose, true), (other, false)] {
            let verified = Command::new("openssl")
                .args(["verify", "-purpose", purpose, "-CAfile"])
                .args([file("authority.pem"), file(leaf)])
                .output()
                .unwrap();
            assert_eq!(verified.status.success(), fits, "{leaf} as {purpose}: {verified:?}");
        }
    }
    let before = std::fs::read(file("server.key")).unwrap();
    let again = run(&words);
    assert_eq!(again.status.code(), Some(3));
    assert!(text(&again.stderr).contains("is there already"));
    assert_eq!(std::fs::read(file("server.key")).unwrap(), before);
}

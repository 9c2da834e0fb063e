//! What is in `ops/` is read by the programs that it is for, and fits the gate.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use noticegate::config::Config;
use serde_json::Value;

use crate::support::operations::ask;
use crate::support::programs::{judge, python};
use crate::support::{Client, World, path};

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A configuration whose secrets are in the environment.
fn config(name: &str, text: &str) -> Config {
    let secrets = |name: &str| {
        let url = name.ends_with("_URL");
        Some(if url { "postgresql://gate:pw@db.example.com/ledger" } else { "secret" }.to_owned())
    };
    Config::parse(text, Path::new(name), Path::new("/etc/noticegate"), &secrets)
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// All names of the gate's metrics in a text.
fn metrics(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("noticegate_")).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alert_rules_and_dashboard_name_metrics_that_there_are() {
    let world = World::new().await;
    assert_eq!(world.send(world.ana(&path(".wav"))).await.status, 200);
    assert_eq!(world.send(Client::get(&path(".wav"))).await.status, 401);
    world.running().reload();
    let address = world.running().server().operations().unwrap();
    let (_, _, text) = ask(address, "/metrics", "*/*").await;
    // Those that count nothing yet are told, too, by their comments.
    let told = metrics(&text);
    let rules = read("ops/prometheus/alerts.yml");
    let dashboard = read("ops/grafana/noticegate.json");
    let parsed: Value = serde_json::from_str(&dashboard).unwrap();
    let panels = parsed["panels"].as_array().unwrap();
    let expressions = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let shown: String = expressions.map(|target| target["expr"].as_str().unwrap()).collect();
    for (what, named) in [("alerts", metrics(&rules)), ("dashboard", metrics(&shown))] {
        assert!(named.len() > 10, "{what}");
        let unknown: Vec<&String> = named.difference(&told).collect();
        assert!(unknown.is_empty(), "{what} name {unknown:?}");
    }
    // And none is left out of the dashboard: who reads it sees all there is.
    let bare = |name: &String| {
        ["_bucket", "_sum", "_count"].iter().all(|end| !name.ends_with(end))
            && !["noticegate_build_info", "noticegate_answer_seconds"].contains(&name.as_str())
    };
    let shown = metrics(&shown);
    let unseen: Vec<&String> =
        told.iter().filter(|name| bare(name) && !shown.contains(*name)).collect();
    assert!(unseen.is_empty(), "{unseen:?}");
    let documented = metrics(&read("docs/OPERATIONS.md"));
    let untold: Vec<&String> =
        told.iter().filter(|name| bare(name) && !documented.contains(*name)).collect();
    assert!(untold.is_empty(), "docs/OPERATIONS.md does not explain {untold:?}");
    let (content, said) = judge(&["promtool", "check", "rules", "ops/prometheus/alerts.yml"], "");
    assert!(content, "{said}");
}

#[test]
fn the_units_are_sound_and_give_little_away() {
    for unit in ["noticegate.service", "noticegate@.service"] {
        let text = read(&format!("ops/systemd/{unit}"));
        // systemd looks whether the program is there; here it lies elsewhere.
        let text = text.replace("/usr/bin/noticegate", env!("CARGO_BIN_EXE_noticegate"));
        let text: String = text
            .lines()
            .filter(|l| !l.starts_with("Documentation="))
            .map(|l| format!("{l}\n"))
            .collect();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(unit.replace('@', "@one"));
        fs::write(&file, &text).unwrap();
        let file = file.to_str().unwrap();
        let (content, said) = judge(&["systemd-analyze", "verify", "--man=no", file], "");
        // It also speaks of units of this machine.
        let own: Vec<&str> = said.lines().filter(|line| line.contains("noticegate")).collect();
        assert!(own.is_empty(), "{own:?}");
        assert!(content || !said.contains("noticegate"), "{said}");
        let words = ["systemd-analyze", "security", "--offline=true", "--threshold=25", file];
        let (content, said) = judge(&words, "");
        assert!(content, "exposed more than 2.5 of 10: {said}");
    }
}

#[test]
fn two_gates_behind_haproxy_differ_where_they_must_and_nowhere_else() {
    let [a, b] = ["a", "b"].map(|name| {
        let file = format!("ops/two-gates/gate-{name}.toml");
        config(&file, &read(&file))
    });
    assert_ne!(a.listen.address, b.listen.address);
    assert_ne!(a.operations.address, b.operations.address);
    assert_ne!(a.ledger.directory, b.ledger.directory);
    assert_eq!(a.ledger.key_file, b.ledger.key_file);
    let balancer = read("ops/two-gates/haproxy.cfg");
    for (name, gate) in [("a", &a), ("b", &b)] {
        let operations = gate.operations.address.unwrap().port();
        let line = format!("server {name} {} check port {operations}", gate.listen.address);
        assert!(balancer.contains(&line), "{line}");
    }
    let (content, said) = judge(&["haproxy", "-c", "-f", "ops/two-gates/haproxy.cfg"], "");
    assert!(content, "{said}");
}

#[test]
fn the_manifests_fit_each_other_and_the_gate() {
    let python = python();
    let words =
        [python.to_str().unwrap(), "tests/operate/manifests.py", "ops/kubernetes/noticegate.yaml"];
    let (content, said) = judge(&words, "");
    assert!(content, "{said}");
    let found: Value = serde_json::from_str(&said).unwrap();
    let gate = config("noticegate.toml", found["config"].as_str().unwrap());
    assert_eq!(found["ports"]["https"], gate.listen.address.port());
    assert_eq!(found["ports"]["operations"], gate.operations.address.unwrap().port());
    assert!(found["grace"].as_u64().unwrap() > gate.listen.drain_seconds.get());
    let mounts: Vec<&str> =
        found["mounts"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    for file in
        [&gate.listen.key, &gate.ledger.directory, &gate.ledger.key_file, &gate.policies.directory]
    {
        let file = file.to_str().unwrap();
        assert!(mounts.iter().any(|mount| file.starts_with(mount)), "{file} is on no volume");
    }
    let args: Vec<&str> =
        found["args"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
    assert!(matches!(args[..], ["serve", "--config", file] if mounts.contains(&file)));
}

/// The image's and the package's files are in the sources, and the program is built as they say.
#[test]
fn image_and_package_take_what_there_is() {
    let image = read("ops/docker/Dockerfile");
    let pinned = read("rust-toolchain.toml");
    let channel = pinned.lines().find_map(|line| line.strip_prefix("channel = ")).unwrap();
    let version = channel.trim_matches('"').trim_end_matches(".0");
    assert!(image.contains(&format!("rust:{version}-")), "the image builds with {version}");
    assert!(image.contains("USER 65532"), "not as root");
    let ignored = read(".dockerignore");
    for needed in
        ["Cargo.toml", "Cargo.lock", "src", "policies", "benches", "noticegate.example.toml"]
    {
        assert!(ignored.lines().any(|line| line == format!("!{needed}")), "{needed}");
    }
    let package = read("Cargo.toml");
    let assets = package.split("assets = [").nth(1).unwrap().split("\n]").next().unwrap();
    let sources =
        assets.lines().filter_map(|line| line.trim().strip_prefix("[\"")?.split('"').next());
    let sources: Vec<&str> = sources.collect();
    assert!(sources.len() > 10);
    for source in sources.iter().filter(|source| !source.starts_with("target/")) {
        let folder = source.split("/*").next().unwrap();
        assert!(Path::new(folder).exists(), "{source}");
    }
    let (content, said) = judge(&["bash", "-n", "ops/debian/build"], "");
    assert!(content, "{said}");
}

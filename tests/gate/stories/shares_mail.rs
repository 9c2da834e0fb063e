//! Links that ask for a code, which the gate mails to whom the link is for.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use noticegate::certs::Authority;
use serde_json::{Value, json};

use crate::support::client::Answer;
use crate::support::programs::python;
use crate::support::shares::{Link, browser, cookies, copy_with, player, program, text, why};
use crate::support::world::of_kind;
use crate::support::{World, WorldSettings};

const ADDRESS: &str = "jo.bloggs@example.org";

/// A mail server of its own, with what it was sent.
struct MailServer {
    child: Child,
    port: u16,
    mails: Receiver<Value>,
    folder: tempfile::TempDir,
    /// While it is open the server runs.
    _input: ChildStdin,
}

impl MailServer {
    fn start(security: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new().unwrap();
        let issued = authority.issue(&["localhost"]).unwrap();
        let put = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        put("ca.pem", authority.certificate());
        put("password", "a mail password\n");
        let mut child = Command::new(python())
            .arg("tests/operate/mail_server.py")
            .args([put("mail.pem", &issued.certificate), put("mail.key", &issued.key)])
            .args([security, "gate", "a mail password"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let port = lines.next().expect("it starts").parse().unwrap();
        let (told, mails) = channel();
        std::thread::spawn(move || {
            lines.for_each(|line| drop(told.send(serde_json::from_str(&line).unwrap())));
        });
        let input = child.stdin.take().unwrap();
        Self { child, port, mails, folder, _input: input }
    }

    fn settings(&self, security: &str) -> String {
        let folder = self.folder.path().display();
        format!(
            "[shares]\norganisation = \"Brambleside Energy\"\n[shares.mail]\nhost = \"localhost\"\n\
             port = {}\nsecurity = \"{security}\"\nfrom = \"Brambleside <calls@example.com>\"\n\
             user = \"gate\"\npassword_file = \"{folder}/password\"\nca_file = \"{folder}/ca.pem\"\n",
            self.port
        )
    }

    fn mail(&self) -> Value {
        self.mails.recv_timeout(Duration::from_secs(10)).expect("a mail comes")
    }

    fn code(&self) -> String {
        let mail = self.mail();
        let mut lines = mail["text"].as_str().unwrap().lines();
        lines.find_map(|line| line.strip_prefix("    ")).unwrap().to_owned()
    }

    fn has_no_more(&self) {
        let next = self.mails.recv_timeout(Duration::from_millis(200));
        assert!(matches!(next, Err(RecvTimeoutError::Timeout)), "{next:?}");
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn world(mail: &MailServer, security: &str) -> World {
    let config = mail.settings(security);
    World::with(WorldSettings { config, ..WorldSettings::default() }).await
}

async fn post(world: &World, link: &Link, form: &str, cookies: &str) -> Answer {
    let request = browser(&link.path).method("POST").header("cookie", cookies);
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let body = Full::new(Bytes::from(form.to_owned()));
    world.client.send_full(request.body(body).unwrap()).await
}

fn order() -> Value {
    copy_with(&json!({"binding": {"email": ADDRESS}, "uses": 2}))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_reads_the_mail_of_the_recipient_gets_the_sound() {
    for security in ["tls", "starttls"] {
        let mail = MailServer::start(security);
        let mut world = world(&mail, security).await;
        let link = world.link(&order()).await;
        assert_eq!(link.made["binding"], "email");
        assert!(!link.made.to_string().contains("code"), "nobody is told a code: {}", link.made);
        let page = world.send(browser(&link.path)).await;
        let html = text(&page);
        assert!(html.contains("j…@example.org") && html.contains("Send me a code"), "{html}");
        assert!(!html.contains(ADDRESS) && !html.contains("<audio"));
        mail.has_no_more();
        let seat = cookies(&page);
        let shut = world.send(player(&link.path, &seat)).await;
        assert_eq!((shut.status, why(&shut).as_str()), (401, "share-secret"));

        let sent = post(&world, &link, "send=yes", &seat).await;
        assert_eq!(sent.status, 200, "{}", text(&sent));
        assert!(text(&sent).contains("A code is on its way") && !text(&sent).contains("<audio"));
        let told = mail.mail();
        assert_eq!(told["to"], json!([ADDRESS]));
        assert_eq!(told["from"], "Brambleside <calls@example.com>");
        let words = told["text"].as_str().unwrap();
        assert!(words.contains("Brambleside Energy") && !words.contains("/s/"), "{words}");
        let code = words.lines().find_map(|line| line.strip_prefix("    ")).unwrap().trim();

        let wrong = post(&world, &link, "secret=AAAAAAAA", &seat).await;
        assert!(text(&wrong).contains("That was not it") && !text(&wrong).contains("<audio"));
        // The code is of the browser that asked for it.
        let other = cookies(&world.send(browser(&link.path)).await);
        let stolen = post(&world, &link, &format!("secret={code}"), &other).await;
        assert_eq!(stolen.status, 200);
        assert!(text(&stolen).contains("That was not it"));
        assert!(world.media_requests().is_empty(), "upstream saw nothing");
        let right = post(&world, &link, &format!("secret={}", code.to_lowercase()), &seat).await;
        assert_eq!((right.status, right.header("location")), (303, Some(link.path.as_str())));
        let both = format!("{seat}; {}", cookies(&right));
        assert_eq!(world.send(player(&link.path, &both)).await.status, 200);
        // A program has no page to ask in.
        assert_eq!(world.send(program(&link.path)).await.status, 401);
        let entries = world.entries().await;
        assert_eq!(of_kind(&entries, "intent").len(), 1);
        assert!(!entries.iter().any(|entry| entry.to_string().contains("jo.bloggs")));
        assert_eq!(of_kind(&entries, "refusal").last().unwrap()["reason"], "share-secret");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_is_good_for_a_while_and_a_mailbox_is_not_flooded() {
    let mail = MailServer::start("tls");
    let world = world(&mail, "tls").await;
    let link = world.link(&order()).await;
    let seat = cookies(&world.send(browser(&link.path)).await);
    assert_eq!(post(&world, &link, "send=yes", &seat).await.status, 200);
    let old = mail.code();
    world.clock.set(world.clock.now() + jiff::SignedDuration::from_mins(20));
    let late = post(&world, &link, &format!("secret={old}"), &seat).await;
    assert!(text(&late).contains("That was not it"));
    // Without the page's cookie nobody could give the code, so none is sent.
    let request = browser(&link.path).method("POST");
    let body = Full::new(Bytes::from("send=yes"));
    let blocked = world.client.send_full(request.body(body).unwrap()).await;
    assert!(text(&blocked).contains("Allow cookies"), "{}", text(&blocked));
    mail.has_no_more();
    for _ in 1..5 {
        assert_eq!(post(&world, &link, "send=yes", &seat).await.status, 200);
        mail.mail();
    }
    let over = post(&world, &link, "send=yes", &seat).await;
    assert_eq!((over.status, over.header("retry-after")), (429, Some("900")));
    mail.has_no_more();
    // A link that gives nothing sends nothing.
    world.as_petra("DELETE", &format!("/shares/{}", link.id)).await;
    assert_eq!(post(&world, &link, "send=yes", &seat).await.status, 410);
    mail.has_no_more();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_mail_goes_out_it_is_said() {
    let world = World::new().await;
    let refused = world.share(&world.petra(), &order()).await;
    assert_eq!(refused.status, 400);
    assert!(text(&refused).contains("binding.email") && text(&refused).contains("shares.mail"));

    let mail = MailServer::start("tls");
    let world = self::world(&mail, "tls").await;
    let link = world.link(&order()).await;
    let seat = cookies(&world.send(browser(&link.path)).await);
    std::fs::write(mail.folder.path().join("password"), "another").unwrap();
    let failed = post(&world, &link, "send=yes", &seat).await;
    assert_eq!(failed.status, 503);
    assert!(text(&failed).contains("could not be sent"), "{}", text(&failed));
    // The new password needs no restart.
    std::fs::write(mail.folder.path().join("password"), "a mail password").unwrap();
    assert_eq!(post(&world, &link, "send=yes", &seat).await.status, 200);
    mail.mail();
}

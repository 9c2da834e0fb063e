//! Who may administer the gate, as `administration.cedar` says: apart from media, with a reason, and
//! nobody where it does not say.

use std::sync::Arc;

use noticegate::folder;
use noticegate::identity::{Caller, Proof, Role};
use noticegate::notice::Problem;
use noticegate::policy::{AdminAction, Policies, Whose};

use crate::support::policies::{append, change, derive};
use crate::support::world::copy_folder;

fn caller(roles: &[&str]) -> Caller {
    Caller {
        id: "staff|somebody".to_owned(),
        roles: roles.iter().map(|role| Role::new(role)).collect::<Arc<[Role]>>(),
        bound_purpose: None,
        default_purpose: None,
        on_behalf_of: None,
        proof: Proof {
            issuer: "staff".to_owned(),
            key_id: None,
            token_id: None,
            expires_at: jiff::Timestamp::MAX,
        },
    }
}

/// The sample folder, changed.
fn changed(change: impl FnOnce(&std::path::Path)) -> Result<Policies, Vec<Problem>> {
    let place = tempfile::tempdir().unwrap();
    copy_folder(std::path::Path::new("policies"), place.path());
    change(place.path());
    Policies::load(&folder::read(place.path()).unwrap()).map_err(|error| error.problems)
}

fn sample() -> Policies {
    changed(|_| {}).unwrap()
}

const FILE: &str = "administration.cedar";

/// What goes wrong when a policy is added at the end of the file.
fn added(policy: &str) -> Problem {
    let lines = std::fs::read_to_string("policies/administration.cedar").unwrap().lines().count();
    let problems = changed(|folder| append(folder, FILE, policy)).unwrap_err();
    for problem in &problems {
        assert_eq!((problem.file.as_str(), problem.line), (FILE, Some(lines + 1)), "{problem}");
    }
    problems.into_iter().next().unwrap()
}

#[test]
fn each_role_may_what_the_file_says_and_no_more() {
    let policies = sample();
    let may = |role: &str| -> Vec<&str> {
        let caller = caller(&[role]);
        let allowed =
            AdminAction::ALL.iter().filter(|a| policies.may(&caller, **a, Whose::Others).is_ok());
        allowed.map(|action| action.as_str()).collect()
    };
    assert_eq!(may("facts-source"), ["state-consent", "state-facts"]);
    assert_eq!(may("reviewer"), ["read-register", "read-ledger", "review", "export"]);
    assert_eq!(may("privacy-author"), ["read-register", "author"]);
    assert_eq!(may("complaints-handler"), ["state-facts", "read-register"]);
    let counsel = may("legal-counsel");
    assert!(counsel.contains(&"place-hold") && counsel.contains(&"lift-hold"), "{counsel:?}");
    let officer = may("privacy-officer");
    assert!(officer.contains(&"place-hold") && !officer.contains(&"lift-hold"), "{officer:?}");
    for role in ["quality-analyst", "trainer", "team-lead", "fraud-analyst", "nobody-knows"] {
        assert!(may(role).is_empty(), "{role}");
    }
}

#[test]
fn a_permit_and_a_refusal_say_who_and_why() {
    let policies = sample();
    let officer = caller(&["privacy-officer"]);
    let permit = policies.may(&officer, AdminAction::Approve, Whose::Others).unwrap();
    assert_eq!(permit.caller(), officer.id);
    assert_eq!(permit.cited(), ["admin-privacy-officer"]);
    assert_eq!(permit.policies(), policies.digest());
    let refusal = policies.may(&officer, AdminAction::Approve, Whose::Own).unwrap_err();
    assert_eq!(refusal.cited, ["admin-four-eyes"]);
    assert_eq!(
        refusal.reason,
        "nobody approves what they wrote, or reviews what they did themselves"
    );
    let refusal = policies.may(&officer, AdminAction::LiftHold, Whose::Others).unwrap_err();
    assert_eq!(refusal.reason, "only legal-counsel may lift a legal hold");
    assert!(refusal.cited.is_empty());
}

#[test]
fn where_the_file_is_missing_or_empty_nobody_may_anything() {
    let missing = changed(|folder| {
        std::fs::remove_file(folder.join(FILE)).unwrap();
        std::fs::remove_file(folder.join("administration.cedarschema")).unwrap();
    });
    for policies in
        [missing.unwrap(), changed(|f| std::fs::write(f.join(FILE), "").unwrap()).unwrap()]
    {
        for action in AdminAction::ALL {
            let refusal =
                policies.may(&caller(&["privacy-officer"]), *action, Whose::Others).unwrap_err();
            assert!(refusal.reason.starts_with("nobody may "), "{refusal}");
        }
    }
}

#[test]
fn what_is_wrong_in_the_file_is_told_with_its_line() {
    let gate = "principal, action, resource";
    for (policy, told) in [
        (format!("permit ({gate});"), "this permit needs an @id"),
        (format!("@id(\"x\") permit ({gate});"), "`x` needs an @reason"),
        (format!("@id(\"x\")@reason(\"\") forbid ({gate});"), "`x` needs an @reason"),
        (
            format!("@id(\"admin-reviewer\")@reason(\"r\") forbid ({gate});"),
            "the id `admin-reviewer` is used twice",
        ),
        (
            "@id(\"x\")@reason(\"r\") permit (principal in Administration::Role::\"reviwer\", \
             action, resource);"
                .to_owned(),
            "reviwer",
        ),
        (
            "@id(\"x\")@reason(\"r\") permit (principal, action == \
             Administration::Action::\"listen\", resource);"
                .to_owned(),
            "listen",
        ),
        (format!("@id(\"x\")@reason(\"r\") permit ({gate}) when {{ context.mine }};"), "mine"),
        ("@id(\"x\") permit (principal action, resource);".to_owned(), "unexpected token"),
    ] {
        let problem = added(&policy);
        assert!(problem.message.contains(told), "{policy}: {problem}");
    }
}

/// Nothing about media can be said there, and nothing about administration among the policies of
/// media: a permit without a clause stays impossible.
#[test]
fn administration_and_media_never_meet() {
    for scope in [
        "principal, action == Noticegate::Action::\"access\", resource",
        "principal, action, resource is Noticegate::Recording",
        "principal in Noticegate::Role::\"trainer\", action, resource",
    ] {
        added(&format!("@id(\"x\")@reason(\"r\") permit ({scope});"));
    }
    let guardrail = "\n@id(\"x\")@reason(\"r\") forbid (principal, action == \
                     Administration::Action::\"review\", resource);\n";
    let problems = changed(|folder| append(folder, "guardrails.cedar", guardrail)).unwrap_err();
    assert!(problems.iter().any(|problem| problem.message.contains("Administration")));
}

#[test]
fn the_schema_is_derived_and_counts_in_the_digest() {
    let lost = |folder: &std::path::Path| {
        change(folder, "administration.cedarschema", "\"reviewer\"", "\"reviewers\"");
    };
    let problems = changed(lost).unwrap_err();
    assert_eq!(problems[0].file, "administration.cedarschema");
    assert!(problems[0].help.as_deref().unwrap().contains("noticegate derive"));
    let derived = changed(|folder| {
        std::fs::remove_file(folder.join("administration.cedarschema")).unwrap();
        derive(folder);
    });
    assert_eq!(derived.unwrap().digest(), sample().digest());
    let other = changed(|folder| change(folder, FILE, "our own lawyers", "the lawyers"));
    assert_ne!(other.unwrap().digest(), sample().digest());
}

#[test]
fn the_file_is_laid_out_as_the_official_command_does() {
    let text = std::fs::read_to_string("policies/administration.cedar").unwrap();
    let config = cedar_policy_formatter::Config::default();
    let pretty = cedar_policy_formatter::policies_str_to_pretty(&text, &config).unwrap();
    assert_eq!(pretty, text);
}

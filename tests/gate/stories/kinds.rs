//! The kinds of statement that real notices make: each can be said, is enforced, and is tested.
//!
//! One test a kind, named after its code. Each builds a notice of its own around one sentence of
//! that kind and asks the gate at the edges of it. The table of all of them ends
//! `docs/policy-guide.md`; the last test here holds the two together.

use std::collections::BTreeSet;

use noticegate::policy::{Explained, Policies};

use crate::support::policies::{Folder, ask, deciders};

/// The closed lists of all notices below.
const VOCABULARY: &str = "
purpose = [
  { id = 'quality', name = 'quality checks' },
  { id = 'training', name = 'training our staff' },
  { id = 'performance', name = 'judging staff' },
  { id = 'conduct', name = 'disciplinary cases', parents = ['performance'], marked = true },
  { id = 'care', name = 'looking after customers' },
  { id = 'complaints', name = 'complaints', parents = ['care'] },
  { id = 'claims', name = 'legal claims' },
  { id = 'law', name = 'answering the police' },
  { id = 'rights', name = 'answering requests about own data' },
  { id = 'danger', name = 'protecting somebody in danger' },
  { id = 'records', name = 'keeping records in order' },
  { id = 'security', name = 'security' },
  { id = 'voice-login', name = 'login by voice', parents = ['security'], marked = true },
  { id = 'improvement', name = 'improving our services' },
  { id = 'model-training', name = 'models', parents = ['improvement'], marked = true },
  { id = 'marketing', name = 'marketing', marked = true },
  { id = 'adverts', name = 'adverts to one person', parents = ['marketing'], marked = true },
]
role = [
  { id = 'analyst', name = 'analysts' },
  { id = 'trainer', name = 'trainers' },
  { id = 'lead', name = 'team leaders' },
  { id = 'clinician', name = 'clinicians' },
  { id = 'complaints-team', name = 'the complaints team' },
  { id = 'lawyer', name = 'our lawyers' },
  { id = 'privacy', name = 'the privacy team' },
  { id = 'archivist', name = 'records staff' },
]
recipient = [
  { id = 'supplier', name = 'suppliers' },
  { id = 'scribe', name = 'Scribe Ltd', parent = 'supplier' },
  { id = 'outsider', name = 'others' },
  { id = 'solicitors', name = 'our solicitors', parent = 'outsider' },
  { id = 'police', name = 'the police' },
  { id = 'person', name = 'people who were on the call' },
]
line = [
  { id = 'shop', name = 'the shop line', numbers = ['+14045550101'], call-type = 'sale' },
  { id = 'clinic', name = 'the clinic', numbers = ['+14045550102'], labels = ['health'] },
]
call-type = [{ id = 'sale', name = 'sales calls' }, { id = 'help', name = 'help calls' }]
label = [
  { id = 'health', name = 'calls about health' },
  { id = 'card', name = 'calls with a card payment' },
  { id = 'child', name = 'calls with a child' },
]
";

/// The sentences of a notice: the name of each, its words, and what they mean.
type Sentences<'a> = &'a [(&'a str, &'a str, &'a str)];

const SINCE_2026: &str = "effective = '2026-01-01T00:00:00Z'";

/// A clause that many of the notices need beside the one they are about.
const CHECKS: (&str, &str, &str) = (
    "checks",
    "Our analysts listen to recordings to check quality.",
    "effect = 'permit'\nroles = ['analyst']\npurposes = ['quality']",
);

/// A folder of notices `v1`, `v2` and so on, each with its header and its sentences.
fn folder(notices: &[(&str, Sentences<'_>)]) -> Folder {
    let mut folder = Folder::new(VOCABULARY);
    for (index, (header, sentences)) in notices.iter().enumerate() {
        let (mut text, mut clauses) = (String::new(), String::new());
        for (id, quote, meaning) in *sentences {
            // One sentence may have two clauses; it stands in the notice once.
            if !text.contains(quote) {
                text.push_str(&format!("{quote}\n\n"));
            }
            clauses.push_str(&format!("[[clause]]\nid = '{id}'\nquote = \"{quote}\"\n{meaning}\n"));
        }
        folder = folder.notice(&format!("v{}", index + 1), header, &text, &clauses);
    }
    folder
}

/// What keeps a folder from loading, as one text.
fn problems(notices: &[(&str, Sentences<'_>)]) -> String {
    let problems = folder(notices).load().expect_err("the folder does not load");
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

struct Gate(Policies);

/// A gate with one notice.
fn gate(sentences: Sentences<'_>) -> Gate {
    gate_of(&[(SINCE_2026, sentences)])
}

fn gate_of(notices: &[(&str, Sentences<'_>)]) -> Gate {
    Gate(folder(notices).load().unwrap())
}

impl Gate {
    /// Asks for a call of a minute, made on 1 June at noon, a day later; `more` is what else the
    /// scenario says. An empty purpose is none.
    #[must_use]
    fn ask(&self, role: &str, purpose: &str, more: &str) -> Answer {
        let mut scenario = format!("roles = ['{role}']\n{more}\n");
        let mut unless_said = |key: &str, value: &str| {
            if !more.contains(&format!("{key} =")) && !value.is_empty() {
                scenario.push_str(&format!("{key} = '{value}'\n"));
            }
        };
        unless_said("purpose", purpose);
        unless_said("at", "2026-06-02T12:00:00Z");
        unless_said("recording.made", "2026-06-01T12:00:00Z");
        scenario.push_str("recording.seconds = 60\n");
        Answer(ask(&self.0, &scenario))
    }
}

struct Answer(Explained);

impl Answer {
    #[track_caller]
    fn permitted_by(self, clauses: &str) {
        assert!(self.0.permitted, "{}", self.0.sentence);
        assert_eq!(deciders(&self.0).join(" "), clauses);
    }

    /// Refused by these clauses and guardrails, whatever else permits it.
    #[track_caller]
    fn refused_by(self, clauses: &str) -> Self {
        assert_eq!(self.0.reason, Some("forbidden"), "{}", self.0.sentence);
        assert_eq!(deciders(&self.0).join(" "), clauses);
        self
    }

    /// Refused; this clause comes nearest to permitting it, and this is what it misses.
    #[track_caller]
    fn misses(self, clause: &str, what: &str) {
        let reasons = [Some("not-permitted"), Some("forbidden")];
        assert!(reasons.contains(&self.0.reason), "{:?}: {}", self.0.reason, self.0.sentence);
        let (citation, missing) = self.0.nearest.expect("some clause comes near");
        assert!(citation.policy.starts_with(&format!("v1/{clause}/")), "{}", citation.policy);
        assert!(missing.join("; ").contains(what), "{missing:?}");
    }

    #[track_caller]
    fn refused_as(self, reason: &str) {
        assert_eq!(self.0.reason, Some(reason), "{}", self.0.sentence);
    }

    #[track_caller]
    fn says(self, words: &str) {
        assert!(self.0.sentence.contains(words), "{}", self.0.sentence);
    }
}

#[test]
fn pur_only_the_listed_purposes() {
    let gate = gate(&[(
        "use",
        "We record calls to look after our customers and to improve our services.",
        "effect = 'permit'\nroles = ['analyst']\npurposes = ['care', 'improvement']",
    )]);
    gate.ask("analyst", "improvement", "").permitted_by("use");
    // A complaint is customer care, and nothing new.
    gate.ask("analyst", "complaints", "").permitted_by("use");
    // Training models is marked as a new kind of use, so its parent does not bring it.
    gate.ask("analyst", "model-training", "").misses("use", "it is for other purposes");
    gate.ask("analyst", "training", "").misses("use", "it is for other purposes");
    gate.ask("trainer", "care", "").refused_as("not-for-caller");
    gate.ask("analyst", "mischief", "").refused_as("unknown-purpose");
    gate.ask("analyst", "", "").refused_as("no-purpose");
}

#[test]
fn scope_only_the_calls_that_are_described() {
    let gate = gate(&[
        CHECKS,
        (
            "shop-only",
            "We record calls that you make to our shop, and no others.",
            "effect = 'require'\nonly = { directions = ['inbound'], lines = ['shop'] }",
        ),
    ]);
    let call = |known: &str| gate.ask("analyst", "quality", known);
    call("recording.direction = 'inbound'\nrecording.line = 'shop'").permitted_by("checks");
    let outbound = call("recording.direction = 'outbound'\nrecording.line = 'shop'");
    outbound.refused_by("shop-only");
    let clinic = call("recording.direction = 'inbound'\nrecording.line = 'clinic'");
    clinic.refused_by("shop-only");
    // A line that nobody knows is not known to be the shop's.
    call("recording.direction = 'inbound'").refused_by("shop-only");
}

#[test]
fn disp_a_complaint_opens_with_its_reference() {
    let gate = gate(&[
        (
            "complaint",
            "If you complain, our complaints team hears your call to learn what happened.",
            "effect = 'permit'\nroles = ['complaints-team']\npurposes = ['complaints']
             needs = ['reference']",
        ),
        (
            "claim",
            "Our lawyers listen to a recording while a claim about the call is open.",
            "effect = 'permit'\nroles = ['lawyer']\npurposes = ['claims']\nneeds = ['open-case']",
        ),
    ]);
    let reference = "request.circumstances = ['reference']";
    gate.ask("complaints-team", "complaints", reference).permitted_by("complaint");
    gate.ask("complaints-team", "complaints", "").misses("complaint", "`Noticegate-Reference`");
    gate.ask("lawyer", "complaints", reference).misses("complaint", "it is for other roles");
    gate.ask("lawyer", "claims", "recording.circumstances = ['open-case']").permitted_by("claim");
    gate.ask("lawyer", "claims", reference).misses("claim", "a case about the call is open");
}

#[test]
fn staff_own_team_yes_discipline_no() {
    let team = (
        "team",
        "Team leaders listen to the calls of their own team to see how it is doing.",
        "effect = 'permit'\nroles = ['lead']\npurposes = ['performance']
         needs = ['manages-agent']",
    );
    let never = (
        "never",
        "We never use recordings in disciplinary cases.",
        "effect = 'forbid'\npurposes = ['conduct']",
    );
    let manages = "request.circumstances = ['manages-agent']";
    let without_ban = gate(&[team]);
    without_ban.ask("lead", "performance", manages).permitted_by("team");
    without_ban.ask("lead", "performance", "").misses("team", "manages the agent on the call");
    // Also where no sentence bans it, judging staff does not bring disciplinary cases.
    without_ban.ask("lead", "conduct", manages).misses("team", "it is for other purposes");
    let gate = gate(&[team, never]);
    gate.ask("lead", "conduct", manages).refused_by("never");
    gate.ask("lead", "performance", manages).permitted_by("team");
}

#[test]
fn ann_no_use_without_proof_of_the_announcement() {
    let gate = gate(&[
        CHECKS,
        (
            "told",
            "A message tells you at the start that the call is recorded.",
            "effect = 'require'\nneeds = ['announcement']",
        ),
    ]);
    let heard = "recording.circumstances = ['announcement']";
    gate.ask("analyst", "quality", heard).permitted_by("checks");
    // Nobody knows whether it was heard: that is no proof.
    gate.ask("analyst", "quality", "").refused_by("told");
    let described = "action = 'describe'\nrecording.circumstances = ['open-case']";
    gate.ask("analyst", "quality", described).refused_by("told");
}

#[test]
fn ret_the_second_in_which_the_period_ends() {
    let keep = |meaning| ("keep", "We delete recordings when their time is over.", meaning);
    let year = gate(&[CHECKS, keep("effect = 'keep'\nperiod = '12 months'")]);
    // The minute of the call counts: the year begins when it ends.
    year.ask("analyst", "quality", "at = '2027-06-01T12:00:59Z'").permitted_by("checks");
    let over = year.ask("analyst", "quality", "at = '2027-06-01T12:01:00Z'");
    over.refused_by("keep").says("Its use ends 12 months after the call");
    let described = "action = 'describe'\nat = '2027-06-01T12:01:00Z'";
    year.ask("analyst", "quality", described).refused_by("keep");

    let case = gate(&[CHECKS, keep("effect = 'keep'\nperiod = '30 days'\nclock = 'case-end'")]);
    let at = |known: &str| case.ask("analyst", "quality", known);
    at("recording.circumstances = ['open-case']").permitted_by("checks");
    let closed = "recording.case-closed = '2026-08-01T00:00:00Z'";
    at(&format!("{closed}\nat = '2026-08-30T23:59:59Z'")).permitted_by("checks");
    at(&format!("{closed}\nat = '2026-08-31T00:00:00Z'")).refused_by("keep");
    // No case is known: nothing says that the period has not passed.
    at("").refused_by("keep").says("no case is known");
}

#[test]
fn der_a_transcript_is_permitted_by_name() {
    let keep = (
        "keep",
        "Recordings and what we make from them are gone after 90 days.",
        "effect = 'keep'\nperiod = '90 days'",
    );
    let derived = (
        "derived",
        "We write down and summarise calls to check quality.",
        "effect = 'permit'\nroles = ['analyst']\npurposes = ['quality']
         artefacts = ['transcript', 'summary']",
    );
    let gate = gate(&[CHECKS, derived, keep]);
    let transcript = "recording.artefact = 'transcript'";
    gate.ask("analyst", "quality", transcript).permitted_by("derived");
    gate.ask("analyst", "quality", "").permitted_by("checks");
    let analysis = gate.ask("analyst", "quality", "recording.artefact = 'analysis'");
    analysis.misses("checks", "it is about audio; this is analysis");
    // It has the clock of its call.
    let late = format!("{transcript}\nat = '2026-08-30T12:01:00Z'");
    gate.ask("analyst", "quality", &late).refused_by("keep");
    // Where no sentence speaks of transcripts, hearing does not bring reading.
    let sound = gate_of(&[(SINCE_2026, &[CHECKS])]);
    sound.ask("analyst", "quality", transcript).misses("checks", "this is transcript");
}

#[test]
fn lb_a_basis_brings_its_condition() {
    let on = |basis: &str| {
        let meaning = format!(
            "effect = 'permit'\nroles = ['analyst']\npurposes = ['quality', 'improvement']
             basis = '{basis}'"
        );
        gate(&[("basis", "We check calls because the law gives us a basis for it.", &meaning)])
    };
    let objected = "recording.objections = ['quality']";
    let interests = on("legitimate-interests");
    // No consent is asked for; an objection ends it, for the purpose that it names.
    interests.ask("analyst", "quality", "").permitted_by("basis");
    let refused = interests.ask("analyst", "quality", objected).refused_by("guardrail-objection");
    refused.misses("basis", "nobody on the call objected to it");
    interests.ask("analyst", "improvement", objected).permitted_by("basis");
    let consent = on("consent");
    consent.ask("analyst", "quality", "").misses("basis", "nobody knows that they did");
    consent.ask("analyst", "quality", "recording.consent = 'given'").permitted_by("basis");
    on("contract").ask("analyst", "quality", "").permitted_by("basis");
}

#[test]
fn spec_health_is_for_clinicians() {
    let quote = "Calls about your health are heard by clinicians only, if you said that they may.";
    let gate = gate(&[
        CHECKS,
        (
            "clinicians",
            quote,
            "effect = 'permit'\nroles = ['clinician']\npurposes = ['care']\nlabels = ['health']
             needs = ['explicit-consent']",
        ),
        (
            "nobody-else",
            quote,
            "effect = 'forbid'\nlabels = ['health']
             except = [{ roles = ['clinician'], needs = ['explicit-consent'] }]",
        ),
    ]);
    gate.ask("analyst", "quality", "recording.labels = []").permitted_by("checks");
    // Nobody has said what the call is about: it may be about health.
    gate.ask("analyst", "quality", "").refused_by("nobody-else");
    // The clinic's line says it of all its calls.
    gate.ask("analyst", "quality", "recording.line = 'clinic'").refused_by("nobody-else");
    let consent = |form: &str| {
        let form = format!("recording.consent-form = '{form}'\nrecording.consent = 'given'");
        gate.ask("clinician", "care", &format!("{form}\nrecording.line = 'clinic'"))
    };
    consent("spoke").permitted_by("clinicians");
    let stayed_on = consent("stayed-on").refused_by("nobody-else");
    stayed_on.misses("clinicians", "they did so by");
}

#[test]
fn law_the_police_receive_it_with_a_reference() {
    let gate = gate(&[(
        "law",
        "Whoever has a right to it by law receives a recording from our lawyers.",
        "effect = 'permit'\nroles = ['lawyer']\npurposes = ['law']\nrecipients = ['police']
         needs = ['reference']",
    )]);
    let share = |role: &str, to: &str, stated: &str| {
        let more = format!("action = 'share'\nrequest.recipient = '{to}'\n{stated}");
        gate.ask(role, "law", &more)
    };
    let reference = "request.circumstances = ['reference']";
    share("lawyer", "police", reference).permitted_by("law");
    share("lawyer", "police", "").misses("law", "the request names its case, form or demand");
    share("lawyer", "outsider", reference).misses("law", "recipient police; this is outsider");
    share("analyst", "police", reference).refused_as("not-for-caller");
    // To give it away is not to hear it.
    gate.ask("lawyer", "law", reference).refused_as("not-permitted");
}

#[test]
fn auto_deletion_is_permitted_when_use_has_ended() {
    let quote = "After 90 days our records staff delete the recording for ever.";
    let gate = gate(&[
        CHECKS,
        ("keep", quote, "effect = 'keep'\nperiod = '90 days'"),
        (
            "delete",
            quote,
            "effect = 'permit'\nroles = ['archivist']\npurposes = ['records']
             actions = ['delete']",
        ),
    ]);
    let over = "at = '2026-08-30T12:01:00Z'";
    gate.ask("analyst", "quality", "at = '2026-08-30T12:00:59Z'").permitted_by("checks");
    gate.ask("analyst", "quality", over).refused_by("keep");
    let delete = format!("{over}\naction = 'delete'");
    gate.ask("archivist", "records", &delete).permitted_by("delete");
    gate.ask("analyst", "records", &delete).misses("delete", "it is for other roles");
    gate.ask("archivist", "records", over).refused_by("keep").says("after the call");
    let held = format!("{delete}\nrecording.circumstances = ['hold']");
    gate.ask("archivist", "records", &held).refused_by("guardrail-hold");
}

#[test]
fn pay_a_card_call_without_a_pause_is_refused() {
    let gate = gate(&[
        CHECKS,
        (
            "pause",
            "The recording stops while you tell us the number of your card.",
            "effect = 'require'\nlabels = ['card']\nneeds = ['payment-pause']",
        ),
    ]);
    let call = |known: &str| gate.ask("analyst", "quality", known);
    call("recording.labels = []").permitted_by("checks");
    call("recording.labels = ['card']").refused_by("pause");
    let paused = "recording.circumstances = ['payment-pause']";
    call(&format!("recording.labels = ['card']\n{paused}")).permitted_by("checks");
    // Nobody knows whether somebody paid: only the pause itself would help.
    call("").refused_by("pause");
    call(paused).permitted_by("checks");
}

#[test]
fn acc_only_some_with_a_form_and_a_reason() {
    let quote = "Only the privacy team listens to recordings, on a form and for a reason.";
    let gate = gate(&[
        (
            "listen",
            quote,
            "effect = 'permit'\nroles = ['privacy']\npurposes = ['quality']
             needs = ['reference', 'reason']",
        ),
        (
            "only-they",
            quote,
            "effect = 'forbid'\nactions = ['access']\nexcept = [{ roles = ['privacy'] }]",
        ),
        (
            "lists",
            "Our analysts read when and how long you called us.",
            "effect = 'permit'\nroles = ['analyst']\npurposes = ['quality']
             actions = ['describe']",
        ),
        (
            "own-calls",
            "Our agents look up the calls on which they spoke.",
            "effect = 'permit'\nroles = ['trainer']\npurposes = ['training']
             actions = ['describe']\nneeds = ['on-the-call']",
        ),
    ]);
    let stated = |list: &str| format!("request.circumstances = [{list}]");
    gate.ask("privacy", "quality", &stated("'reference', 'reason'")).permitted_by("listen");
    gate.ask("privacy", "quality", &stated("'reference'")).misses("listen", "`Noticegate-Reason`");
    let described = "action = 'describe'\n";
    gate.ask("analyst", "quality", described).permitted_by("lists");
    let heard = gate.ask("analyst", "quality", &stated("'reference', 'reason'"));
    heard.refused_by("only-they");
    let own = format!("{described}{}", stated("'on-the-call'"));
    gate.ask("trainer", "training", &own).permitted_by("own-calls");
    gate.ask("trainer", "training", described).misses("own-calls", "the caller took part");
}

#[test]
fn opt2_staying_on_the_line_is_the_choice() {
    let quote = "If you do not want to be recorded, please hang up; who stays on agrees.";
    let agrees = |need: &str| {
        let meaning = format!(
            "effect = 'permit'\nroles = ['analyst']\npurposes = ['quality']\nneeds = ['{need}']"
        );
        gate(&[("agrees", quote, &meaning)])
    };
    let stayed = "recording.consent = 'given'\nrecording.consent-form = 'stayed-on'";
    agrees("consent").ask("analyst", "quality", stayed).permitted_by("agrees");
    // That somebody stayed on has to be known.
    agrees("consent").ask("analyst", "quality", "").misses("agrees", "nobody knows that they did");
    // And it is the weakest form: a sentence that asks for more is not satisfied by it.
    let explicit = agrees("explicit-consent");
    explicit.ask("analyst", "quality", stayed).misses("agrees", "they did so by");
}

#[test]
fn proc_a_supplier_needs_its_contract() {
    let gate = gate(&[(
        "scribes",
        "Suppliers write our transcripts, each under a contract with us.",
        "effect = 'permit'\nroles = ['analyst']\npurposes = ['quality']
         recipients = ['supplier']\nneeds = ['contract']",
    )]);
    let share = |to: &str, stated: &str| {
        let more = format!("action = 'share'\nrequest.recipient = '{to}'\n{stated}");
        gate.ask("analyst", "quality", &more)
    };
    let contract = "request.circumstances = ['contract']";
    // Whoever stands below the class belongs to it.
    share("scribe", contract).permitted_by("scribes");
    share("scribe", "").misses("scribes", "the recipient's contract is on file");
    share("solicitors", contract).misses("scribes", "this is solicitors");
}

#[test]
fn cons_consent_is_given_or_it_is_not() {
    let gate = gate(&[(
        "agreed",
        "We train with a recording if everyone on the call has agreed.",
        "effect = 'permit'\nroles = ['trainer']\npurposes = ['training']\nneeds = ['consent']",
    )]);
    let with = |consent: &str| {
        gate.ask("trainer", "training", &format!("recording.consent = '{consent}'"))
    };
    with("given").permitted_by("agreed");
    with("unknown").misses("agreed", "nobody knows that they did");
    with("expired").misses("agreed", "somebody's does not hold");
    // Who said no is heard also where no sentence asks for consent: a guardrail.
    with("refused")
        .refused_by("guardrail-consent-refused")
        .misses("agreed", "somebody's does not hold");
    let withdrawn = with("withdrawn").refused_by("guardrail-consent-refused");
    withdrawn.misses("agreed", "somebody's does not hold");
}

#[test]
fn sec_what_is_not_stored_encrypted_is_not_used() {
    let gate = gate(&[
        CHECKS,
        (
            "encrypted",
            "All recordings are stored encrypted.",
            "effect = 'require'\nneeds = ['encrypted']",
        ),
    ]);
    gate.ask("analyst", "quality", "recording.encrypted = true").permitted_by("checks");
    gate.ask("analyst", "quality", "recording.encrypted = false").refused_by("encrypted");
    gate.ask("analyst", "quality", "").refused_by("encrypted");
}

#[test]
fn dsr_a_copy_for_who_was_on_the_call() {
    let quote = "Ask us for a copy of your call; the privacy team sends it when you have shown us \
                 who you are.";
    let gate = gate(&[
        ("hear", quote, "effect = 'permit'\nroles = ['privacy']\npurposes = ['rights']"),
        (
            "send",
            quote,
            "effect = 'permit'\nroles = ['privacy']\npurposes = ['rights']
             recipients = ['person']\nneeds = ['identity-check']",
        ),
    ]);
    // To find the call and to leave out others' voices, the team hears it first.
    gate.ask("privacy", "rights", "").permitted_by("hear");
    let share = |to: &str, stated: &str| {
        let more = format!("action = 'share'\nrequest.recipient = '{to}'\n{stated}");
        gate.ask("privacy", "rights", &more)
    };
    let checked = "request.circumstances = ['identity-check']";
    share("person", checked).permitted_by("send");
    share("person", "").misses("send", "the recipient proved to be on the call");
    share("outsider", checked).misses("send", "recipient person; this is outsider");
}

#[test]
fn opt1_an_objection_ends_the_use_it_names() {
    let gate = gate(&[
        CHECKS,
        (
            "training",
            "Our trainers use recordings for courses.",
            "effect = 'permit'\nroles = ['trainer']\npurposes = ['training']",
        ),
        (
            "objection",
            "Tell the agent that you object, and we stop that use of the recording.",
            "effect = 'require'\npurposes = ['quality', 'training']\nneeds = ['no-objection']",
        ),
    ]);
    let objected = "recording.objections = ['quality']";
    // A guardrail says so under every notice; the sentence stands beside it.
    let refused = gate.ask("analyst", "quality", objected);
    refused.refused_by("guardrail-objection objection");
    gate.ask("trainer", "training", objected).permitted_by("training");
    gate.ask("analyst", "quality", "").permitted_by("checks");
}

#[test]
fn retx_each_type_purpose_and_artefact_has_its_period() {
    let gate = gate(&[
        CHECKS,
        (
            "keep",
            "We delete recordings after 90 days, but those of sales calls after 24 months.",
            "effect = 'keep'\nperiod = '90 days'\nexcept = [{ call-types = ['sale'] }]",
        ),
        (
            "keep-sales",
            "We delete recordings after 90 days, but those of sales calls after 24 months.",
            "effect = 'keep'\nperiod = '24 months'\ncall-types = ['sale']",
        ),
        (
            "read",
            "Our analysts read transcripts, which are gone after 30 days.",
            "effect = 'permit'\nroles = ['analyst']\npurposes = ['quality']
             artefacts = ['transcript']",
        ),
        (
            "keep-transcripts",
            "Our analysts read transcripts, which are gone after 30 days.",
            "effect = 'keep'\nperiod = '30 days'\nartefacts = ['transcript']",
        ),
        (
            "courses",
            "Trainers may listen for 30 days.",
            "effect = 'permit'\nroles = ['trainer']\npurposes = ['training']\nuntil = '30 days'",
        ),
    ]);
    let quality =
        |known: &str, at: &str| gate.ask("analyst", "quality", &format!("{known}\nat = '{at}'"));
    let (help, sale) = ("recording.call-type = 'help'", "recording.line = 'shop'");
    quality(help, "2026-08-30T12:00:59Z").permitted_by("checks");
    quality(help, "2026-08-30T12:01:00Z").refused_by("keep");
    quality(sale, "2028-05-31T12:00:59Z").permitted_by("checks");
    quality(sale, "2028-05-31T12:01:00Z").refused_by("keep-sales");
    // Of a call that nobody knows, the shorter period holds.
    quality("", "2026-08-30T12:01:00Z").refused_by("keep");
    // By purpose: the recording is still there, but this use of it has ended.
    gate.ask("trainer", "training", "at = '2026-07-01T12:00:59Z'").permitted_by("courses");
    let late = gate.ask("trainer", "training", "at = '2026-07-01T12:01:00Z'");
    late.misses("courses", "it holds until 30 days after the call");
    quality(help, "2026-07-01T12:01:00Z").permitted_by("checks");
    // By artefact: so is the sound, but no more its transcript.
    let transcript = "recording.artefact = 'transcript'";
    quality(transcript, "2026-07-01T12:00:59Z").permitted_by("read");
    quality(transcript, "2026-07-01T12:01:00Z").refused_by("keep-transcripts");
}

#[test]
fn tp_our_solicitors_receive_a_part() {
    let gate = gate(&[(
        "part",
        "Our solicitors receive the part of a recording that an open claim is about.",
        "effect = 'permit'\nroles = ['lawyer']\npurposes = ['claims']
         recipients = ['solicitors']\nneeds = ['open-case', 'part-only']",
    )]);
    let share = |to: &str, stated: &str| {
        let open = "recording.circumstances = ['open-case']";
        let more = format!("action = 'share'\nrequest.recipient = '{to}'\n{open}\n{stated}");
        gate.ask("lawyer", "claims", &more)
    };
    let part = "request.circumstances = ['part-only']";
    share("solicitors", part).permitted_by("part");
    share("solicitors", "").misses("part", "only a stated part is given");
    // The class above them is not named.
    share("outsider", part).misses("part", "recipient solicitors; this is outsider");
}

#[test]
fn hold_keeps_a_recording_for_its_case_alone() {
    let quote = "We delete recordings after 90 days; what a claim needs we keep for it alone.";
    let gate = gate(&[
        CHECKS,
        (
            "keep",
            quote,
            "effect = 'keep'\nperiod = '90 days'
             except = [{ purposes = ['claims'], needs = ['hold'] }]",
        ),
        ("claims", quote, "effect = 'permit'\nroles = ['lawyer']\npurposes = ['claims']"),
        (
            "delete",
            quote,
            "effect = 'permit'\nroles = ['archivist']\npurposes = ['records']
             actions = ['delete']",
        ),
    ]);
    let over = "at = '2026-08-30T12:01:00Z'";
    let held = format!("{over}\nrecording.circumstances = ['hold']");
    gate.ask("lawyer", "claims", &held).permitted_by("claims");
    gate.ask("lawyer", "claims", over).refused_by("keep");
    gate.ask("analyst", "quality", &held).refused_by("keep");
    let delete = format!("action = 'delete'\n{held}");
    let refused = gate.ask("archivist", "records", &delete).refused_by("guardrail-hold");
    refused.says("a legal hold lies on this recording");
    let delete = format!("action = 'delete'\n{over}");
    gate.ask("archivist", "records", &delete).permitted_by("delete");
}

#[test]
fn only_a_closed_list_narrows_older_notices_too() {
    let courses = (
        "courses",
        "Our trainers use recordings for courses.",
        "effect = 'permit'\nroles = ['trainer']\npurposes = ['training']",
    );
    let only = (
        "only",
        "We use recordings to check quality and for nothing else.",
        "effect = 'require'\nonly = { purposes = ['quality'] }",
    );
    let since_march = "effective = '2026-03-01T00:00:00Z'";
    let gate = gate_of(&[(SINCE_2026, &[CHECKS, courses]), (since_march, &[CHECKS, only])]);
    let old = |role: &str, purpose: &str, at: &str| {
        let more = format!("recording.made = '2026-02-01T12:00:00Z'\nat = '{at}'");
        gate.ask(role, purpose, &more)
    };
    old("trainer", "training", "2026-02-28T23:59:59Z").permitted_by("courses");
    old("trainer", "training", "2026-03-01T00:00:00Z").refused_by("only");
    old("analyst", "quality", "2026-03-01T00:00:00Z").permitted_by("checks");
    // A notice that permits what its own list leaves out contradicts itself.
    let problems = problems(&[(SINCE_2026, &[CHECKS, courses, only])]);
    assert!(problems.contains("always refused by `v1/only`"), "{problems}");
}

#[test]
fn ver_the_date_in_the_text_governs_from_its_second_on() {
    let courses = (
        "courses",
        "Version 1: our trainers use recordings for courses.",
        "effect = 'permit'\nroles = ['trainer']\npurposes = ['training']",
    );
    let second = (
        "quality",
        "Version 2, of 1 March: our trainers use recordings to check quality.",
        "effect = 'permit'\nroles = ['trainer']\npurposes = ['quality']",
    );
    // Midnight where the organisation is: an hour before midnight in UTC.
    let midnight = "effective = '2026-03-01T00:00:00+01:00'";
    let folder = folder(&[(SINCE_2026, &[courses]), (midnight, &[second])]);
    let gate = Gate(folder.clone().load().unwrap());
    let made =
        |at: &str, purpose: &str| gate.ask("trainer", purpose, &format!("recording.made = '{at}'"));
    made("2026-02-28T22:59:59Z", "training").permitted_by("courses");
    made("2026-02-28T22:59:59Z", "quality").refused_as("not-permitted");
    made("2026-02-28T23:00:00Z", "quality").permitted_by("quality");
    made("2026-02-28T23:00:00Z", "training").refused_as("not-permitted");
    made("2025-12-31T23:59:59Z", "training").refused_as("no-notice");
    // A version is its words: changed ones are not that version.
    let mut changed = folder;
    changed.0.notices[0].text.push_str("And for fun.\n");
    let problems = changed.load().unwrap_err();
    assert!(problems[0].message.contains("is not the one that was published"), "{problems:?}");
}

#[test]
fn derx_transcripts_only_if_anonymised() {
    let quote = "We write calls down only without names, and no machine analyses them.";
    let gate = gate(&[
        (
            "read",
            quote,
            "effect = 'permit'\nroles = ['analyst']\npurposes = ['improvement']
             artefacts = ['transcript']",
        ),
        (
            "nameless",
            quote,
            "effect = 'require'\nartefacts = ['transcript', 'summary']\nneeds = ['anonymised']",
        ),
        ("no-analysis", quote, "effect = 'forbid'\nartefacts = ['analysis']"),
    ]);
    let of = |artefact: &str| {
        let known = "recording.circumstances = ['anonymised']";
        gate.ask("analyst", "improvement", &format!("recording.artefact = '{artefact}'\n{known}"))
    };
    of("transcript").permitted_by("read");
    let named = "recording.artefact = 'transcript'";
    gate.ask("analyst", "improvement", named).refused_by("nameless");
    of("analysis").refused_by("no-analysis");
    of("audio").misses("read", "it is about transcript; this is audio");
}

#[test]
fn erase_a_withdrawal_ends_use_and_not_deletion() {
    let quote = "You may withdraw at any time, also for one use, and we delete what you ask us to.";
    let gate = gate(&[
        CHECKS,
        (
            "courses",
            "Our trainers use recordings for courses if you agreed.",
            "effect = 'permit'\nroles = ['trainer']\npurposes = ['training']
             needs = ['consent']",
        ),
        (
            "erase",
            quote,
            "effect = 'permit'\nroles = ['privacy']\npurposes = ['rights']
             actions = ['delete']",
        ),
    ]);
    let withdrawn = "recording.consent = 'withdrawn'";
    gate.ask("trainer", "training", "recording.consent = 'given'").permitted_by("courses");
    gate.ask("trainer", "training", "").misses("courses", "nobody knows that they did");
    gate.ask("trainer", "training", withdrawn).refused_by("guardrail-consent-refused");
    let delete = format!("action = 'delete'\n{withdrawn}");
    gate.ask("privacy", "rights", &delete).permitted_by("erase");
    // For one use: the others go on.
    let one = "recording.consent = 'given'\nrecording.objections = ['training']";
    gate.ask("trainer", "training", one).refused_by("guardrail-objection");
    gate.ask("analyst", "quality", one).permitted_by("checks");
}

#[test]
fn loc_nobody_outside_the_named_countries() {
    let gate = gate(&[
        (
            "scribes",
            "Suppliers write our transcripts.",
            "effect = 'permit'\nroles = ['analyst']\npurposes = ['quality']
             recipients = ['supplier']",
        ),
        (
            "place",
            "Recordings stay in the United Kingdom and Ireland.",
            "effect = 'require'\nactions = ['share']\nonly = { countries = ['GB', 'IE'] }",
        ),
    ]);
    let share = |country: &str| {
        let more = format!("action = 'share'\nrequest.recipient = 'scribe'\n{country}");
        gate.ask("analyst", "quality", &more)
    };
    share("request.country = 'IE'").permitted_by("scribes");
    share("request.country = 'US'").refused_by("place");
    // Nobody knows where it would go.
    share("").refused_by("place");
}

#[test]
fn nouse_a_ban_beats_every_permit() {
    let studies = (
        "studies",
        "We use recordings for marketing and to improve our services.",
        "effect = 'permit'\nroles = ['analyst']\npurposes = ['marketing', 'improvement']",
    );
    let ban = (
        "ban",
        "We never use recordings for marketing.",
        "effect = 'forbid'\npurposes = ['marketing']",
    );
    let since_march = "effective = '2026-03-01T00:00:00Z'";
    let gate = gate_of(&[(SINCE_2026, &[studies]), (since_march, &[CHECKS, ban])]);
    let old = |purpose: &str, at: &str| {
        let more = format!("recording.made = '2026-02-01T12:00:00Z'\nat = '{at}'");
        gate.ask("analyst", purpose, &more)
    };
    old("marketing", "2026-02-28T23:59:59Z").permitted_by("studies");
    old("marketing", "2026-03-01T00:00:00Z").refused_by("ban");
    old("improvement", "2026-03-01T00:00:00Z").permitted_by("studies");
    // A ban takes all that lies below it, marked or not.
    gate.ask("analyst", "adverts", "").refused_by("ban");
    let problems = problems(&[(SINCE_2026, &[studies, ban])]);
    assert!(problems.contains("permits `access` for `marketing`"), "{problems}");
}

#[test]
fn noshare_nobody_outside_unless_the_law_requires_it() {
    let quote = "We give recordings to nobody, unless the law obliges us to.";
    let gate = gate(&[
        CHECKS,
        (
            "nobody",
            quote,
            "effect = 'forbid'\nactions = ['share']
             except = [{ purposes = ['law'], needs = ['reference'] }]",
        ),
        (
            "law",
            quote,
            "effect = 'permit'\nroles = ['lawyer']\npurposes = ['law']\nrecipients = ['police']
             needs = ['reference']",
        ),
    ]);
    let share = |role: &str, purpose: &str, to: &str, stated: &str| {
        let more = format!("action = 'share'\nrequest.recipient = '{to}'\n{stated}");
        gate.ask(role, purpose, &more)
    };
    let reference = "request.circumstances = ['reference']";
    share("lawyer", "law", "police", reference).permitted_by("law");
    share("lawyer", "law", "police", "").refused_by("nobody");
    share("analyst", "quality", "scribe", reference).refused_by("nobody");
    // What stays inside is not sharing.
    gate.ask("analyst", "quality", "").permitted_by("checks");
}

#[test]
fn puropen_open_wording_waits_for_a_person() {
    let says = |meaning| {
        let quote = "We record calls for business purposes, including but not limited to quality.";
        ("open", quote, meaning)
    };
    let problems = problems(&[(SINCE_2026, &[says("effect = 'undecided'")])]);
    assert!(problems.contains("clause `open` is undecided: it permits nothing"), "{problems}");
    let decided = says("effect = 'permit'\nroles = ['analyst']\npurposes = ['quality']");
    let gate = gate(&[decided]);
    gate.ask("analyst", "quality", "").permitted_by("open");
    // Nothing but what the person wrote.
    gate.ask("analyst", "improvement", "").misses("open", "it is for other purposes");
}

#[test]
fn retv_a_vague_period_waits_for_a_number() {
    let says = |meaning| ("vague", "We keep recordings for as long as necessary.", meaning);
    let problems_of = |meaning| problems(&[(SINCE_2026, &[CHECKS, says(meaning)])]);
    let undecided = problems_of("effect = 'undecided'");
    assert!(undecided.contains("clause `vague` is undecided"), "{undecided}");
    let no_number = problems_of("effect = 'keep'\nperiod = 'as long as necessary'");
    assert!(no_number.contains("a period is a number and a unit"), "{no_number}");
    let gate = gate(&[CHECKS, says("effect = 'keep'\nperiod = '90 days'")]);
    gate.ask("analyst", "quality", "at = '2026-08-30T12:00:59Z'").permitted_by("checks");
    let late = gate.ask("analyst", "quality", "at = '2026-08-30T12:01:00Z'");
    late.refused_by("vague");
}

#[test]
fn chg_told_in_time_and_old_calls_gain_nothing() {
    let told = (
        "told",
        "We tell you 30 days before we change this notice on recordings.",
        "effect = 'inform'\nnotice-period = '30 days'",
    );
    let courses = (
        "courses",
        "Our trainers use recordings for courses.",
        "effect = 'permit'\nroles = ['trainer']\npurposes = ['training']",
    );
    let first: Sentences<'_> = &[CHECKS, told];
    let second: Sentences<'_> = &[courses];
    let told_on = |announced: &str| format!("effective = '2026-03-01T00:00:00Z'\n{announced}");
    let too_late = told_on("announced = '2026-01-31'");
    let problem = problems(&[(SINCE_2026, first), (&too_late, second)]);
    assert!(problem.contains("v1 promised 30 days before a change, but"), "{problem}");
    let problem = problems(&[(SINCE_2026, first), (&told_on(""), second)]);
    assert!(problem.contains("nothing says when people were told"), "{problem}");

    let in_time = told_on("announced = '2026-01-30'");
    let gate = gate_of(&[(SINCE_2026, first), (&in_time, second)]);
    gate.ask("trainer", "training", "").permitted_by("courses");
    let old = "recording.made = '2026-02-28T23:59:59Z'";
    gate.ask("trainer", "training", old).refused_as("not-for-caller");
    // Unless everybody on the call accepted the change.
    let accepted = format!("{old}\nrecording.accepted = 'v2'");
    gate.ask("trainer", "training", &accepted).permitted_by("courses");
}

#[test]
fn safe_danger_opens_a_recording_once_approved() {
    let gate = gate(&[(
        "danger",
        "If we fear for somebody, a team leader listens when a second person has approved it.",
        "effect = 'permit'\nroles = ['lead']\npurposes = ['danger']
         needs = ['approval', 'reason']",
    )]);
    let stated = |list: &str| format!("request.circumstances = [{list}]");
    gate.ask("lead", "danger", &stated("'approval', 'reason'")).permitted_by("danger");
    let alone = gate.ask("lead", "danger", &stated("'reason'"));
    alone.misses("danger", "a second person approved the request");
    gate.ask("lead", "danger", &stated("'approval'"))
        .misses("danger", "the request says its reason");
    // What is approved for a danger is for no other purpose.
    let other = gate.ask("lead", "quality", &stated("'approval', 'reason'"));
    other.misses("danger", "it is for other purposes");
}

#[test]
fn bio_a_voiceprint_needs_written_consent() {
    let gate = gate(&[
        (
            "hear",
            "Our analysts listen to recordings to keep accounts secure.",
            "effect = 'permit'\nroles = ['analyst']\npurposes = ['security']",
        ),
        (
            "voice",
            "With your signature we make a voiceprint of your voice for your login.",
            "effect = 'permit'\nroles = ['analyst']\npurposes = ['voice-login']
             artefacts = ['voiceprint']\nneeds = ['written-consent']\nuntil = '24 hours'",
        ),
    ]);
    let consent = |form: &str, more: &str| {
        let form = format!("recording.consent = 'given'\nrecording.consent-form = '{form}'");
        gate.ask("analyst", "voice-login", &format!("{form}\n{more}"))
    };
    let print = "recording.artefact = 'voiceprint'\nat = '2026-06-02T12:00:59Z'";
    consent("wrote", print).permitted_by("voice");
    consent("spoke", print).misses("voice", "they did so by");
    // The sound itself is not for it, security does not bring it, and its day ends.
    consent("wrote", "").misses("voice", "it is about voiceprint; this is audio");
    gate.ask("analyst", "security", print).misses("hear", "this is voiceprint");
    gate.ask("analyst", "security", "").permitted_by("hear");
    let late = print.replace("12:00:59", "12:01:00");
    consent("wrote", &late).misses("voice", "it holds until 24 hours after the call");
}

#[test]
fn mkt_only_where_the_version_says_so() {
    let studies = (
        "studies",
        "We use recordings to improve our services.",
        "effect = 'permit'\nroles = ['analyst']\npurposes = ['improvement']",
    );
    let marketing = (
        "marketing",
        "If you agree, recordings make our marketing fit you better.",
        "effect = 'permit'\nroles = ['analyst']\npurposes = ['marketing']\nbasis = 'consent'",
    );
    let since_march = "effective = '2026-03-01T00:00:00Z'";
    let gate = gate_of(&[(SINCE_2026, &[studies]), (since_march, &[studies, marketing])]);
    let given = "recording.consent = 'given'";
    gate.ask("analyst", "marketing", given).permitted_by("marketing");
    gate.ask("analyst", "marketing", "").refused_as("not-permitted");
    // Advertising to one person is marked: marketing does not bring it.
    gate.ask("analyst", "adverts", given).refused_as("not-permitted");
    let old = format!("{given}\nrecording.made = '2026-02-28T23:59:59Z'");
    gate.ask("analyst", "marketing", &old).misses("studies", "it is for other purposes");
}

#[test]
fn child_a_guardian_agrees_for_each_child() {
    let quote = "If a child is on the call, we use it only if a parent agreed, and never to train.";
    let gate = gate(&[
        CHECKS,
        (
            "courses",
            "Our trainers use recordings for courses.",
            "effect = 'permit'\nroles = ['trainer']\npurposes = ['training']",
        ),
        ("guardian", quote, "effect = 'require'\nlabels = ['child']\nneeds = ['guardian-consent']"),
        ("no-training", quote, "effect = 'forbid'\nlabels = ['child']\npurposes = ['training']"),
    ]);
    gate.ask("analyst", "quality", "recording.labels = []").permitted_by("checks");
    let child = "recording.labels = ['child']";
    let agreed = format!("{child}\nrecording.circumstances = ['guardian-consent']");
    gate.ask("analyst", "quality", child).refused_by("guardian");
    gate.ask("analyst", "quality", &agreed).permitted_by("checks");
    gate.ask("trainer", "training", &agreed).refused_by("no-training");
    // Nobody knows whether there was a child.
    gate.ask("analyst", "quality", "").refused_by("guardian");
    // The adults' own consent does not stand in for it.
    let adults = format!("{child}\nrecording.consent = 'given'");
    gate.ask("analyst", "quality", &adults).refused_by("guardian");
}

/// All kinds of statement, most frequent first.
const KINDS: [&str; 36] = [
    "PUR", "SCOPE", "DISP", "STAFF", "ANN", "RET", "DER", "LB", "SPEC", "LAW", "AUTO", "PAY",
    "ACC", "OPT2", "PROC", "CONS", "SEC", "DSR", "OPT1", "RETX", "TP", "HOLD", "ONLY", "VER",
    "DERX", "ERASE", "LOC", "NOUSE", "NOSHARE", "PUROPEN", "RETV", "CHG", "SAFE", "BIO", "MKT",
    "CHILD",
];

/// The table in the guide says what the gate does of each kind; a row without its test would only
/// claim it.
#[test]
fn every_kind_has_its_test_and_its_row() {
    let guide = std::fs::read_to_string("docs/policy-guide.md").unwrap();
    let source = std::fs::read_to_string("tests/gate/stories/kinds.rs").unwrap();
    let lines: Vec<&str> = source.lines().collect();
    let tests = lines.windows(2).filter(|pair| pair[0] == "#[test]");
    let tests: BTreeSet<&str> =
        tests.filter_map(|pair| pair[1].strip_prefix("fn ")?.strip_suffix("() {")).collect();

    let (_, section) = guide.split_once("\n## The 36 kinds of statement\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    let mut codes = Vec::new();
    let mut named = BTreeSet::from(["every_kind_has_its_test_and_its_row"]);
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert!(cells.len() == 4 && cells.iter().all(|cell| !cell.is_empty()), "{row}");
        let (code, _) = cells[0].split_once(": ").expect("the code comes first");
        let test = cells[3].trim_matches('`');
        assert!(test.starts_with(&format!("{}_", code.to_lowercase())), "{row}");
        assert!(tests.contains(test), "there is no test {test}");
        codes.push(code);
        named.insert(test);
    }
    assert_eq!(codes, KINDS);
    assert_eq!(named, tests, "each test is in the table");
}

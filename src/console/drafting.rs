//! The steps of a draft: write, submit, approve, put in force, give up. One at a time; each is decided
//! by Cedar, on record before it is done, and refused if the draft is not as its visitor saw it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Desk;
use super::problem::Problem;
use super::visitor::{About, Visitor};
use crate::config::{self, Activation};
use crate::draft::{
    self, ApplyError, Checked, Deed, Draft, DraftId, Drafts, Ending, StepError, Submitted,
};
use crate::notice::NoticeVersion;
use crate::policy::{
    AdminAction, AdminPermit, NoticeSource, PolicySources, Section, Whose, compare_draft,
    kept_longer, weighty,
};
use crate::reload::Reloader;

/// LIMIT: how long an activation waits for the gate to load the folder.
const LOADING: Duration = Duration::from_secs(20);

/// LIMIT: bytes of a draft's number in an entry; enough to tell two contents apart.
const CONTENT_DIGITS: usize = 16;

/// LIMIT: drafts that are kept checked. Each holds a whole set of policies.
const CHECKED_MAX: u64 = 8;

/// Where drafts are, and where approved ones go.
#[derive(Debug)]
pub(crate) struct Drafting {
    drafts: Drafts,
    /// One step at a time, so that what was looked at is what is kept.
    step: tokio::sync::Mutex<()>,
    /// What was checked: by the policies in force and what the draft says.
    checked: moka::sync::Cache<(String, String), Arc<Checked>>,
    /// The policy folder.
    folder: PathBuf,
    /// What becomes of an approved draft.
    pub(crate) activation: Activation,
    reloader: Reloader,
}

/// A draft with what it would be.
pub(crate) struct Looked {
    /// The draft.
    pub(crate) draft: Draft,
    /// It among the policies in force.
    pub(crate) checked: Arc<Checked>,
    /// What it changes; `None` if something is wrong with it.
    pub(crate) changes: Option<Arc<Vec<Section>>>,
    /// What it keeps for longer.
    longer: Vec<String>,
    /// The texts that are in force.
    pub(crate) in_force: PolicySources,
}

impl Looked {
    /// How many have to approve it: two, if it gives to somebody new or keeps for longer.
    pub(crate) fn needs(&self) -> (usize, Vec<String>) {
        let weighty = self.changes.as_deref().map(|changes| weighty(changes)).unwrap_or_default();
        let mut weighty: Vec<String> = weighty.into_iter().map(str::to_owned).collect();
        weighty.extend(self.longer.iter().cloned());
        (if weighty.is_empty() { 1 } else { 2 }, weighty)
    }
}

impl Drafting {
    pub(super) fn new(
        console: &config::Console,
        ledger: &config::Ledger,
        folder: PathBuf,
        reloader: Reloader,
    ) -> Self {
        let beside = || ledger.directory.join("drafts");
        Self {
            drafts: Drafts::new(console.drafts.clone().unwrap_or_else(beside)),
            step: tokio::sync::Mutex::new(()),
            checked: moka::sync::Cache::new(CHECKED_MAX),
            folder,
            activation: console.activation,
            reloader,
        }
    }
}

/// Who may look at drafts: who writes them and who approves them.
pub(crate) async fn looks(desk: &Desk, visitor: &Visitor) -> Result<AdminPermit, Problem> {
    let policies = desk.policies();
    match policies.may(&visitor.caller, AdminAction::Author, Whose::Others) {
        Ok(permit) => Ok(permit),
        Err(_) => visitor.may(desk, AdminAction::Approve, Whose::Others).await,
    }
}

/// All drafts, what was changed last first.
pub(crate) async fn all(desk: &Desk) -> Result<Vec<Draft>, Problem> {
    desk.blocking(|desk| desk.drafting.drafts.all().map_err(|error| Problem::drafts(&error))).await
}

/// One draft.
pub(crate) async fn one(desk: &Desk, id: &str) -> Result<Draft, Problem> {
    let id: DraftId = id.parse().map_err(|_| Problem::not_found())?;
    desk.blocking(move |desk| {
        desk.drafting.drafts.read(&id).map_err(|error| Problem::drafts(&error))
    })
    .await
}

/// What a version would be among the policies in force. It takes a while, once.
pub(crate) fn check(
    desk: &Desk,
    version: &NoticeVersion,
    text: &str,
    meaning: &str,
) -> Arc<Checked> {
    let policies = desk.policies();
    let key = (policies.digest().to_string(), draft::content(version, text, meaning));
    let check = || Arc::new(Checked::new(version, text, meaning, policies.sources()));
    desk.drafting.checked.get_with(key, check)
}

/// One draft with what it would be among the policies in force.
pub(crate) async fn look(desk: &Desk, draft: Draft) -> Result<Looked, Problem> {
    desk.blocking(move |desk| {
        let policies = desk.policies();
        let checked = check(desk, &draft.version, &draft.text, &draft.meaning);
        let changes = checked.policies.as_ref().map(|with| {
            let key = (
                policies.digest().to_string(),
                with.digest().to_string(),
                draft.version.to_string(),
            );
            let compare = || Arc::new(compare_draft(&policies, with, &draft.version));
            desk.compared.get_with(key, compare)
        });
        let with = checked.policies.as_ref();
        let longer = with.map(|with| kept_longer(&policies, with, &draft.version));
        let (longer, in_force) = (longer.unwrap_or_default(), policies.sources().clone());
        Ok(Looked { draft, checked, changes, longer, in_force })
    })
    .await
}

/// A deed of a visitor, now.
fn deed(desk: &Desk, visitor: &Visitor) -> Deed {
    Deed { by: visitor.caller.id.clone(), at: desk.gate.clock.now() }
}

/// Puts a step on record: which draft, of which version, with which words.
async fn record(
    desk: &Desk,
    visitor: &Visitor,
    permit: &AdminPermit,
    what: &str,
    draft: &Draft,
) -> Result<(), Problem> {
    let content = draft.content();
    let content = content.get(..CONTENT_DIGITS).unwrap_or_default();
    let Draft { id, version, .. } = draft;
    let detail = format!("{what} draft {id} of notice {version}, content {content}");
    visitor.sees(desk, permit, &About { detail, ..About::default() }).await.map(|_| ())
}

async fn keep(desk: &Desk, mut draft: Draft) -> Result<Draft, Problem> {
    desk.blocking(move |desk| {
        let kept = desk.drafting.drafts.keep(&mut draft);
        kept.map_err(|error| Problem::drafts(&error))?;
        Ok(draft)
    })
    .await
}

/// Whose a draft is, for Cedar.
pub(crate) fn whose(draft: &Draft, visitor: &Visitor) -> Whose {
    match draft.is_by(&visitor.caller.id) {
        true => Whose::Own,
        false => Whose::Others,
    }
}

/// Begins a draft of a version that there is, or of a new one that begins with the words of another.
pub(crate) async fn begin(
    desk: &Desk,
    visitor: &Visitor,
    version: NoticeVersion,
    like: &str,
) -> Result<Draft, Problem> {
    let permit = visitor.may(desk, AdminAction::Author, Whose::Own).await?;
    let policies = desk.policies();
    let sources = policies.sources();
    let named = |name: &str| sources.notices.iter().find(|notice| notice.version == name);
    let like: &NoticeSource = named(version.as_str()).or_else(|| named(like)).ok_or_else(|| {
        Problem::bad_value("there is no such version to begin with").about("like")
    })?;
    let draft = Draft::begin(version, like, sources, deed(desk, visitor));
    record(desk, visitor, &permit, "begin", &draft).await?;
    keep(desk, draft).await
}

/// What an author writes.
pub(crate) struct Writing {
    pub(crate) text: String,
    pub(crate) meaning: String,
    pub(crate) reason: String,
}

/// Who may do a step.
#[derive(Clone, Copy)]
enum Right {
    /// Who may write drafts.
    Author,
    /// Who may approve them.
    Approve,
    /// Either.
    Look,
}

/// A step of a draft: nobody else does one meanwhile.
struct Step<'a> {
    desk: &'a Desk,
    visitor: &'a Visitor,
    permit: AdminPermit,
    draft: Draft,
    _one: tokio::sync::MutexGuard<'a, ()>,
}

impl<'a> Step<'a> {
    /// Decides whether somebody may do it, to the draft as they have `seen` it.
    async fn begin(
        desk: &'a Desk,
        visitor: &'a Visitor,
        right: Right,
        id: &str,
        seen: u64,
    ) -> Result<Self, Problem> {
        let one_at_a_time = desk.drafting.step.lock().await;
        let draft = one(desk, id).await?;
        let may = |action| visitor.may(desk, action, whose(&draft, visitor));
        let permit = match right {
            Right::Author => may(AdminAction::Author).await?,
            Right::Approve => may(AdminAction::Approve).await?,
            Right::Look => looks(desk, visitor).await?,
        };
        draft.open(seen).map_err(Problem::step)?;
        Ok(Self { desk, visitor, permit, draft, _one: one_at_a_time })
    }

    fn deed(&self) -> Deed {
        deed(self.desk, self.visitor)
    }

    /// Puts it on record and keeps what came of it.
    async fn done(self, what: &str) -> Result<Draft, Problem> {
        record(self.desk, self.visitor, &self.permit, what, &self.draft).await?;
        keep(self.desk, self.draft).await
    }
}

/// Writes in a draft.
pub(crate) async fn write(
    desk: &Desk,
    visitor: &Visitor,
    id: &str,
    seen: u64,
    writing: Writing,
) -> Result<Draft, Problem> {
    let mut step = Step::begin(desk, visitor, Right::Author, id, seen).await?;
    let deed = step.deed();
    step.draft.write(writing.text, writing.meaning, writing.reason, deed);
    step.done("write").await
}

/// Puts a draft on top of what is in force now.
pub(crate) async fn rebase(
    desk: &Desk,
    visitor: &Visitor,
    id: &str,
    seen: u64,
) -> Result<Draft, Problem> {
    let mut step = Step::begin(desk, visitor, Right::Author, id, seen).await?;
    let deed = step.deed();
    step.draft.rebase(desk.policies().sources(), deed);
    step.done("rebase").await
}

/// Lets a draft wait for approval, if nothing is wrong with it.
pub(crate) async fn submit(
    desk: &Desk,
    visitor: &Visitor,
    id: &str,
    seen: u64,
    reason: String,
) -> Result<Draft, Problem> {
    let mut step = Step::begin(desk, visitor, Right::Author, id, seen).await?;
    step.draft.reason = reason;
    let looked = look(desk, step.draft.clone()).await?;
    if !looked.draft.is_on(&looked.in_force) {
        return Err(Problem::step(StepError::OldBase));
    }
    let Some(policies) = &looked.checked.policies else {
        let count = looked.checked.errors().count();
        let detail = format!("{count} things are wrong with the draft; check it first");
        return Err(Problem::bad_value(detail));
    };
    let digest = policies.digest().to_string();
    if looked.draft.base.digest == digest {
        return Err(Problem::bad_value("the draft says what is in force already"));
    }
    let (needs, weighty) = looked.needs();
    let submitted = Submitted { deed: step.deed(), needs, weighty, digest };
    step.draft.submit(submitted).map_err(Problem::step)?;
    step.done("submit").await
}

/// Approves a draft as it is.
pub(crate) async fn approve(
    desk: &Desk,
    visitor: &Visitor,
    id: &str,
    seen: u64,
) -> Result<Draft, Problem> {
    let mut step = Step::begin(desk, visitor, Right::Approve, id, seen).await?;
    if !step.draft.is_on(desk.policies().sources()) {
        return Err(Problem::step(StepError::OldBase));
    }
    let deed = step.deed();
    step.draft.approve(deed).map_err(Problem::step)?;
    step.done("approve").await
}

/// Sends a draft back to its authors: it has to be submitted again.
pub(crate) async fn send_back(
    desk: &Desk,
    visitor: &Visitor,
    id: &str,
    seen: u64,
) -> Result<Draft, Problem> {
    let mut step = Step::begin(desk, visitor, Right::Look, id, seen).await?;
    let deed = step.deed();
    step.draft.send_back(&deed).map_err(Problem::step)?;
    step.done("send back").await
}

/// Gives a draft up.
pub(crate) async fn withdraw(
    desk: &Desk,
    visitor: &Visitor,
    id: &str,
    seen: u64,
) -> Result<Draft, Problem> {
    let mut step = Step::begin(desk, visitor, Right::Author, id, seen).await?;
    let deed = step.deed();
    step.draft.end(Ending::Withdrawn, deed);
    step.done("withdraw").await
}

/// Puts an approved draft into the policy folder and has the gate load it. What the gate does not
/// take is taken out again.
pub(crate) async fn activate(
    desk: &Desk,
    visitor: &Visitor,
    id: &str,
    seen: u64,
) -> Result<Draft, Problem> {
    let step = Step::begin(desk, visitor, Right::Look, id, seen).await?;
    step.draft.can_activate(desk.policies().sources()).map_err(Problem::step)?;
    if desk.drafting.activation == Activation::Patch {
        let detail = "this gate gives approved drafts out as patches; apply the patch in Git";
        return Err(Problem::conflict(detail));
    }
    record(desk, visitor, &step.permit, "activate", &step.draft).await?;
    let draft = step.draft.clone();
    let mut draft = desk.blocking(|desk| take(desk, draft)).await?;
    draft.end(Ending::Activated, step.deed());
    keep(desk, draft).await
}

fn take(desk: &Desk, draft: Draft) -> Result<Draft, Problem> {
    let drafting = &desk.drafting;
    let policies = desk.policies();
    let in_force = policies.sources();
    let checked = check(desk, &draft.version, &draft.text, &draft.meaning);
    let good = checked.policies.as_ref().map(|policies| policies.digest().clone());
    let approved = draft.submitted.as_ref().map(|submitted| submitted.digest.as_str());
    // INVARIANT: what is put in force is what was approved.
    let Some(digest) = good.filter(|good| Some(good.as_str()) == approved) else {
        return Err(Problem::conflict(
            "what was approved cannot be derived any more; submit it again",
        ));
    };
    let put = draft::put(&drafting.folder, &draft, in_force, &checked.sources);
    let undo = put.map_err(|error| unwritten(&error))?;
    let loaded = drafting.reloader.reload(LOADING);
    if loaded && *desk.policies().digest() == digest {
        undo.done();
        if let Err(error) = draft::put_table(&drafting.folder, &desk.policies().table()) {
            tracing::warn!(%error, "run `noticegate derive`: the table of decisions is an old one");
        }
        return Ok(draft);
    }
    tracing::error!(draft = %draft.id, "the gate did not take the draft; it is taken out again");
    if let Err(error) = undo.undo() {
        tracing::error!(%error, "the draft could not be taken out of the policy folder");
    }
    let _ = drafting.reloader.reload(LOADING);
    let detail = "the gate could not load the policies with this draft and keeps those in force; \
                  its log says why";
    Err(Problem::conflict(detail))
}

fn unwritten(error: &ApplyError) -> Problem {
    tracing::error!(%error, "a draft could not be put into the policy folder");
    match error {
        ApplyError::Changed => Problem::conflict(
            "the policy folder does not hold what is in force: somebody has changed it by hand; \
             let the gate load that first",
        ),
        _ => Problem::conflict(
            "the gate cannot write in the policy folder; take the patch instead, or let the \
             operator set `console.activation = \"patch\"`",
        ),
    }
}

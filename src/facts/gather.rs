//! Gathering: from Twilio's resources and the register to [`Facts`], with both kept in memory.

use std::sync::Arc;

use super::fold::{Base, Ends, Reading, fold};
use super::resources::{self, Told};
use super::{
    Basis, Consent, Facts, FactsError, Key, MetadataSource, Numbers, Register, RegisterName,
    Registry, Said, Who,
};
use crate::clock::Clock;
use crate::config;
use crate::law::Medium;
use crate::media::{AccountSid, Artefact, CallSid, MediaRef, MediaSid, MetadataRef, SidKind};
use crate::purpose::Purpose;

/// The facts in memory.
#[derive(Debug)]
pub struct FactStore {
    clock: Clock,
    age_max: std::time::Duration,
    unsettled_age_max: std::time::Duration,
    /// What Twilio says.
    told: moka::future::Cache<(MetadataRef, Artefact), Arc<Facts>>,
    /// What follows from that and from the register, for a purpose.
    known: moka::sync::Cache<(MetadataRef, Artefact, Option<Purpose>), Arc<Known>>,
    /// What belongs where its path says. That never changes, so it has no age.
    placed: moka::future::Cache<MediaRef, ()>,
}

/// Facts, and how long they hold.
#[derive(Debug)]
struct Known {
    facts: Arc<Facts>,
    /// What they were made of: the same allocation as long as it is the same answer.
    told: Arc<Facts>,
    edition: String,
}

impl FactStore {
    /// An empty store.
    #[must_use]
    pub fn new(settings: &config::Facts, clock: Clock) -> Self {
        let age_max = settings.age_max_seconds.duration();
        let entries_max = settings.entries_max.get();
        Self {
            clock,
            age_max,
            unsettled_age_max: settings.unsettled_age_max_seconds.duration(),
            // The caches' own clock only bounds memory. Whether a fact is young enough is decided
            // below, by the clock that decisions use.
            told: moka::future::Cache::builder()
                .max_capacity(entries_max)
                .time_to_live(age_max)
                .build(),
            known: moka::sync::Cache::builder()
                .max_capacity(entries_max)
                .time_to_live(age_max)
                .build(),
            placed: moka::future::Cache::builder()
                .max_capacity(entries_max)
                .time_to_live(age_max)
                .build(),
        }
    }

    /// The facts about what this resource describes, or was made from, as an artefact of this
    /// kind and for this purpose; no older than the configured age, and with everything that was
    /// said of it before it was asked.
    ///
    /// # Errors
    /// [`FactsError`]; nothing is remembered of a failure. Facts that took so long to read that
    /// they are too old by now are a failure, too.
    pub async fn gather(
        &self,
        about: MetadataRef,
        artefact: Artefact,
        purpose: Option<&Purpose>,
        reading: &Reading<'_>,
        (source, registry): (&impl MetadataSource, &impl Registry),
    ) -> Result<Arc<Facts>, FactsError> {
        let told = self.told(about, artefact, source).await?;
        let key = (about, artefact, purpose.cloned());
        if let Some(known) = self.known.get(&key)
            && Arc::ptr_eq(&known.told, &told)
            && known.edition == reading.edition
            && self.is_current(&known.facts.basis, registry)
        {
            return Ok(Arc::clone(&known.facts));
        }
        let facts = Arc::new(self.fold(&told, purpose, reading, registry).await?);
        let known = Known { facts: Arc::clone(&facts), told, edition: reading.edition.to_owned() };
        self.known.insert(key, Arc::new(known));
        Ok(facts)
    }

    /// The same facts, with everything that was said since. Twilio is not asked again.
    ///
    /// # Errors
    /// [`FactsError::Register`] if what was said cannot be read.
    pub async fn refresh(
        &self,
        facts: &Arc<Facts>,
        purpose: Option<&Purpose>,
        reading: &Reading<'_>,
        registry: &impl Registry,
    ) -> Result<Arc<Facts>, FactsError> {
        match self.is_current(&facts.basis, registry) {
            true => Ok(Arc::clone(facts)),
            false => Ok(Arc::new(self.fold(facts, purpose, reading, registry).await?)),
        }
    }

    fn is_current(&self, basis: &Basis, registry: &impl Registry) -> bool {
        basis.until.is_none_or(|until| self.clock.now() < until) && registry.is_current(basis)
    }

    async fn fold(
        &self,
        told: &Facts,
        purpose: Option<&Purpose>,
        reading: &Reading<'_>,
        registry: &impl Registry,
    ) -> Result<Facts, FactsError> {
        let (statements, names, seen) = read_register(told, reading, registry).await?;
        let ends = told.basis.ends.clone();
        let base =
            Base { started_at: told.started_at, ends: ends.as_deref(), medium: medium(told) };
        let folded = fold(&base, &statements, purpose, reading, self.clock.now());
        let of_ends = ends.as_ref().and_then(|ends| ends.direction);
        Ok(Facts {
            consent: folded.consent,
            direction: of_ends.or(folded.direction),
            numbers: folded.numbers,
            register: folded.register,
            basis: Basis { names, seen, ends, until: folded.until },
            ..told.clone()
        })
    }

    async fn told(
        &self,
        about: MetadataRef,
        artefact: Artefact,
        source: &impl MetadataSource,
    ) -> Result<Arc<Facts>, FactsError> {
        let key = (about, artefact);
        if let Some(told) = self.told.get(&key).await {
            if self.is_young(&told) {
                return Ok(told);
            }
            self.told.invalidate(&key).await;
        }
        let read = self.told.try_get_with(key, self.read(about, artefact, source));
        let told = read.await.map_err(|error| (*error).clone())?;
        match self.is_young(&told) {
            true => Ok(told),
            false => {
                self.told.invalidate(&key).await;
                Err(FactsError::Unavailable("it took longer than facts may grow old".to_owned()))
            }
        }
    }

    /// Makes sure that what this describes belongs to what its path names above it.
    ///
    /// # Errors
    /// [`FactsError::NoSuchRecording`] if it does not, or is not there; others if Twilio does not say.
    pub async fn place(
        &self,
        what: MediaRef,
        source: &impl MetadataSource,
    ) -> Result<(), FactsError> {
        let look = async {
            match source.belongs(what).await? {
                true => Ok(()),
                false => Err(FactsError::NoSuchRecording),
            }
        };
        self.placed.try_get_with(what, look).await.map_err(|error| (*error).clone())
    }

    /// Forgets where this belongs, since it is to be deleted.
    pub async fn displace(&self, what: &MediaRef) {
        self.placed.invalidate(what).await;
    }

    /// Asks Twilio, so that the answer is there when somebody asks.
    pub async fn look_ahead(
        &self,
        about: MetadataRef,
        artefact: Artefact,
        source: &impl MetadataSource,
    ) {
        let _ = self.told(about, artefact, source).await;
    }

    /// The ends of a call; `None` if Twilio does not know it or cannot be asked.
    pub async fn ends_of(
        &self,
        (account, call): (AccountSid, CallSid),
        source: &impl MetadataSource,
    ) -> Option<Ends> {
        ends(MetadataRef::named(account, call.into())?, source).await.ok()?
    }

    /// Forgets what is known of a resource, since it has changed.
    pub async fn forget(&self, about: MetadataRef) {
        for artefact in Artefact::ALL {
            self.told.invalidate(&(about, *artefact)).await;
        }
    }

    fn is_young(&self, facts: &Facts) -> bool {
        let age_max = match facts.status.is_settled() {
            true => self.age_max,
            false => self.unsettled_age_max,
        };
        let age = self.clock.now().duration_since(facts.as_of);
        !age.is_negative() && age.unsigned_abs() < age_max
    }

    async fn read(
        &self,
        about: MetadataRef,
        artefact: Artefact,
        source: &impl MetadataSource,
    ) -> Result<Arc<Facts>, FactsError> {
        let as_of = self.clock.now();
        let (mut subject, mut told) = fetch(about, source).await?;
        if let Some(recording) = told.recording {
            (subject, told) =
                fetch(named(about.account(), recording)?.even_deleted(), source).await?;
        } else if about.sid().kind() == SidKind::Transcription {
            return Err(FactsError::Missing { fact: "recording of the transcription" });
        }
        let room = told.room.filter(|_| told.started_at.is_none());
        if let Some(room) = room {
            told.started_at = fetch(named(about.account(), room)?, source).await?.1.started_at;
        }
        let started_at = told.started_at;
        let started_at = started_at.ok_or(FactsError::Missing { fact: "time of what was said" })?;
        let ends = match told.call {
            Some(call) if MediaSid::from(call) != subject => {
                ends(named(about.account(), call.into())?, source).await?
            }
            _ => told.ends(),
        };
        // Of a conference, one leg is known; who else was on it is not.
        let ends = ends.map(|ends| Ends { all: told.conference.is_none(), ..ends });
        let artefact = match (artefact, told.artefact) {
            // A track of a video room is a picture or a voice.
            (Artefact::Video, Some(own)) => own,
            (asked, _) => asked,
        };
        Ok(Arc::new(Facts {
            account: about.account(),
            recording: subject,
            as_of,
            call: told.call,
            conference: told.conference,
            room: told.room,
            started_at,
            duration_seconds: told.duration_seconds,
            channels: told.channels,
            status: told.status,
            encrypted: told.encryption.is_some(),
            encryption: told.encryption,
            direction: ends.as_ref().and_then(|ends| ends.direction),
            numbers: Numbers::default(),
            consent: Consent::Unknown,
            artefact,
            register: Register::default(),
            basis: Basis { ends: ends.map(Arc::new), ..Basis::default() },
        }))
    }
}

/// Whose law applies: where people were recorded, that of telephone calls or of video.
fn medium(facts: &Facts) -> Option<Medium> {
    let written = [SidKind::Message, SidKind::MultimediaMessage, SidKind::Media];
    if facts.artefact == Artefact::MessageMedia || written.contains(&facts.recording.kind()) {
        return None;
    }
    let telephone = facts.call.is_some() || facts.conference.is_some();
    Some(if facts.room.is_some() || !telephone { Medium::Video } else { Medium::Telephone })
}

/// Everything that was said of a recording: of itself, its call, conference or room, of its line, and
/// of those who were on it in all their calls.
async fn read_register(
    facts: &Facts,
    reading: &Reading<'_>,
    registry: &impl Registry,
) -> Result<(Vec<super::Recorded>, Arc<[RegisterName]>, u64), FactsError> {
    let media =
        [Some(facts.recording), facts.call.map(MediaSid::from), facts.conference, facts.room];
    let mut keys: Vec<Key> = media.into_iter().flatten().map(Key::Media).collect();
    keys.dedup();
    let people = |number: &str| Key::Person(Who::Number(number.to_owned()));
    let numbers: Vec<&str> = facts.basis.ends.iter().flat_map(|ends| ends.numbers.iter()).collect();
    keys.extend(numbers.iter().copied().map(people));
    let lines = numbers.iter().filter_map(|number| reading.vocabulary.line_of(number));
    keys.extend(lines.map(|line| Key::Line(line.to_owned())));
    let mut names: Vec<RegisterName> = Vec::new();
    let mut statements = Vec::new();
    let mut seen = None;
    // What is said of the call may name people and a line of whom more is said.
    while !keys.is_empty() {
        let new: Vec<RegisterName> = keys.drain(..).map(|key| registry.name(&key)).collect();
        let mut new: Vec<RegisterName> =
            new.into_iter().filter(|name| !names.contains(name)).collect();
        new.sort_unstable();
        new.dedup();
        if new.is_empty() {
            break;
        }
        names.extend(new.iter().cloned());
        let (found, place) = registry.statements(new).await?;
        seen = Some(seen.map_or(place, |seen: u64| seen.min(place)));
        for super::Recorded { statement, .. } in &found {
            if let Some(who) =
                statement.participant.as_ref().filter(|_| !statement.about.is_empty())
            {
                keys.push(Key::Person(who.clone()));
                if let Who::Number(number) = who
                    && let Some(line) = reading.vocabulary.line_of(number)
                {
                    keys.push(Key::Line(line.to_owned()));
                }
            }
            if let Said::Labels(filing) = &statement.said {
                keys.extend(filing.line.clone().map(Key::Line));
            }
        }
        statements.extend(found);
    }
    Ok((statements, names.into(), seen.unwrap_or(0)))
}

/// A call that Twilio no longer has leaves its ends unknown; any other failure to read it leaves no
/// facts at all, since the next try may well tell.
async fn ends(call: MetadataRef, source: &impl MetadataSource) -> Result<Option<Ends>, FactsError> {
    match fetch(call, source).await {
        Ok((_, told)) => Ok(told.ends()),
        Err(FactsError::NoSuchRecording) => Ok(None),
        Err(other) => Err(other),
    }
}

fn named(account: AccountSid, sid: MediaSid) -> Result<MetadataRef, FactsError> {
    MetadataRef::named(account, sid).ok_or(FactsError::Malformed { what: "parent" })
}

async fn fetch(
    what: MetadataRef,
    source: &impl MetadataSource,
) -> Result<(MediaSid, Told), FactsError> {
    let json = source.read(what).await?;
    Ok((what.sid(), resources::read(&json, &what)?))
}

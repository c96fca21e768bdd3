//! The deploy key of a GitRepository: made, put at the forge, put in another's place, taken away.
//!
//! A run asks for the next [`Step`], carries it out, and asks again. Every step is decided from what is there, so whoever was
//! stopped between two begins anew with the same one. Another key never takes the old one's place before it has opened the
//! repository, and the old one stays at the forge until then: between the two there is no moment without a key. So it is when a
//! key that was generated is to push, or no longer: another one takes its place. Objects of one namespace may share a key for
//! one repository: a forge knows a key once, so they share its title too, which goes with the last of them.
//!
//! ```text
//! Make      nothing in the Secret -> a pair
//! Put       not at the forge, as recorded -> under a title that is this key's alone
//! MakeNext  rotation is due -> a second pair beside the first
//! Put       the second one too
//! Prove     the repository is asked with it
//! Switch    the second pair in the place of the first
//! Take      what is recorded, and no longer in use
//! Leave     the same, which another object has in use, or this one under another spelling of its repository
//! ```

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use reeve_api::PROVIDER;
use reeve_api::name::{NamespaceName, NamespacedName, NotAName, ObjectName, RemoteUrl, Scheme};
use reeve_api::source::GitRepository;
use reeve_api::upkeep::{
    DEPLOY_KEY, DeployKey, GENERATE_KEY, KeyAtForge, ROTATE_KEY, ROTATE_KEY_EVERY,
};
use ssh_key::{HashAlg, PublicKey};

use crate::gitconfig::is_same;
use crate::spec::Error;

/// The one algorithm that keys are generated for.
const ALGORITHM: &str = "ed25519";
/// How often keys change at most by themselves.
const SHORTEST: Duration = Duration::from_secs(3600);
/// The longest value of an annotation that is echoed.
const LONGEST: usize = 253;
/// How much of an object's name a title repeats. GitLab takes 255 characters in all.
pub(super) const NAMED: usize = 120;

/// What a GitRepository asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The Secret that the key is in.
    pub secret: ObjectName,
    /// Whether it is made where there is none.
    pub generates: bool,
    /// The provider plugin that puts it at the forge.
    pub provider: Option<ObjectName>,
    /// Whether it may push.
    pub writable: bool,
    /// For what it is made anew once.
    pub rotation: Option<String>,
    /// How old it gets.
    pub every: Option<Duration>,
}

impl Wish {
    /// Reads the annotations of an object whose repository is at `url`; None: its key, if it has one, is its own affair.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub fn parse(object: &GitRepository, url: &RemoteUrl) -> Result<Option<Self>, Error> {
        let annotations = object.metadata.annotations.as_ref();
        let said = |name: &str| annotations.and_then(|all| all.get(name));
        let generates = match said(GENERATE_KEY).map(String::as_str) {
            None => false,
            Some(ALGORITHM) => true,
            Some(_) => return Err(Error::invalid(GENERATE, "the algorithm is ed25519")),
        };
        let over_ssh = url.scheme() == Scheme::Ssh;
        if generates && !over_ssh {
            let why = "the key is for ssh, and spec.url is not";
            return Err(Error::invalid(GENERATE, why));
        }
        let (rotation, every) = (said(ROTATE_KEY).cloned(), said(ROTATE_KEY_EVERY));
        if !generates && (rotation.is_some() || every.is_some()) {
            let why = "only a key that is generated here is made anew: reeve.dev/generate-key asks for one";
            return Err(Error::invalid(ROTATE, why));
        }
        if rotation.as_ref().is_some_and(|value| value.len() > LONGEST) {
            return Err(Error::invalid(ROTATE, "it is longer than 253 bytes"));
        }
        let named = object.spec.secret_ref.as_ref();
        let provider = said(PROVIDER).filter(|_| over_ssh);
        let writable = is_to_push(object)
            .ok_or_else(|| Error::invalid(DEPLOY, "it is read-only or read-write"))?;
        if writable && (provider.is_none() || (!generates && named.is_none())) {
            let why = "nobody puts a key at the forge: name who does in reeve.dev/provider, for a URL of ssh, and a key in spec.secretRef, or have one made by reeve.dev/generate-key";
            return Err(Error::invalid(DEPLOY, why));
        }
        if !generates && (provider.is_none() || named.is_none()) {
            return Ok(None);
        }
        let provider = provider.map(|name| name.parse::<ObjectName>());
        let provider = provider.transpose().map_err(|why| {
            let field = "metadata.annotations[reeve.dev/provider]";
            Error::invalid(field, why)
        })?;
        Ok(Some(Self {
            secret: secret(object)?,
            generates,
            provider,
            writable,
            rotation,
            every: every.map(|text| old(text)).transpose()?,
        }))
    }
}

/// Whether its key is to push; None: nobody can say.
pub fn is_to_push(object: &GitRepository) -> Option<bool> {
    let annotations = object.metadata.annotations.as_ref();
    let said = annotations.and_then(|all| all.get(DEPLOY_KEY));
    match said.map(String::as_str) {
        None | Some(READ_ONLY) => Some(false),
        Some(READ_WRITE) => Some(true),
        Some(_) => None,
    }
}

const GENERATE: &str = "metadata.annotations[reeve.dev/generate-key]";
const ROTATE: &str = "metadata.annotations[reeve.dev/rotate-key]";
const DEPLOY: &str = "metadata.annotations[reeve.dev/deploy-key]";
/// What may be done with a key.
const READ_ONLY: &str = "read-only";
const READ_WRITE: &str = "read-write";
const EVERY: &str = "metadata.annotations[reeve.dev/rotate-key-every]";

/// The Secret of `spec.secretRef`, else one that is called after the object.
fn secret(object: &GitRepository) -> Result<ObjectName, Error> {
    let invalid = |why: NotAName| Error::invalid("spec.secretRef.name", why);
    if let Some(named) = &object.spec.secret_ref {
        return named.name.parse().map_err(invalid);
    }
    let name = object.metadata.name.as_deref().unwrap_or_default();
    ObjectName::new(format!("{name}-deploy-key")).map_err(invalid)
}

fn old(text: &str) -> Result<Duration, Error> {
    let read = text.parse::<reeve_api::duration::Duration>();
    let every = read.map_err(|why| Error::invalid(EVERY, why))?.get();
    if every < SHORTEST {
        return Err(Error::invalid(EVERY, "the shortest is 1h"));
    }
    Ok(every)
}

/// Whose key it is, and of which repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// What the cluster is called, if anybody says so.
    pub cluster: Option<String>,
    /// The GitRepository.
    pub id: NamespacedName,
    /// Where the repository is, without a user.
    pub repository: String,
    /// What others of the namespace, that stay, have there for the keys that they have in use, as they want it now.
    pub shared: BTreeSet<KeyAtForge>,
}

impl Site {
    /// A key at the forge. Its title is this key's alone, so that two of one object, or of two clusters, stand side by side. Who
    /// shares a key has the title that it has already, as recorded here or by the others; and it may push if one of them
    /// wants that.
    pub fn entry(&self, wish: &Wish, record: &DeployKey, public: &str) -> Option<KeyAtForge> {
        let provider = wish.provider.as_ref()?.to_string();
        let own = self.title(public);
        // Whoever has put it there, the forge knows it by that title.
        let has = |entry: &&KeyAtForge| {
            let same = self.is_same_key(&entry.title, &own);
            same && is_same(&entry.repository, &self.repository)
        };
        let others = || self.shared.iter().filter(has);
        let known = record.at_forge.iter().filter(has).chain(others());
        let title = known.map(|entry| entry.title.clone()).min();
        Some(KeyAtForge {
            title: title.unwrap_or_else(|| own.clone()),
            writable: wish.writable || others().any(|entry| entry.writable),
            repository: self.repository.clone(),
            provider,
        })
    }

    /// Whether others have it at the forge too, whatever may be done with it.
    fn shares(&self, entry: &KeyAtForge) -> bool {
        self.shared.iter().any(|other| is_one(other, entry))
    }

    fn title(&self, public: &str) -> String {
        let id: String = self.id.to_string().chars().take(NAMED).collect();
        format!("{} {id} {}", self.prefix(), fingerprint(public))
    }

    fn prefix(&self) -> String {
        match &self.cluster {
            Some(cluster) => format!("reeve {cluster}"),
            None => "reeve".to_owned(),
        }
    }

    /// Whether two titles are of one key of this cluster and namespace.
    fn is_same_key(&self, one: &str, other: &str) -> bool {
        let key = |title: &str| {
            let rest = title.strip_prefix(&self.prefix())?.strip_prefix(' ')?;
            let (id, key) = rest.split_once(' ')?;
            let (namespace, _) = id.split_once('/')?;
            (namespace == self.id.namespace.as_str()).then(|| key.to_owned())
        };
        key(one).is_some_and(|one| key(other) == Some(one))
    }
}

/// Whether a key of this title is one of an object of this namespace, on whatever cluster. A status may say otherwise, and who
/// writes it may be somebody else than who may remove keys.
pub fn is_within(title: &str, namespace: &NamespaceName) -> bool {
    let mut words = title.rsplit(' ');
    let (key, id) = (words.next(), words.next().unwrap_or_default());
    let named = id.split_once('/').map(|(of, _)| of);
    title.starts_with("reeve ")
        && key.is_some_and(|key| key.starts_with("SHA256:"))
        && named == Some(namespace.as_str())
}

/// Whether both are one key at one forge, in whichever spelling its repository was named and by whomever it was put there.
pub fn is_one(one: &KeyAtForge, other: &KeyAtForge) -> bool {
    one.title == other.title && is_same(&one.repository, &other.repository)
}

/// What is recorded to be at a repository's forge for the key that an object has in use: what it may share with others. Whether that
/// is to push is said by what the object `wants`: what is recorded comes of what others wanted, too, and two who shared a key
/// would hold each other to it.
pub fn in_use(
    record: &DeployKey,
    wants: Option<bool>,
    repository: &str,
) -> impl Iterator<Item = KeyAtForge> {
    let here = record
        .at_forge
        .iter()
        .filter(|entry| is_same(&entry.repository, repository));
    let here: Vec<&KeyAtForge> = here.collect();
    let public = record.public_key.as_deref().filter(|_| !here.is_empty());
    let key = public.map(fingerprint).filter(|key| !key.is_empty());
    let used = here.into_iter().filter(move |entry| {
        key.as_ref()
            .is_some_and(|key| entry.title.ends_with(&format!(" {key}")))
    });
    used.map(move |entry| KeyAtForge {
        writable: wants.unwrap_or(entry.writable),
        ..entry.clone()
    })
}

/// The fingerprint of a public key, as `ssh-keygen -l` prints it.
pub fn fingerprint(public: &str) -> String {
    match PublicKey::from_openssh(public) {
        Ok(key) => key.fingerprint(HashAlg::Sha256).to_string(),
        // Nothing that is put anywhere: the forge refuses it.
        Err(_) => String::new(),
    }
}

/// What a run has found and done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// The public half of the key in use.
    pub current: Option<String>,
    /// The public half of the one that is to follow it.
    pub next: Option<String>,
    /// What was put at the forge in this run.
    pub put: BTreeSet<KeyAtForge>,
    /// Whether the one that is to follow has opened the repository.
    pub proven: bool,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A pair is made and kept as the one in use.
    Make,
    /// A pair is made and kept beside the one in use.
    MakeNext,
    /// This public key is put at the forge.
    Put(KeyAtForge, String),
    /// The repository is asked with the key that is to follow.
    Prove,
    /// It takes the place of the one in use.
    Switch,
    /// This is taken away from its forge.
    Take(KeyAtForge),
    /// This is no longer wanted here, and others want it there.
    Leave(KeyAtForge),
    /// Nothing.
    Rest,
}

/// All that a step is decided from.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// What is asked for, if anything is.
    pub wish: Option<&'a Wish>,
    /// For whom.
    pub site: &'a Site,
    /// What is recorded.
    pub record: &'a DeployKey,
    /// What was found.
    pub facts: &'a Facts,
    /// Whether the forge is asked although it should be there: something does not work.
    pub look: bool,
    /// The time.
    pub now: Timestamp,
}

impl Case<'_> {
    /// What is to be done next.
    pub fn step(&self) -> Step {
        let wish = self.wish;
        if let Some(wish) = wish {
            let Some(current) = &self.facts.current else {
                return if wish.generates {
                    Step::Make
                } else {
                    Step::Rest
                };
            };
            // Forges change nothing of a key: in its own place it would be gone for a moment.
            let step = self.put(wish, current);
            if let Some(step) = step.filter(|_| !self.is_replaced(wish, current)) {
                return step;
            }
            match &self.facts.next {
                None if self.is_due(wish) => return Step::MakeNext,
                None => {}
                Some(next) => {
                    if let Some(step) = self.put(wish, next) {
                        return step;
                    }
                    return match self.facts.proven {
                        true => Step::Switch,
                        false => Step::Prove,
                    };
                }
            }
        }
        let used = wish.and_then(|wish| self.used(wish));
        let mut recorded = self.record.at_forge.iter();
        let is_used = |entry: &KeyAtForge| used.as_ref().is_some_and(|used| used.is(entry));
        let idle = recorded.find(|entry| !is_used(entry));
        // The key in use may be recorded under another spelling of its repository, or another provider.
        let stays = |entry: &KeyAtForge| {
            let by_another_name = used.as_ref().is_some_and(|used| is_one(used, entry));
            by_another_name || self.site.shares(entry)
        };
        idle.map_or(Step::Rest, |entry| match stays(entry) {
            true => Step::Leave(entry.clone()),
            false => Step::Take(entry.clone()),
        })
    }

    /// Whether a key that was generated may do something else at the forge than is wanted.
    fn is_replaced(&self, wish: &Wish, public: &str) -> bool {
        let entry = self.site.entry(wish, self.record, public);
        let mut recorded = self.record.at_forge.iter();
        let other = |entry: KeyAtForge| {
            recorded.any(|known| known.is(&entry) && known.writable != entry.writable)
        };
        wish.generates && entry.is_some_and(other)
    }

    fn put(&self, wish: &Wish, public: &str) -> Option<Step> {
        let entry = self.site.entry(wish, self.record, public)?;
        let recorded = self.record.at_forge.contains(&entry);
        let done = self.facts.put.contains(&entry) || (recorded && !self.look);
        (!done).then(|| Step::Put(entry, public.to_owned()))
    }

    /// Nobody could put another one at the forge without a provider.
    fn is_due(&self, wish: &Wish) -> bool {
        if !wish.generates || wish.provider.is_none() {
            return false;
        }
        let asked = wish.rotation.is_some() && wish.rotation != self.record.last_handled_rotation;
        let age = self.record.generated_at.as_ref();
        let age = age.map(|at| self.now.duration_since(at.0));
        let grown = |every: Duration| {
            let age = age.and_then(|age| Duration::try_from(age).ok());
            age.is_some_and(|age| age >= every)
        };
        let current = self.facts.current.as_deref();
        let replaced = current.is_some_and(|current| self.is_replaced(wish, current));
        asked || replaced || wish.every.is_some_and(grown)
    }

    fn used(&self, wish: &Wish) -> Option<KeyAtForge> {
        let public = self.facts.current.as_ref()?;
        self.site.entry(wish, self.record, public)
    }
}

#[cfg(test)]
mod tests;

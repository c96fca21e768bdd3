//! The deploy key of a GitRepository: made, put at the forge, put in another's place, taken away.
//!
//! A run asks for the next [`Step`], carries it out, and asks again. Every step is decided from what is there, so whoever was
//! stopped between two begins anew with the same one. Another key never takes the old one's place before it has opened the
//! repository, and the old one stays at the forge until then: between the two there is no moment without a key.
//!
//! ```text
//! Make      nothing in the Secret -> a pair
//! Put       not at the forge, as recorded -> under a title that is this key's alone
//! MakeNext  rotation is due -> a second pair beside the first
//! Put       the second one too
//! Prove     the repository is asked with it
//! Switch    the second pair in the place of the first
//! Take      what is recorded, and no longer in use
//! ```

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use reeve_api::PROVIDER;
use reeve_api::name::{NamespacedName, NotAName, ObjectName, RemoteUrl, Scheme};
use reeve_api::source::GitRepository;
use reeve_api::upkeep::{DeployKey, GENERATE_KEY, KeyAtForge, ROTATE_KEY, ROTATE_KEY_EVERY};
use ssh_key::{HashAlg, PublicKey};

use crate::spec::Error;

/// The one algorithm that keys are generated for.
const ALGORITHM: &str = "ed25519";
/// How often keys change at most by themselves.
const SHORTEST: Duration = Duration::from_secs(3600);
/// The longest value of an annotation that is echoed.
const LONGEST: usize = 253;
/// How much of an object's name a title repeats. GitLab takes 255 characters in all.
const NAMED: usize = 120;

/// What a GitRepository asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The Secret that the key is in.
    pub secret: ObjectName,
    /// Whether it is made where there is none.
    pub generates: bool,
    /// The provider plugin that puts it at the forge.
    pub provider: Option<ObjectName>,
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
            rotation,
            every: every.map(|text| old(text)).transpose()?,
        }))
    }
}

const GENERATE: &str = "metadata.annotations[reeve.dev/generate-key]";
const ROTATE: &str = "metadata.annotations[reeve.dev/rotate-key]";
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
}

impl Site {
    /// A key at the forge. Its title is this key's alone, so that two of one object, or of two clusters, stand side by side.
    pub fn entry(&self, provider: &ObjectName, public: &str) -> KeyAtForge {
        let cluster = self.cluster.as_ref();
        let cluster = cluster.map(|name| format!("{name} ")).unwrap_or_default();
        let id: String = self.id.to_string().chars().take(NAMED).collect();
        KeyAtForge {
            provider: provider.to_string(),
            repository: self.repository.clone(),
            title: format!("reeve {cluster}{id} {}", fingerprint(public)),
        }
    }
}

/// Whether a key of this title is one of this object, on whatever cluster. A status may say otherwise, and who writes it may be
/// somebody else than who may remove keys.
pub fn is_of(title: &str, id: &NamespacedName) -> bool {
    let id: String = id.to_string().chars().take(NAMED).collect();
    let of = format!(" {id} SHA256:");
    title.starts_with("reeve ") && title.contains(&of)
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
            if let Some(step) = self.put(wish, current) {
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
        let idle = recorded.find(|entry| Some(*entry) != used.as_ref());
        idle.map_or(Step::Rest, |entry| Step::Take(entry.clone()))
    }

    fn put(&self, wish: &Wish, public: &str) -> Option<Step> {
        let entry = self.site.entry(wish.provider.as_ref()?, public);
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
        asked || wish.every.is_some_and(grown)
    }

    fn used(&self, wish: &Wish) -> Option<KeyAtForge> {
        let public = self.facts.current.as_ref()?;
        Some(self.site.entry(wish.provider.as_ref()?, public))
    }
}

#[cfg(test)]
mod tests;

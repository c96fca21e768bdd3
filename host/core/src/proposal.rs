//! Pull requests of a source: for which of them it is planned what they would change, and what is told of it.
//!
//! What is told is made of [`Preview`]s, as `reeve diff` prints them: a comment ([`comment`]), and a mark beside the head that
//! can keep it from being merged ([`verdict`]). Planned is for requests towards the branch that the source follows, of forks only
//! where the source says so; and again only when the head, the branch, what is applied, or the rules that it is judged by are
//! others. It deliberately fetches, renders and asks nothing.

mod comment;

use reeve_api::PROVIDER;
use reeve_api::kustomization::Kustomization;
use reeve_api::name::{NamespacedName, ObjectName};
use reeve_api::source::GitRepository;
use reeve_api::upkeep::{COMMIT_STATUS, PULL_REQUEST_FORKS, PULL_REQUEST_PLAN};

use crate::failure::{Explained, Turn};
use crate::mark::{self, Mark, State};
use crate::preview::Preview;
use crate::spec::Error;
use crate::text::counted;

pub use comment::{comment, marker};

/// Of how many requests of a source it is planned: the first that the forge names.
pub const MOST: usize = 50;

const STATUS: &str = "metadata.annotations[reeve.dev/commit-status]";
const PLAN: &str = "metadata.annotations[reeve.dev/pull-request-plan]";
const FORKS: &str = "metadata.annotations[reeve.dev/pull-request-forks]";
const NAMED: &str = "metadata.annotations[reeve.dev/provider]";

/// What a GitRepository has told at its forge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// The provider plugin that tells it.
    pub provider: ObjectName,
    /// Whether what became of its commits is.
    pub marks: bool,
    /// Whether what pull requests would change is, and of which.
    pub plans: Option<Plans>,
}

/// Of which pull requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plans {
    /// Whether of forks' too.
    pub forks: bool,
}

impl Wish {
    /// Reads the annotations of an object; None: it has nothing told.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub fn parse(object: &GitRepository) -> Result<Option<Self>, Error> {
        let annotations = object.metadata.annotations.as_ref();
        let said = |name: &str| annotations.and_then(|all| all.get(name));
        let is = |name: &str, field, word: &str| match said(name) {
            None => Ok(false),
            Some(value) if value == word => Ok(true),
            Some(_) => Err(Error::invalid(
                field,
                format_args!("the one value is {word}"),
            )),
        };
        let marks = is(COMMIT_STATUS, STATUS, "enabled")?;
        let plans = is(PULL_REQUEST_PLAN, PLAN, "enabled")?;
        let forks = is(PULL_REQUEST_FORKS, FORKS, "allow")?;
        if forks && !plans {
            let why = "there are no plans without reeve.dev/pull-request-plan: enabled";
            return Err(Error::invalid(FORKS, why));
        }
        if !marks && !plans {
            return Ok(None);
        }
        let name = said(PROVIDER).ok_or_else(|| {
            let why = "somebody has to tell the forge: name a provider plugin in it";
            Error::invalid(NAMED, why)
        })?;
        let provider = name.parse().map_err(|why| Error::invalid(NAMED, why))?;
        Ok(Some(Self {
            provider,
            marks,
            plans: plans.then_some(Plans { forks }),
        }))
    }
}

/// A pull request that is open, as a forge tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its number.
    pub number: u64,
    /// The commit that it is at.
    pub head: String,
    /// The reference under which git finds that commit.
    pub reference: String,
    /// The branch that it is proposed for.
    pub base: String,
    /// Whether it comes from another repository.
    pub fork: bool,
}

/// Those that are planned: towards `branch`, and no fork's unless they are let; and how many more there would be.
pub fn chosen(all: Vec<Request>, branch: &str, plans: Plans) -> (Vec<Request>, usize) {
    let chosen = all.into_iter().filter(|request| {
        request.base == branch && (plans.forks || !request.fork) && request.is_sound()
    });
    let mut chosen: Vec<Request> = chosen.collect();
    let left = chosen.len().saturating_sub(MOST);
    chosen.truncate(MOST);
    (chosen, left)
}

impl Request {
    /// Whether it is a request's head that is to be fetched, and no other reference of the repository.
    fn is_sound(&self) -> bool {
        let number = self.number;
        let heads = [
            format!("refs/pull/{number}/head"),
            format!("refs/merge-requests/{number}/head"),
        ];
        let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        matches!(self.head.len(), 40 | 64)
            && self.head.bytes().all(hex)
            && heads.contains(&self.reference)
    }
}

/// What a plan is compared with: a Kustomization, and what it has applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// Which.
    pub id: NamespacedName,
    uid: Option<String>,
    generation: Option<i64>,
    /// The revision that it has applied.
    pub revision: Option<String>,
    rules: Rules,
}

/// A digest of the policies and plugins that a Kustomization is under: of others it is another.
pub type Rules = [u8; 32];

impl Live {
    /// Of an object as it is, under these rules.
    pub fn of(id: &NamespacedName, object: &Kustomization, rules: Rules) -> Self {
        let status = object.status.as_ref();
        Self {
            id: id.clone(),
            uid: object.metadata.uid.clone(),
            generation: object.metadata.generation,
            revision: status.and_then(|status| status.last_applied_revision.clone()),
            rules,
        }
    }

    /// Whether it is the same, under whatever rules.
    pub fn is_but_for_rules(&self, other: &Self) -> bool {
        let bare = |live: &Self| Self {
            rules: Rules::default(),
            ..live.clone()
        };
        bare(self) == bare(other)
    }
}

/// What a plan was made of: of anything else it is another plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The request.
    pub request: Request,
    /// What it was compared with.
    pub live: Vec<Live>,
}

impl Seen {
    /// Whether only the rules are others than they were.
    pub fn is_only_ruled_otherwise(&self, before: &Self) -> bool {
        let both = self.live.iter().zip(&before.live);
        let same = self.live.len() == before.live.len()
            && both
                .into_iter()
                .all(|(now, then)| now.is_but_for_rules(then));
        same && self.request == before.request && self != before
    }
}

/// What a request would change of one Kustomization, or why nobody can say so.
#[derive(Debug)]
pub struct Part {
    /// Which.
    pub id: NamespacedName,
    /// What is told of it.
    pub told: Result<Preview, Explained>,
}

impl Part {
    /// Whether another try may say more, without anybody having changed anything.
    pub fn may_pass(&self) -> bool {
        self.told.as_ref().is_err_and(passes)
    }
}

/// Whether it is nobody's fault who proposes something.
fn passes(why: &Explained) -> bool {
    match why.turn {
        Turn::Ours | Turn::Later(_) | Turn::Dependency | Turn::Source => true,
        Turn::Owner | Turn::OwnerOrPolicy | Turn::NextRevision | Turn::Retry => false,
    }
}

/// What stands beside the head: `success` only where all of it would be applied.
pub fn verdict(commit: &str, parts: &[Part]) -> Mark {
    let denied = |part: &Part| matches!(&part.told, Ok(told) if !told.denied.is_empty());
    let fails = |part: &Part| match &part.told {
        Ok(told) => !told.failed.is_empty(),
        Err(why) => !passes(why),
    };
    let first = |of: &dyn Fn(&Part) -> bool| parts.iter().find(|part| of(part));
    let (state, said) = if let Some(part) = first(&denied) {
        let said = format!("{}: denied by policy, nothing would be applied", part.id);
        (State::Failure, said)
    } else if let Some(part) = first(&fails) {
        (State::Failure, format!("{}: it would fail", part.id))
    } else if let Some(part) = first(&Part::may_pass) {
        let said = format!("{}: it cannot be said yet", part.id);
        (State::Error, said)
    } else {
        (State::Success, summary(parts))
    };
    Mark {
        commit: commit.to_owned(),
        state,
        description: mark::line(&said),
    }
}

/// What all of it comes to.
fn summary(parts: &[Part]) -> String {
    let told = || parts.iter().filter_map(|part| part.told.as_ref().ok());
    let changes: usize = told().map(|told| told.changes.len()).sum();
    let hooks: usize = told().map(|told| told.hooks.len()).sum();
    let mut all = Vec::new();
    if changes > 0 {
        let objects = counted(changes, "object", "objects");
        all.push(format!("{objects} would be changed"));
    }
    if hooks > 0 {
        all.push(format!("{} would run", counted(hooks, "hook", "hooks")));
    }
    if told().any(|told| told.waits.is_some()) {
        all.push("it would wait for confirmation".to_owned());
    }
    let not_compared: usize = told().map(|told| told.not_compared.len()).sum();
    if not_compared > 0 {
        all.push(format!("{not_compared} not compared"));
    }
    match all.is_empty() {
        true => "nothing would be changed".to_owned(),
        false => all.join(", "),
    }
}

/// What the marks of plans are called: `reeve/plan/prod/acme/shop`.
pub fn context(cluster: Option<&str>, source: &NamespacedName) -> String {
    match cluster {
        Some(cluster) => format!("reeve/plan/{cluster}/{source}"),
        None => format!("reeve/plan/{source}"),
    }
}

#[cfg(test)]
mod tests;

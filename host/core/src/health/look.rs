//! What a look at every object that has to be healthy showed, and what is said of it.
//!
//! The words are Flux's, as `flux get kustomizations` and people's alerts read them; behind each status stands what is
//! missing. What it deliberately doesn't: look again, or know how late it is.

use super::{Check, Verdict};

/// How many objects a message names.
const MOST_NAMED: usize = 20;
/// How many characters of what an object says about itself are told.
const MOST_WORDS: usize = 200;

/// Why what must come to its end has failed when there is no such object any more.
const UNSEEN: &str = "it was deleted before it was seen to have come to its end";

/// What a look at one object showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// It is there, and this is how it is.
    Is(Verdict),
    /// There is no such object.
    NotFound,
    /// It cannot be known; why.
    Unknown(String),
}

/// What looks at all of them come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// All are well.
    Well,
    /// Some are not well yet.
    Waiting,
    /// One has failed, and won't get well by waiting.
    Stalled,
}

impl Seen {
    /// Whether the object that `check` is about is well.
    pub fn is_well(&self, check: &Check) -> bool {
        match self {
            Self::Is(verdict) => verdict.is_current(),
            Self::NotFound => check.may_vanish,
            Self::Unknown(_) => false,
        }
    }

    /// Why it has failed, if it has.
    pub fn failure(&self) -> Option<&str> {
        match self {
            Self::Is(Verdict::Failed(why)) => Some(why),
            _ => None,
        }
    }

    /// Why the object that `check` is about has failed, if it has. What must come to its end was there, and is never made again
    /// for that.
    pub fn failure_of(&self, check: &Check) -> Option<&str> {
        match self {
            Self::NotFound if check.ends => Some(UNSEEN),
            _ => self.failure(),
        }
    }

    /// The status as Flux spells it, and what is missing.
    pub(crate) fn words(&self) -> (&'static str, &str) {
        match self {
            Self::Is(Verdict::Current) => ("Current", ""),
            Self::Is(Verdict::InProgress(why)) => ("InProgress", why),
            Self::Is(Verdict::Failed(why)) => ("Failed", why),
            Self::Is(Verdict::Terminating) => ("Terminating", ""),
            Self::NotFound => ("NotFound", ""),
            Self::Unknown(why) => ("Unknown", why),
        }
    }
}

/// What these looks come to.
pub fn standing<'a>(looks: impl IntoIterator<Item = (&'a Check, &'a Seen)>) -> Standing {
    let mut all = Standing::Well;
    for (check, seen) in looks {
        if seen.failure_of(check).is_some() {
            return Standing::Stalled;
        }
        if !seen.is_well(check) {
            all = Standing::Waiting;
        }
    }
    all
}

/// What is said when one has failed.
pub fn stalled<'a>(looks: impl IntoIterator<Item = (&'a Check, &'a Seen)>) -> String {
    let failed = looks
        .into_iter()
        .filter(|(check, seen)| seen.failure_of(check).is_some());
    format!("failed early due to stalled resources: [{}]", list(failed))
}

/// What is said when time is up.
pub fn late<'a>(looks: impl IntoIterator<Item = (&'a Check, &'a Seen)>) -> String {
    format!("timeout waiting for: [{}]", unwell(looks))
}

/// Those that are not well, each with what is missing.
pub fn unwell<'a>(looks: impl IntoIterator<Item = (&'a Check, &'a Seen)>) -> String {
    let unwell = looks.into_iter();
    list(unwell.filter(|(check, seen)| !seen.is_well(check)))
}

fn list<'a>(looks: impl Iterator<Item = (&'a Check, &'a Seen)>) -> String {
    let mut told = Vec::new();
    let mut more = 0;
    for (check, seen) in looks {
        if told.len() == MOST_NAMED {
            more += 1;
            continue;
        }
        let (status, why) = seen.words();
        let why = seen.failure_of(check).unwrap_or(why);
        let subject = check.entry.id.subject();
        let why: String = why.chars().take(MOST_WORDS).collect();
        told.push(match why.is_empty() {
            true => format!("{subject} status: '{status}'"),
            false => format!("{subject} status: '{status}': {why}"),
        });
    }
    if more > 0 {
        told.push(format!("and {more} more"));
    }
    told.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::{Entry, ObjectId};

    fn check(kind: &str, name: &str) -> Check {
        Check {
            entry: Entry {
                id: ObjectId {
                    namespace: "acme".into(),
                    name: name.into(),
                    group: "apps".into(),
                    kind: kind.into(),
                },
                version: "v1".into(),
            },
            may_vanish: kind == "Job",
            ends: false,
            leaves: None,
            judge: None,
        }
    }

    fn waiting(why: &str) -> Seen {
        Seen::Is(Verdict::InProgress(why.into()))
    }

    #[test]
    fn all_must_be_well_and_one_that_failed_ends_it() {
        let (web, job) = (check("Deployment", "web"), check("Job", "seed"));
        let well = Seen::Is(Verdict::Current);
        let failed = Seen::Is(Verdict::Failed("backoff".into()));
        for (first, second, want) in [
            (&well, &well, Standing::Well),
            (&well, &Seen::NotFound, Standing::Well),
            (&Seen::NotFound, &well, Standing::Waiting),
            (&well, &waiting("x"), Standing::Waiting),
            (&well, &Seen::Unknown("x".into()), Standing::Waiting),
            (&well, &Seen::Is(Verdict::Terminating), Standing::Waiting),
            (&waiting("x"), &failed, Standing::Stalled),
        ] {
            let told = standing([(&web, first), (&job, second)]);
            assert_eq!(told, want, "{first:?}, {second:?}");
        }
    }

    #[test]
    fn what_must_come_to_its_end_and_is_gone_has_failed_at_once() {
        let hook = Check {
            ends: true,
            may_vanish: false,
            ..check("Job", "migrate")
        };
        let looks = [(&hook, &Seen::NotFound)];
        assert_eq!(standing(looks), Standing::Stalled);
        assert_eq!(
            stalled(looks),
            "failed early due to stalled resources: [Job/acme/migrate status: 'NotFound': \
             it was deleted before it was seen to have come to its end]"
        );
    }

    #[test]
    fn each_object_is_named_with_its_status_and_what_is_missing() {
        let (web, job, gone) = (
            check("Deployment", "web"),
            check("Job", "seed"),
            check("Deployment", "gone"),
        );
        let failed = Seen::Is(Verdict::Failed("the job failed: backoff".into()));
        let waits = waiting("0 of 1 replicas ready");
        let looks = [(&web, &waits), (&job, &failed), (&gone, &Seen::NotFound)];
        assert_eq!(
            stalled(looks),
            "failed early due to stalled resources: [Job/acme/seed status: 'Failed': the job failed: backoff]"
        );
        assert_eq!(
            late(looks),
            "timeout waiting for: [Deployment/acme/web status: 'InProgress': 0 of 1 replicas ready, \
             Job/acme/seed status: 'Failed': the job failed: backoff, Deployment/acme/gone status: 'NotFound']"
        );
    }

    #[test]
    fn a_thousand_objects_are_not_all_named() {
        let checks: Vec<Check> = (0..1000)
            .map(|n| check("Deployment", &format!("web-{n}")))
            .collect();
        let seen = waiting(&"ä".repeat(10_000));
        let told = late(checks.iter().map(|check| (check, &seen)));
        assert!(told.ends_with(", and 980 more]"), "{told}");
        assert!(told.len() < 12_000, "{}", told.len());
    }
}

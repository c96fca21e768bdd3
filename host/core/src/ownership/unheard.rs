//! Who has not said whether they want what another would delete, and how that is told.
//!
//! It deliberately doesn't find them (the shell does, who knows what is in the cluster), nor decide what waits for them:
//! `caution` does.

use std::fmt;

use reeve_api::name::NamespacedName;

use crate::failure::Turn;
use crate::list;

/// How many are named.
const NAMED: usize = 10;

/// How much is known of what a Kustomization holds in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    /// All of it.
    Said,
    /// A run has ended and got to no plan: the next one need not get there either.
    Silent,
    /// A run is about to plan.
    Pending,
}

/// A Kustomization of which it is not known whether it wants what another would delete.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unheard {
    /// Which one.
    pub who: NamespacedName,
    /// Why it is not known.
    pub how: How,
}

/// Why it is not known what somebody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// It is about to say.
    Pending,
    /// Its manifests cannot be planned as they are now.
    Silent,
    /// The same, and it waits for the one that deletes to be ready: until then it need not be possible to plan it.
    Dependent,
    /// It is suspended, and its source has moved on.
    Suspended,
    /// It is in the manifests of another, and yet to be applied like that.
    Coming,
    /// Who applies it is about to say which Kustomizations there are.
    Above,
    /// Who applies it, from the same source, cannot say so.
    SilentAbove,
}

impl Unheard {
    /// Whether it is worth a moment to wait for it within a run.
    pub fn is_soon(&self) -> bool {
        match self.how {
            How::Pending | How::Coming | How::Above => true,
            How::Silent | How::Dependent | How::Suspended | How::SilentAbove => false,
        }
    }
}

impl fmt::Display for Unheard {
    /// Who applies somebody is not named: it may be another's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = &self.who;
        match self.how {
            How::Pending => write!(f, "Kustomization {who} (about to be planned)"),
            How::Silent => write!(
                f,
                "Kustomization {who} (its manifests of now could not be planned: look at its condition Ready)"
            ),
            How::Dependent => write!(
                f,
                "Kustomization {who} (its manifests of now could not be planned: it depends on this one)"
            ),
            How::Suspended => write!(
                f,
                "Kustomization {who} (suspended, and its source has moved on)"
            ),
            How::Coming => write!(f, "Kustomization {who} (yet to be applied as it is in git)"),
            How::Above => write!(f, "who applies Kustomization {who} (about to be planned)"),
            How::SilentAbove => write!(
                f,
                "who applies Kustomization {who} (its manifests of now could not be planned)"
            ),
        }
    }
}

/// All of them, named.
pub fn words(unheard: &[Unheard]) -> String {
    list::in_part(unheard.iter().map(ToString::to_string), NAMED, ", ")
}

/// Whether all there are wait for the one that deletes: it has to be ready first, and deletes afterwards.
pub fn are_dependent(unheard: &[Unheard]) -> bool {
    !unheard.is_empty() && unheard.iter().all(|one| one.how == How::Dependent)
}

/// Whose turn it is while they are waited for: they wake who waits when they have said it.
pub fn turn(unheard: &[Unheard]) -> Turn {
    match unheard.iter().any(Unheard::is_soon) {
        true => Turn::Ours,
        false => Turn::Retry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unheard(how: How) -> Unheard {
        let who = "acme/b".parse().unwrap();
        Unheard { who, how }
    }

    #[test]
    fn who_waits_for_this_one_is_waited_for_beside_nobody_else() {
        let (dependent, silent) = (unheard(How::Dependent), unheard(How::Silent));
        assert!(are_dependent(&[dependent.clone(), dependent.clone()]));
        assert!(!are_dependent(&[dependent, silent]) && !are_dependent(&[]));
    }

    #[test]
    fn who_is_about_to_say_is_waited_for_and_who_cannot_is_tried_again() {
        let (pending, silent) = (unheard(How::Pending), unheard(How::Silent));
        assert_eq!(turn(std::slice::from_ref(&silent)), Turn::Retry);
        assert_eq!(turn(&[silent.clone(), pending.clone()]), Turn::Ours);
        assert_eq!(
            words(&[pending, silent]),
            "Kustomization acme/b (about to be planned), Kustomization acme/b (its manifests of now could not be planned: look at its condition Ready)"
        );
        let above = words(&[unheard(How::Above)]);
        assert!(
            above.starts_with("who applies Kustomization acme/b"),
            "{above}"
        );
    }
}

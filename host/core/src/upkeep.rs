//! What is kept at a forge for an object: what is there, what should be, and so what is to be done next.
//!
//! Deploy keys follow GitRepositories ([`key`]), webhooks follow Receivers ([`hook`]). What was made is recorded in the object's
//! status before it is made, and only what is recorded there is ever removed. What it deliberately doesn't: speak to a
//! forge (a provider plugin says how, the shell's `forge` does it), read a Secret, or make a key.

pub mod hook;
pub mod key;

use std::time::Duration;

use reeve_api::reason::Reason;

/// How long a forge is tried, by one process, before an object is let go although something of it is left there.
const PATIENCE: Duration = Duration::from_secs(5 * 60);
/// The same where nobody is left who could ask: the plugin, its Secret or its account went before the object.
const FORLORN: Duration = Duration::from_secs(30);
/// How soon it is tried again, and how seldom at last.
const SOONEST: Duration = Duration::from_secs(2);
const LATEST: Duration = Duration::from_secs(30);

/// What becomes of an object that is being deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parting {
    /// It goes: nothing of it is left.
    Go,
    /// It goes, and what is left is told.
    Leave,
    /// It stays so long, and is tried again.
    Again(Duration),
}

/// Whether an object goes, of which some things could not be removed, for these reasons, for as long as was `tried`.
pub fn part(left: &[Reason], tried: Duration) -> Parting {
    let patience = |why: &Reason| match why {
        // Whoever wants it gone at once suspends it.
        Reason::Suspended => Duration::ZERO,
        Reason::PluginNotFound | Reason::AuthenticationFailed | Reason::AccessDenied => FORLORN,
        _ => PATIENCE,
    };
    match left.iter().map(patience).max() {
        None => Parting::Go,
        Some(most) if tried >= most => Parting::Leave,
        Some(_) => Parting::Again((tried / 4).clamp(SOONEST, LATEST)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forge_that_is_gone_for_good_keeps_no_object() {
        let (gone, failed) = (Reason::PluginNotFound, Reason::PluginFailed);
        let seconds = Duration::from_secs;
        let rows: [(&[Reason], u64, Parting); 10] = [
            (&[], 0, Parting::Go),
            (&[], 9_999, Parting::Go),
            (&[failed], 0, Parting::Again(seconds(2))),
            (&[failed], 60, Parting::Again(seconds(15))),
            (&[failed], 299, Parting::Again(seconds(30))),
            (&[failed], 300, Parting::Leave),
            (&[gone], 28, Parting::Again(seconds(7))),
            (&[gone], 30, Parting::Leave),
            (&[gone, failed], 32, Parting::Again(seconds(8))),
            (&[Reason::Suspended], 0, Parting::Leave),
        ];
        for (left, tried, want) in rows {
            assert_eq!(part(left, seconds(tried)), want, "{left:?} after {tried} s");
        }
    }
}

//! What is kept at a forge for an object: what is there, what should be, and so what is to be done next.
//!
//! Deploy keys follow GitRepositories ([`key`]), webhooks follow Receivers ([`hook`]). What was made is recorded in the object's
//! status before it is made, and only what is recorded there is ever removed. What it deliberately doesn't: speak to a
//! forge (a provider plugin says how, the shell's `forge` does it), read a Secret, or make a key.

pub mod hook;
pub mod key;
pub mod remains;
pub mod stray;

use std::time::Duration;

use reeve_api::reason::Reason;

use crate::failure::Turn;

/// How long a forge is tried, by one process, before an object is let go although something of it is left there.
const PATIENCE: Duration = Duration::from_secs(5 * 60);
/// The same where nobody is left who could ask: the plugin, its Secret or its account went before the object.
const FORLORN: Duration = Duration::from_secs(30);
/// How long one that asks us to wait is waited for beside that: their limits are by the hour.
const PAUSED: Duration = Duration::from_secs(2 * 60 * 60);
/// How soon it is tried again, and how seldom at last.
const SOONEST: Duration = Duration::from_secs(2);
const LATEST: Duration = Duration::from_secs(30);
/// The same where we are asked to wait.
const LATEST_PAUSED: Duration = Duration::from_secs(5 * 60);

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

/// How long it was tried to take away what is left of an object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tried {
    /// While it could be tried.
    pub tried: Duration,
    /// While its forge had asked us to wait: nothing is tried then.
    pub paused: Duration,
    /// Whether it had, when that was last looked at.
    pub pauses: bool,
}

impl Tried {
    /// So much later there is this left.
    #[must_use]
    pub fn later(self, passed: Duration, left: &[(Reason, Turn)]) -> Self {
        let (tried, paused) = match self.pauses {
            true => (Duration::ZERO, passed),
            false => (passed, Duration::ZERO),
        };
        Self {
            tried: self.tried.saturating_add(tried),
            paused: self.paused.saturating_add(paused),
            pauses: left.iter().any(|(_, turn)| matches!(turn, Turn::Later(_))),
        }
    }
}

/// Whether an object goes, of which some things could not be removed, for these reasons, for as long as was tried.
pub fn part(left: &[(Reason, Turn)], been: Tried) -> Parting {
    let patience = |why: Reason| match why {
        // Whoever wants it gone at once suspends it.
        Reason::Suspended => Duration::ZERO,
        Reason::PluginNotFound | Reason::AuthenticationFailed | Reason::AccessDenied => FORLORN,
        _ => PATIENCE,
    };
    let again = left.iter().filter_map(|(why, turn)| match turn {
        Turn::Later(wait) => (been.paused < PAUSED).then(|| (*wait).clamp(SOONEST, LATEST_PAUSED)),
        _ => (been.tried < patience(*why)).then(|| (been.tried / 4).clamp(SOONEST, LATEST)),
    });
    match (left, again.min()) {
        ([], _) => Parting::Go,
        (_, Some(pause)) => Parting::Again(pause),
        (_, None) => Parting::Leave,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn tried(seconds: u32) -> Tried {
        Tried {
            tried: SECOND * seconds,
            ..Tried::default()
        }
    }

    #[test]
    fn a_forge_that_is_gone_for_good_keeps_no_object() {
        let gone = (Reason::PluginNotFound, Turn::Retry);
        let failed = (Reason::PluginFailed, Turn::Ours);
        let rows = [
            (&[][..], 0, Parting::Go),
            (&[], 9_999, Parting::Go),
            (&[failed], 0, Parting::Again(SECOND * 2)),
            (&[failed], 60, Parting::Again(SECOND * 15)),
            (&[failed], 299, Parting::Again(SECOND * 30)),
            (&[failed], 300, Parting::Leave),
            (&[gone], 28, Parting::Again(SECOND * 7)),
            (&[gone], 30, Parting::Leave),
            (&[gone, failed], 32, Parting::Again(SECOND * 8)),
            (&[(Reason::Suspended, Turn::Owner)], 0, Parting::Leave),
        ];
        for (left, so_long, want) in rows {
            assert_eq!(part(left, tried(so_long)), want, "{left:?} {so_long} s");
        }
    }

    #[test]
    fn a_forge_that_asks_us_to_wait_was_not_tried_meanwhile() {
        let failed = (Reason::PluginFailed, Turn::Ours);
        let limited = (Reason::PluginFailed, Turn::Later(SECOND * 60));
        let hour = SECOND * 3600;
        let been = Tried::default().later(Duration::ZERO, &[limited]);
        let been = been.later(hour, &[limited, failed]);
        assert_eq!((been.tried, been.paused), (Duration::ZERO, hour));
        assert_eq!(part(&[limited], been), Parting::Again(SECOND * 60));
        // It could be asked, and failed: that counts from here.
        let been = been
            .later(hour / 2, &[failed])
            .later(SECOND * 200, &[failed]);
        assert_eq!((been.tried, been.paused), (SECOND * 200, hour * 3 / 2));
        assert_eq!(part(&[failed], been), Parting::Again(LATEST));
        assert_eq!(
            part(&[failed], been.later(SECOND * 100, &[failed])),
            Parting::Leave
        );
        // One that goes on asking keeps no object for good.
        let been = been.later(SECOND, &[limited]).later(hour, &[limited]);
        assert_eq!(part(&[limited], been), Parting::Leave);
        // However long it asks for, it is looked after now and then.
        let long = (Reason::PluginFailed, Turn::Later(hour));
        assert_eq!(part(&[long], tried(0)), Parting::Again(LATEST_PAUSED));
    }
}

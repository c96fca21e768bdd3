//! Which replica works for which tenant, when several share the work.
//!
//! Each replica holds one of a few places, and publishes there which places it takes for held: its view. Of a view each share
//! of the work has one owner, by rendezvous hashing, so that somebody who comes takes from each what is to be his, and who
//! goes leaves to each a part. Views differ while somebody comes or goes, so nobody begins on his own view alone: he publishes
//! it, looks at what the others have published after that, and begins with what none of them claims. Of two who claim
//! the same, at least one has looked after the other had published. Who gives a share up has let go of it before he
//! publishes the view in which it is no longer his. It deliberately knows no clock and no Lease: who holds a place is told.

mod map;

use std::collections::{BTreeMap, BTreeSet};

pub use map::Map;

/// How many places there are.
pub const PLACES: u16 = 32;
/// The share that is nobody's tenant: Policies, what is the platform's own. No tenant is called so.
pub const PLATFORM: &str = "/platform";

/// The places that somebody takes for held.
pub type View = BTreeSet<u16>;

/// One who holds a place: a place that changes hands is another's, by its term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// The place.
    pub place: u16,
    /// How often it has changed hands.
    pub term: i64,
}

/// What a member has published.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claim {
    /// By which view it works. Who works for nobody has an empty one.
    pub view: View,
    /// Whose each namespace is, as far as it has let go of what is no longer its own.
    pub tenants: u64,
}

impl Claim {
    /// Whether whoever holds `place` claims the share.
    pub fn has(&self, place: u16, share: &str) -> bool {
        claims(&self.view, place, share)
    }
}

/// Another member, and what it has published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Other {
    /// Who it is.
    pub member: Member,
    /// What it claims.
    pub claim: Claim,
}

/// Which of these places has the share.
pub fn owner(view: &View, share: &str) -> Option<u16> {
    let of = fnv(share.as_bytes());
    let score = |place: u16| mix(of ^ mix(u64::from(place).wrapping_add(1)));
    view.iter()
        .copied()
        .max_by_key(|place| (score(*place), *place))
}

fn claims(view: &View, place: u16, share: &str) -> bool {
    owner(view, share) == Some(place)
}

/// How one member stands among the others.
#[derive(Debug, Clone)]
pub struct Standing {
    me: u16,
    /// What it has published.
    published: View,
    /// What it is about to publish: nobody can say whether it has yet.
    sent: Option<View>,
    /// Who is there, as it was last seen.
    wanted: View,
    /// Whether the others were looked at since it was published.
    looked: bool,
    /// Who claimed what when they were, and every view that they have published since: what is in all of them is not
    /// ours yet.
    others: BTreeMap<Member, Vec<View>>,
}

impl Standing {
    /// One who holds this place, and has published nothing.
    pub fn new(me: u16) -> Self {
        Self {
            me,
            published: View::new(),
            sent: None,
            wanted: View::new(),
            looked: false,
            others: BTreeMap::new(),
        }
    }

    /// Whether work for the share may begin now.
    pub fn may_begin(&self, share: &str) -> bool {
        self.looked && self.keeps(share) && !self.is_anothers(share)
    }

    /// Whether work for the share that has begun may go on, as far as views go.
    pub fn keeps(&self, share: &str) -> bool {
        let has = |view: &View| claims(view, self.me, share);
        has(&self.published) && self.is_wanted(share) && self.sent.as_ref().is_none_or(has)
    }

    /// Whether the share is to be ours, now or soon.
    pub fn is_wanted(&self, share: &str) -> bool {
        claims(&self.wanted, self.me, share)
    }

    /// What is to be published as soon as all is let go of that it does not claim; None while that is what was, or while
    /// nobody knows whether the last one was.
    pub fn to_publish(&self) -> Option<&View> {
        let news = self.sent.is_none() && self.published != self.wanted;
        news.then_some(&self.wanted)
    }

    /// Whether work for the share may go on once `view` is published.
    pub fn survives(&self, view: &View, share: &str) -> bool {
        claims(view, self.me, share)
    }

    /// Who is there, as it was last seen.
    pub fn wanted(&self) -> &View {
        &self.wanted
    }

    /// What is published, or about to be.
    pub fn claimed(&self) -> &View {
        self.sent.as_ref().unwrap_or(&self.published)
    }

    /// The view is on its way: nothing begins from now on that it doesn't claim.
    pub fn sending(&mut self, view: View) {
        self.sent = Some(view);
    }

    /// What was seen after `published` was: who else is there, and what they claim. `may_work`: whether anybody may.
    pub fn saw(&mut self, published: &View, others: &[Other], may_work: bool) {
        if self.published != *published {
            self.published.clone_from(published);
            self.looked = false;
        }
        if self.sent.as_ref() == Some(published) {
            self.sent = None;
        }
        match self.looked {
            false => {
                let all = others
                    .iter()
                    .map(|one| (one.member, one.claim.view.clone()));
                self.others = all.map(|(who, view)| (who, vec![view])).collect();
                self.looked = true;
            }
            true => self.see_again(others),
        }
        self.wanted.clear();
        if may_work {
            self.wanted
                .extend(others.iter().map(|one| one.member.place));
            self.wanted.insert(self.me);
        }
    }

    /// Who is gone claims nothing, and who came since has seen what we claim.
    fn see_again(&mut self, others: &[Other]) {
        self.others.retain(|who, views| {
            let Some(now) = others.iter().find(|one| one.member == *who) else {
                return false;
            };
            if views.last() != Some(&now.claim.view) {
                views.push(now.claim.view.clone());
            }
            true
        });
    }

    fn is_anothers(&self, share: &str) -> bool {
        let mut others = self.others.iter();
        others.any(|(who, views)| views.iter().all(|view| claims(view, who.place, share)))
    }
}

/// The same in every build, as two builds share the work during an upgrade.
fn fnv(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// The finaliser of splitmix64.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests;

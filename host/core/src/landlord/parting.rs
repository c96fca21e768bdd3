//! What goes with a Tenant that is deleted, and what waits for somebody to say yes.
//!
//! First what delivers, since what it applied is deleted as the tenant's account; then the rights; then, once each is confirmed,
//! the namespaces that the landlord has made. What was there before it stays: namespaces that were adopted, and the accounts in
//! them. Nobody keeps the rights by keeping what delivers, nor by making more of it: what was there when the Tenant was deleted is waited
//! for, while the controller has something to delete with it, and not for ever. It deliberately deletes nothing: who does is `reeve::landlord`'s.

use jiff::{SignedDuration, Timestamp};
use reeve_api::name::{NamespaceName, TenantName};
use reeve_api::tenant::{DeletionPolicy, Departure, Tenant};
use reeve_api::{FINALIZER, LANDLORD_FINALIZER};

use super::{Made, Seen};

/// How long something that delivers is waited for once it is deleted: long enough for people to mend what keeps it.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60 * 60);
/// How many of the things that are left are named.
const NAMED: usize = 3;

/// Whether the Tenant is being deleted.
pub fn is_leaving(tenant: &Tenant) -> bool {
    tenant.metadata.deletion_timestamp.is_some()
}

/// Whether what was made of it goes with it.
pub fn takes_along(tenant: &Tenant) -> bool {
    tenant.spec.deletion_policy == DeletionPolicy::Delete
}

/// Whether the Tenant waits for the landlord when it is deleted.
pub fn is_held(tenant: &Tenant) -> bool {
    let mut held = tenant.metadata.finalizers.iter().flatten();
    held.any(|one| one == LANDLORD_FINALIZER)
}

/// The finalizers that the Tenant is to have; None: those that it has.
pub fn finalizers(tenant: &Tenant, held: bool) -> Option<Vec<String>> {
    if is_held(tenant) == held {
        return None;
    }
    let others = tenant.metadata.finalizers.iter().flatten();
    let others = others.filter(|one| *one != LANDLORD_FINALIZER);
    let own = held.then(|| LANDLORD_FINALIZER.to_owned());
    Some(others.cloned().chain(own).collect())
}

/// What is deleted in one of the namespaces, in this order, once nothing is delivered there any more. What fences a namespace that
/// the landlord has made stays for as long as there is something in it, and goes with it.
pub fn within(seen: &Seen) -> &'static [Made] {
    match seen.made {
        true => &[Made::RoleBinding, Made::Role],
        false => &[
            Made::RoleBinding,
            Made::Role,
            Made::ResourceQuota,
            Made::LimitRange,
            Made::NetworkPolicy,
        ],
    }
}

/// A moment while a Tenant goes: what is waited for then, before the rights go.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    now: Timestamp,
    /// Since when the Tenant is being deleted.
    began: Option<Timestamp>,
}

impl Moment {
    /// This moment of a Tenant.
    pub fn of(tenant: &Tenant, now: Timestamp) -> Self {
        let began = tenant.metadata.deletion_timestamp.as_ref();
        Self {
            now,
            began: began.map(|at| at.0),
        }
    }

    /// Whether something that delivers is waited for: as long as the controller has not let go of it, which it does when what was
    /// applied is gone. What others hold on to it for is not for the account's rights to wait for, nor is what was `made` when the
    /// Tenant was deleted already: who may make one may make another for each that goes. `since` when it is deleted counts and not
    /// since when the Tenant is, so that a landlord that was away does not let go of what it has only just deleted.
    pub fn awaits(
        self,
        finalizers: &[String],
        made: Option<Timestamp>,
        since: Option<Timestamp>,
    ) -> bool {
        let is_newer = made.zip(self.began).is_some_and(|(it, began)| it > began);
        if is_newer {
            return false;
        }
        let Some(since) = since else { return true };
        let ours = finalizers.iter().any(|one| one == FINALIZER);
        ours && self.now.duration_since(since) < PATIENCE
    }

    /// Whether what delivers is waited for where it cannot be looked at or deleted: whoever makes more than can be looked at, or the same
    /// anew each time, may be why.
    pub fn awaits_unseen(self) -> bool {
        self.began
            .is_some_and(|began| self.now.duration_since(began) < PATIENCE)
    }
}

/// How something is told that is on its way, with who holds it.
pub fn left(what: &str, finalizers: &[String]) -> String {
    match finalizers {
        [] => what.to_owned(),
        held => format!("{what} (held by {})", held.join(", ")),
    }
}

/// What becomes of one of the namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was there before, or is another's: it stays.
    Stays,
    /// Somebody has to confirm that it may go.
    Waits,
    /// It is deleted.
    Goes,
    /// It is being deleted.
    Going,
}

/// What becomes of a namespace of a Tenant with this uid.
pub fn fate(name: &TenantName, uid: &str, seen: &Seen) -> Fate {
    let own = seen.tenant() == Some(name.as_str());
    match seen.confirmed.as_deref() {
        _ if !own || !seen.made => Fate::Stays,
        _ if seen.going => Fate::Going,
        Some(confirmed) if !uid.is_empty() && confirmed == uid => Fate::Goes,
        _ => Fate::Waits,
    }
}

/// What is told of a Tenant that goes, while there is something to wait for: namespaces that somebody has to confirm, what else is
/// still there, and what is waited for no more.
pub fn told(
    name: &TenantName,
    waiting: Vec<NamespaceName>,
    left: &[String],
    behind: &[String],
) -> Departure {
    let mut message = if waiting.is_empty() {
        format!(
            "what was made of it is being deleted: {} of it are left: {}",
            left.len(),
            named(left)
        )
    } else {
        let names: Vec<&str> = waiting.iter().map(NamespaceName::as_str).collect();
        format!(
            "its namespaces wait for a confirmation: {}; `reeve tenant remove {name} --confirm` has them deleted with all that is in them, and spec.deletionPolicy Orphan lets them stay",
            names.join(", ")
        )
    };
    if !behind.is_empty() {
        message += &format!("; waited for no more: {}", named(behind));
    }
    Departure {
        message,
        namespaces: waiting,
    }
}

fn named(all: &[String]) -> String {
    let shown: Vec<&str> = all.iter().take(NAMED).map(String::as_str).collect();
    let shown = shown.join(", ");
    match all.len().saturating_sub(NAMED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reeve_api::{CONFIRM_DELETE, MADE_BY, TENANT_LABEL};
    use serde_json::json;
    use std::collections::BTreeMap;

    fn seen(whose: &str, annotations: &[(&str, &str)], going: bool) -> Seen {
        let owned = |all: &[(&str, &str)]| -> BTreeMap<String, String> {
            let all = all.iter();
            all.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect()
        };
        Seen::new(owned(&[(TENANT_LABEL, whose)]), &owned(annotations), going)
    }

    #[test]
    fn a_namespace_goes_only_when_it_was_made_and_somebody_has_confirmed_it_for_this_tenant() {
        let acme: TenantName = "acme".parse().unwrap();
        let confirmed = (CONFIRM_DELETE, "uid-2");
        for (there, want) in [
            (seen("acme", &[MADE_BY, confirmed], false), Fate::Goes),
            (seen("acme", &[MADE_BY], false), Fate::Waits),
            (
                seen("acme", &[MADE_BY, (CONFIRM_DELETE, "uid-1")], false),
                Fate::Waits,
            ),
            (
                seen("acme", &[MADE_BY, (CONFIRM_DELETE, "")], false),
                Fate::Waits,
            ),
            (seen("acme", &[MADE_BY], true), Fate::Going),
            (seen("acme", &[confirmed], false), Fate::Stays),
            (
                seen("acme", &[(MADE_BY.0, "me"), confirmed], false),
                Fate::Stays,
            ),
            (seen("other", &[MADE_BY, confirmed], false), Fate::Stays),
            (Seen::default(), Fate::Stays),
        ] {
            assert_eq!(fate(&acme, "uid-2", &there), want, "{there:?}");
        }
        let nobodys = seen("acme", &[MADE_BY, (CONFIRM_DELETE, "")], false);
        assert_eq!(fate(&acme, "", &nobodys), Fate::Waits);
    }

    #[test]
    fn a_tenant_is_held_by_one_finalizer_beside_those_of_others() {
        let tenant = |finalizers: serde_json::Value| -> Tenant {
            serde_json::from_value(json!({
                "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant",
                "metadata": {"name": "acme", "finalizers": finalizers},
                "spec": {"namespaces": ["acme"], "deletionPolicy": "Delete"},
            }))
            .unwrap()
        };
        let free = tenant(json!(["x/y"]));
        assert!(takes_along(&free) && !is_leaving(&free) && !is_held(&free));
        let held = finalizers(&free, true).unwrap();
        assert_eq!(held, ["x/y", LANDLORD_FINALIZER]);
        assert_eq!(finalizers(&free, false), None);
        let held = tenant(json!(held));
        assert_eq!(finalizers(&held, true), None);
        assert_eq!(finalizers(&held, false).unwrap(), ["x/y"]);
    }

    #[test]
    fn what_fences_a_namespace_that_was_made_stays_until_it_goes() {
        let made = within(&seen("acme", &[MADE_BY], false));
        assert_eq!(made, [Made::RoleBinding, Made::Role]);
        assert!(within(&seen("acme", &[], false)).contains(&Made::NetworkPolicy));
    }

    #[test]
    fn what_waits_is_named_with_the_way_on_and_the_way_back() {
        let acme: TenantName = "acme".parse().unwrap();
        let told = super::told(&acme, vec!["acme".parse().unwrap()], &[], &[]);
        assert!(told.message.contains("reeve tenant remove acme --confirm"));
        assert!(told.message.contains("Orphan"));
        assert_eq!(told.namespaces, ["acme"]);
    }

    #[test]
    fn what_is_left_is_named_with_who_holds_it() {
        let acme: TenantName = "acme".parse().unwrap();
        let of = |number: usize| left(&format!("Kustomization acme/{number}"), &["x/y".to_owned()]);
        let all: Vec<String> = (0..5).map(of).collect();
        let told = super::told(&acme, Vec::new(), &all, &[]);
        let words = "5 of it are left: Kustomization acme/0 (held by x/y), ";
        assert!(told.message.contains(words), "{}", told.message);
        assert!(told.message.ends_with(" and 2 more"), "{}", told.message);
        let told = super::told(&acme, Vec::new(), &all, &all[..1]);
        let words = "; waited for no more: Kustomization acme/0 (held by x/y)";
        assert!(told.message.ends_with(words), "{}", told.message);
    }

    #[test]
    fn what_delivers_is_waited_for_while_the_controller_holds_it_and_not_for_ever() {
        let at = |minute: i64| Timestamp::from_second(60 * minute).unwrap();
        let both = [FINALIZER.to_owned(), "acme.example/stay".to_owned()];
        for (finalizers, made, since, now, want) in [
            (&both[..0], 1, None, 8, true),
            (&both[1..], 8, None, 500, true),
            (&both[..1], 1, Some(10), 11, true),
            (&both[..], 1, Some(10), 69, true),
            (&both[..], 1, Some(10), 70, false),
            (&both[1..], 1, Some(10), 11, false),
            (&both[..0], 1, Some(10), 11, false),
            // The Tenant was being deleted already.
            (&both[..0], 9, None, 9, false),
            (&both[..], 9, Some(10), 11, false),
        ] {
            let moment = Moment {
                now: at(now),
                began: Some(at(8)),
            };
            let is = moment.awaits(finalizers, Some(at(made)), since.map(at));
            assert_eq!(is, want, "{finalizers:?} {made} {since:?} {now}");
        }
        for (now, want) in [(8, true), (67, true), (68, false)] {
            let moment = Moment {
                now: at(now),
                began: Some(at(8)),
            };
            assert_eq!(moment.awaits_unseen(), want, "{now}");
        }
    }
}

//! What runs write down and watches show, and who is woken by it.

use super::*;
use crate::inventory::Inventory;
use serde_json::{Value, json};

const MAP: &str = "acme_a__ConfigMap";

fn name(text: &str) -> NamespacedName {
    text.parse().unwrap()
}

fn id(text: &str) -> ObjectId {
    text.parse().unwrap()
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// An object at a version, whose fields of ours are these.
fn object(version: u64, fields: &str) -> Value {
    json!({"metadata": {"uid": "1", "resourceVersion": version.to_string(), "managedFields": [
        {"manager": crate::drift::MANAGER, "operation": "Apply", "fieldsV1": {fields: {}}},
        {"manager": "painter", "operation": "Update", "time": "2026-11-22T08:00:00Z"},
    ]}})
}

fn edited(version: u64) -> Seen {
    Seen::there(&object(version, "f:less"))
}

fn inventory(ids: &[&str]) -> Inventory {
    Inventory::parse(ids.iter().map(|id| (*id, "v1"))).unwrap()
}

fn kinds() -> WatchedKinds {
    ["ConfigMap".parse().unwrap()].into_iter().collect()
}

/// A run that leaves these objects as they are wanted, at this version.
fn run(ledger: &mut Ledger, who: &str, ids: &[&str], version: u64) -> Option<Call> {
    let (who, inventory) = (name(who), inventory(ids));
    ledger.begin(&who);
    for one in ids {
        ledger.stands(
            &who,
            &id(one),
            Sight::of(&object(version, "f:all")),
            7,
            secs(0),
        );
    }
    let places = Place::of_applied(&kinds(), "flux", &inventory);
    ledger.holds(&who, &inventory, places);
    ledger.end(&who, secs(0))
}

fn woken(call: Option<Call>) -> Option<String> {
    call.map(|call| call.who.to_string())
}

#[test]
fn a_change_by_others_wakes_whose_object_it_is_and_nothing_else_does() {
    let mut ledger = Ledger::default();
    assert_eq!(run(&mut ledger, "acme/web", &[MAP], 5), None);
    let mut saw = |object: &str, seen| woken(ledger.saw(&id(object), seen, secs(1)));
    assert_eq!(
        saw(MAP, Seen::there(&object(5, "f:all"))),
        None,
        "our own echo"
    );
    assert_eq!(saw(MAP, Seen::there(&object(6, "f:all"))), None, "a status");
    assert_eq!(saw("acme_b__ConfigMap", edited(6)), None, "nobody's");
    assert_eq!(saw(MAP, edited(7)).as_deref(), Some("acme/web"));
    assert_eq!(saw(MAP, edited(8)), None, "it is woken already");
}

#[test]
fn what_is_seen_during_a_run_is_judged_when_it_is_over() {
    let mut ledger = Ledger::default();
    let who = name("acme/web");
    run(&mut ledger, "acme/web", &[MAP], 5);
    ledger.begin(&who);
    // The echo comes before the answer to the write.
    let echo = Seen::there(&object(6, "f:new"));
    assert_eq!(ledger.saw(&id(MAP), echo, secs(1)), None);
    ledger.stands(&who, &id(MAP), Sight::of(&object(6, "f:new")), 7, secs(0));
    assert_eq!(ledger.end(&who, secs(1)), None, "it was our own");

    ledger.begin(&who);
    assert_eq!(ledger.saw(&id(MAP), edited(7), secs(2)), None);
    assert_eq!(
        woken(ledger.end(&who, secs(2))).as_deref(),
        Some("acme/web")
    );

    // Changed after all, but before the run has written it.
    ledger.begin(&who);
    ledger.saw(&id(MAP), edited(8), secs(3));
    ledger.stands(&who, &id(MAP), Sight::of(&object(9, "f:new")), 7, secs(0));
    assert_eq!(ledger.end(&who, secs(3)), None);
}

#[test]
fn what_a_listing_lacks_is_gone_and_what_was_pruned_is_nobodys() {
    let mut ledger = Ledger::default();
    let (pod, all) = ("acme_p_x.io_Pod", [MAP, "acme_b__ConfigMap"]);
    run(&mut ledger, "acme/web", &all, 5);
    run(&mut ledger, "beta/web", &[pod], 5);
    let places: Vec<Place> = ledger.places().keys().cloned().collect();
    let [shared, own] = &places[..] else {
        panic!("{places:?}");
    };
    assert!(shared.account.is_none() && shared.namespace.is_none());
    assert_eq!(
        (own.account.as_deref(), own.namespace.as_deref()),
        (Some("flux"), Some("acme"))
    );

    let there: BTreeSet<_> = [("acme".to_owned(), "a".to_owned())].into();
    let mut listed = |there: &BTreeSet<_>, version| ledger.listed(shared, there, version, secs(1));
    assert!(listed(&there, Some(4)).is_empty(), "the listing is older");
    let calls = listed(&there, Some(6));
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].object, id("acme_b__ConfigMap"));

    run(&mut ledger, "acme/web", &[MAP], 9);
    let gone = Seen::Gone { version: Some(10) };
    assert_eq!(ledger.saw(&id("acme_b__ConfigMap"), gone, secs(2)), None);
    assert!(ledger.forget(&Target::Kustomization(name("beta/web"))));
    assert_eq!(ledger.places().keys().count(), 1);
    assert!(ledger.forget(&Target::Kustomization(name("acme/web"))));
    assert!(ledger.known.is_empty() && ledger.holders.is_empty() && ledger.places.is_empty());
}

#[test]
fn who_fights_waits_longer_and_longer_and_is_told_once() {
    let mut ledger = Ledger::default();
    let who = name("acme/web");
    let mut told = Vec::new();
    let mut at = Duration::ZERO;
    for time in 0..8_u64 {
        run(&mut ledger, "acme/web", &[MAP], 10 * time);
        let call = ledger.saw(&id(MAP), edited(10 * time + 1), at);
        match call {
            Some(call) => told.extend(call.fight),
            None => {
                at = ledger.due().unwrap();
                assert!(ledger.ripe(at - secs(1)).is_empty());
                assert_eq!(ledger.ripe(at), std::slice::from_ref(&who));
            }
        }
    }
    assert_eq!(at, secs(2 + 4 + 8));
    let by = Some("painter".to_owned());
    assert_eq!(told, [Fought { times: 5, by }]);
}

#[test]
fn a_run_for_another_reason_ends_a_pause() {
    let mut ledger = Ledger::default();
    for time in 0..6 {
        run(&mut ledger, "acme/web", &[MAP], 10 * time);
        ledger.saw(&id(MAP), edited(10 * time + 1), secs(0));
    }
    assert!(ledger.due().is_some());
    ledger.begin(&name("acme/web"));
    assert_eq!(ledger.due(), None);
}

#[test]
fn an_object_that_another_takes_over_is_that_ones() {
    let mut ledger = Ledger::default();
    run(&mut ledger, "acme/old", &[MAP], 1);
    run(&mut ledger, "acme/new", &[MAP], 2);
    run(&mut ledger, "acme/old", &[], 3);
    let call = ledger.saw(&id(MAP), edited(4), secs(1));
    assert_eq!(woken(call).as_deref(), Some("acme/new"));
    assert_eq!(ledger.wanted(&name("acme/new"), &id(MAP)), Some(7));
    assert_eq!(ledger.wanted(&name("acme/old"), &id(MAP)), None);
}

#[test]
fn a_difference_that_stays_is_told_once_and_again_when_it_is_another() {
    let mut ledger = Ledger::default();
    let (who, map) = (name("acme/web"), id(MAP));
    run(&mut ledger, "acme/web", &[MAP], 1);
    let now = Sight::of(&object(2, "f:less"));
    let mut leaves = |difference| ledger.leaves(&who, &map, now, 7, difference, secs(0));
    assert_eq!([leaves(1), leaves(1), leaves(2)], [true, false, true]);
    assert_eq!(ledger.saw(&map, edited(3), secs(1)), None, "known to be so");
    run(&mut ledger, "acme/web", &[MAP], 4);
    assert!(
        ledger.leaves(&who, &map, now, 7, 2, secs(0)),
        "it was right meanwhile"
    );
}

#[test]
fn a_place_is_watched_for_as_long_as_somebody_needs_it() {
    let mut ledger = Ledger::default();
    let place = || [Place::of_named(Some("flux"), "acme", "Secret")].into();
    let (a, b) = (
        Target::Kustomization(name("acme/a")),
        Target::Source(name("acme/b")),
    );
    assert!(ledger.names(a.clone(), place()));
    assert!(!ledger.names(b.clone(), place()) && !ledger.names(b.clone(), place()));
    assert!(!ledger.forget(&a));
    assert!(ledger.forget(&b));
}

#[test]
fn a_job_that_is_gone_has_done_its_work_for_now() {
    let mut ledger = Ledger::default();
    let job = "acme_seed_batch_Job";
    run(&mut ledger, "acme/web", &[job], 1);
    let gone = Seen::Gone { version: Some(2) };
    assert_eq!(ledger.saw(&id(job), gone, secs(1)), None);
    let call = ledger.saw(&id(job), edited(3), secs(1));
    assert_eq!(woken(call).as_deref(), Some("acme/web"));
}

#[test]
fn nobody_fights_over_what_is_only_told() {
    let mut ledger = Ledger::default();
    let (who, map) = (name("acme/web"), id(MAP));
    run(&mut ledger, "acme/web", &[MAP], 1);
    for time in 2..7 {
        ledger.begin(&who);
        let now = Sight::of(&object(time, "f:less"));
        ledger.leaves(&who, &map, now, 7, time, secs(0));
        assert_eq!(ledger.end(&who, secs(0)), None);
        let seen = Seen::there(&object(time + 10, &format!("f:{time}")));
        let call = ledger.saw(&map, seen, secs(time)).unwrap();
        assert_eq!(call.fight, None);
    }
}

#[test]
fn what_was_compared_and_has_not_changed_since_need_not_be_compared_again() {
    let mut ledger = Ledger::default();
    let (who, map) = (name("acme/web"), id(MAP));
    let sight = Sight::of(&object(5, "f:all"));
    let stood = |ledger: &Ledger, who, wanted, then| {
        let stood = ledger.stood(who, &map, wanted, secs(then), secs(20));
        stood.map(|stood| stood.sight)
    };
    ledger.begin(&who);
    ledger.acts_as(&who, "flux", 1);
    assert_eq!(stood(&ledger, &who, 7, 0), None, "not known");
    ledger.stands(&who, &map, sight, 7, secs(10));
    assert_eq!(stood(&ledger, &who, 7, 10), Some(sight));
    assert_eq!(stood(&ledger, &who, 8, 10), None, "another wish");
    assert_eq!(stood(&ledger, &who, 7, 11), None, "long ago");
    let other = name("acme/other");
    assert_eq!(stood(&ledger, &other, 7, 0), None, "another's");
    ledger.acts_as(&who, "flux", 1);
    assert_eq!(stood(&ledger, &who, 7, 0), Some(sight));
    for (account, generation) in [("narrow", 1), ("narrow", 2)] {
        ledger.acts_as(&who, account, generation);
        let stood = stood(&ledger, &who, 7, 0);
        assert_eq!(stood, None, "as {account}, for spec {generation}");
        ledger.stands(&who, &map, sight, 7, secs(11));
    }
    ledger.leaves(&who, &map, sight, 7, 1, secs(12));
    let stood = stood(&ledger, &who, 7, 0);
    assert_eq!(stood, None, "it is not as it is wanted");
}

#[test]
fn a_watch_is_believed_while_it_goes_on_and_has_shown_no_change() {
    let mut ledger = Ledger::default();
    let (who, map) = (name("acme/web"), id(MAP));
    run(&mut ledger, "acme/web", &[MAP], 1);
    let place = ledger.places().keys().next().cloned().unwrap();
    let watched = |ledger: &Ledger, now| {
        let stood = ledger.stood(&who, &map, 7, secs(0), secs(now));
        stood.unwrap().watched
    };
    assert!(!watched(&ledger, 10), "it has shown nothing yet");
    ledger.heard(&place, secs(10));
    assert!(watched(&ledger, 99));
    assert!(!watched(&ledger, 100), "it is silent");
    ledger.heard(&place, secs(100));
    assert!(watched(&ledger, 100));
    ledger.lost(&place);
    assert!(!watched(&ledger, 100), "it broke off");
    ledger.heard(&place, secs(100));
    let changed = Seen::there(&object(9, "f:less"));
    assert!(ledger.saw(&map, changed, secs(101)).is_some());
    assert!(!watched(&ledger, 101), "somebody has changed it");
    run(&mut ledger, "acme/web", &[MAP], 10);
    assert!(watched(&ledger, 102), "it was compared again");
}

#[test]
fn a_job_that_is_gone_wakes_nobody_and_is_looked_for_by_the_next_run() {
    let mut ledger = Ledger::default();
    let who = name("acme/web");
    let job = "acme_work_batch_Job";
    run(&mut ledger, "acme/web", &[job], 1);
    let place = ledger.places().keys().next().cloned().unwrap();
    ledger.heard(&place, secs(1));
    let gone = Seen::Gone { version: Some(9) };
    assert_eq!(ledger.saw(&id(job), gone, secs(2)), None);
    let stood = ledger.stood(&who, &id(job), 7, secs(0), secs(2));
    assert!(stood.is_some_and(|stood| !stood.watched));
}

#[test]
fn of_what_is_made_anew_nothing_is_known_and_that_it_goes_wakes_nobody() {
    let (mut ledger, web) = (Ledger::default(), name("acme/web"));
    run(&mut ledger, "acme/web", &[MAP], 5);
    ledger.replaces(&name("acme/other"), &id(MAP));
    assert_eq!(ledger.wanted(&web, &id(MAP)), Some(7), "it is another's");
    ledger.begin(&web);
    ledger.replaces(&web, &id(MAP));
    assert_eq!(ledger.wanted(&web, &id(MAP)), None);
    assert_eq!(
        ledger.stood(&web, &id(MAP), 7, secs(0), secs(1)),
        None,
        "it is compared anew"
    );
    let gone = Seen::Gone { version: Some(9) };
    assert_eq!(woken(ledger.saw(&id(MAP), gone, secs(1))), None);
    assert_eq!(woken(ledger.end(&web, secs(1))), None);
    run(&mut ledger, "acme/web", &[MAP], 10);
    let call = ledger.saw(&id(MAP), edited(11), secs(2));
    assert_eq!(woken(call).as_deref(), Some("acme/web"));
}

#[test]
fn what_nobody_has_touched_is_known_in_the_state_that_was_seen_last() {
    let plain = |version: u64| {
        let mut object = object(version, "f:all");
        object["metadata"]["uid"] = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9".into();
        object
    };
    let (who, map, inventory) = (name("acme/web"), id(MAP), inventory(&[MAP]));
    let mut ledger = Ledger::default();
    ledger.begin(&who);
    ledger.stands(&who, &map, Sight::of(&plain(5)), 7, secs(0));
    let places = Place::of_applied(&kinds(), "flux", &inventory);
    ledger.holds(&who, &inventory, places);
    ledger.end(&who, secs(0));
    let version = |ledger: &Ledger| {
        let known = ledger.untouched(&who, &map, secs(0), secs(2))?;
        assert_eq!(known.wanted, 7);
        Some(known.sight.exact().unwrap().version)
    };
    assert_eq!(version(&ledger), None, "nobody watches it");
    let place = ledger.places().keys().next().unwrap().clone();
    ledger.heard(&place, secs(1));
    assert_eq!(version(&ledger).as_deref(), Some("5"));
    assert_eq!(
        ledger.untouched(&name("acme/other"), &map, secs(0), secs(2)),
        None
    );
    assert_eq!(
        ledger.untouched(&who, &map, secs(1), secs(2)),
        None,
        "long ago"
    );

    ledger.saw(&map, Seen::there(&plain(6)), secs(1));
    assert_eq!(version(&ledger).as_deref(), Some("6"), "a new status");
    ledger.begin(&who);
    ledger.saw(&map, Seen::there(&plain(8)), secs(1));
    assert_eq!(version(&ledger).as_deref(), Some("8"), "while it runs");
    ledger.saw(&map, Seen::there(&plain(4)), secs(1));
    assert_eq!(version(&ledger).as_deref(), Some("6"), "an old one");

    let mut asks = plain(9);
    asks["metadata"]["annotations"] = json!({crate::drift::DRIFT: "report"});
    ledger.saw(&map, Seen::there(&asks), secs(1));
    assert_eq!(version(&ledger), None, "it asks for something");
    ledger.saw(&map, edited(10), secs(1));
    assert_eq!(version(&ledger), None, "somebody has changed it");
    ledger.end(&who, secs(1));
    assert_eq!(version(&ledger), None, "and that is known");
}

#[test]
fn what_was_left_alone_is_not_taken_for_what_was_applied_once_it_asks_no_more() {
    let uid = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";
    let seen = |version: u64, annotations: Value| {
        let mut object = object(version, "f:all");
        object["metadata"]["uid"] = uid.into();
        object["metadata"]["annotations"] = annotations;
        object
    };
    let (who, map, inventory) = (name("acme/web"), id(MAP), inventory(&[MAP]));
    let mut ledger = Ledger::default();
    let places = Place::of_applied(&kinds(), "flux", &inventory);
    ledger.holds(&who, &inventory, places);
    let place = ledger.places().keys().next().unwrap().clone();
    ledger.heard(&place, secs(1));
    let asks = json!({"kustomize.toolkit.fluxcd.io/reconcile": "disabled"});
    ledger.stands(&who, &map, Sight::of(&seen(5, asks)), 7, secs(0));
    let untouched = |ledger: &Ledger| ledger.untouched(&who, &map, secs(0), secs(2));
    assert_eq!(untouched(&ledger), None);
    ledger.saw(&map, Seen::there(&seen(6, json!({}))), secs(1));
    assert_eq!(untouched(&ledger), None);
    ledger.stands(&who, &map, Sight::of(&seen(6, json!({}))), 7, secs(1));
    assert!(untouched(&ledger).is_some());
}

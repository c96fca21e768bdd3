//! Rates that are used up and come back, places that are given once, and what is said of both.

use super::*;

fn at(millis: u64) -> Timestamp {
    later("2026-01-02T03:00:00Z".parse().unwrap(), millis)
}

fn id(nth: usize) -> NamespacedName {
    NamespacedName::new("acme", format!("app-{nth}")).unwrap()
}

fn reconciles(allowed: i64) -> Limits {
    Limits {
        reconciles_per_minute: Some(allowed),
        ..Limits::default()
    }
}

fn rendering(allowed: i64) -> Limits {
    Limits {
        render_milliseconds_per_minute: Some(allowed),
        ..Limits::default()
    }
}

#[test]
fn a_minutes_worth_begins_at_once_and_the_rest_one_after_the_other() {
    let (mut meter, limits) = (Meter::default(), reconciles(6));
    let begins: Vec<u64> = (0..10)
        .map(|nth| match meter.begin(&id(nth), &limits, at(0)) {
            Ok(()) => 0,
            Err(over) => over
                .until
                .unwrap()
                .duration_since(at(0))
                .as_secs()
                .unsigned_abs(),
        })
        .collect();
    assert_eq!(begins, [0, 0, 0, 0, 0, 0, 10, 20, 30, 40]);
}

#[test]
fn a_place_is_kept_however_often_it_is_asked_for_and_taken_when_its_time_comes() {
    let (mut meter, limits) = (Meter::default(), reconciles(1));
    meter.begin(&id(0), &limits, at(0)).unwrap();
    let first = meter.begin(&id(1), &limits, at(0)).unwrap_err();
    for second in 1..60 {
        let again = meter.begin(&id(1), &limits, at(second * 1000));
        assert_eq!(again, Err(first), "{second}");
    }
    assert_eq!(meter.begin(&id(1), &limits, at(60_000)), Ok(()));
    meter.end(&id(1));
    let next = meter.begin(&id(1), &limits, at(60_000)).unwrap_err();
    assert_eq!(
        next.until,
        Some(at(120_000)),
        "the next run has to wait again"
    );
}

#[test]
fn what_was_set_aside_is_put_right_by_what_was_taken() {
    let (mut meter, limits) = (Meter::default(), rendering(1000));
    meter.begin(&id(0), &limits, at(0)).unwrap();
    meter.take(&id(0), Limit::Render, 4000, at(0));
    meter.end(&id(0));
    // 4000 of 1000 a minute: until there is room for as much as the limit, the usual run being larger.
    let over = meter.begin(&id(1), &limits, at(0)).unwrap_err();
    assert_eq!((over.limit, over.allowed), (Limit::Render, 1000));
    assert_eq!(over.until, Some(at(240_000)));
    assert_eq!(meter.begin(&id(1), &limits, at(240_000)), Ok(()));
    // It took nothing this time: nothing is left behind of what was set aside.
    meter.end(&id(1));
    assert_eq!(meter.begin(&id(2), &limits, at(240_000)), Ok(()));
}

#[test]
fn over_an_hour_no_more_is_begun_than_is_allowed_whoever_asks_when() {
    let (mut meter, limits) = (Meter::default(), reconciles(30));
    let mut begun = 0;
    let mut state: u64 = 7;
    for second in 0..3600 {
        for _ in 0..3 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let nth = usize::try_from(state >> 33).unwrap() % 200;
            if meter.begin(&id(nth), &limits, at(second * 1000)).is_ok() {
                begun += 1;
                meter.end(&id(nth));
            }
        }
    }
    assert!((1400..=60 * 30 + 30).contains(&begun), "{begun}");
    assert!(meter.places.len() <= 200 && meter.running.is_empty());
}

#[test]
fn a_place_that_is_given_up_is_the_next_ones_and_new_limits_forget_all_places() {
    let (mut meter, limits) = (Meter::default(), reconciles(1));
    meter.begin(&id(0), &limits, at(0)).unwrap();
    assert!(meter.begin(&id(1), &limits, at(0)).is_err());
    meter.forget(&id(1));
    let over = meter.begin(&id(2), &limits, at(0)).unwrap_err();
    assert_eq!(over.until, Some(at(60_000)));
    assert_eq!(meter.begin(&id(2), &reconciles(2), at(0)), Ok(()));
}

#[test]
fn a_clock_that_jumps_neither_gives_anything_away_nor_stops_anybody() {
    let (mut meter, limits) = (Meter::default(), reconciles(1));
    meter.begin(&id(0), &limits, at(3_600_000)).unwrap();
    let over = meter.begin(&id(1), &limits, at(0)).unwrap_err();
    assert_eq!(
        over.until,
        Some(at(60_000)),
        "set back by an hour: a minute is a minute"
    );
    assert_eq!(meter.begin(&id(2), &limits, at(9_000_000)), Ok(()));
}

#[test]
fn what_is_reached_is_told_with_how_much_until_when_and_whose_turn_it_is() {
    let over = Over {
        limit: Limit::Reconciles,
        allowed: 60,
        asked: 61,
        until: Some(at(5_000)),
    };
    let why = over.explained(&"acme".parse().unwrap(), at(0));
    assert_eq!(why.reason, Reason::QuotaExceeded);
    assert_eq!(why.turn, Turn::Later(Duration::from_millis(5001)));
    assert_eq!(
        why.message,
        "tenant acme may have 60 reconciles a minute, and this would make 61: it is its turn at 2026-01-02T03:00:05Z"
    );
    let over = Over {
        limit: Limit::Objects,
        until: None,
        ..over
    };
    let why = over.explained(&"acme".parse().unwrap(), at(0));
    assert_eq!(why.turn, Turn::Retry);
    assert_eq!(
        why.message,
        "tenant acme may have 60 objects, and this would make 61"
    );
    assert_eq!(
        why.hint.unwrap(),
        "use less, or ask the platform to raise spec.limits.objects of Tenant acme"
    );
}

#[test]
fn what_a_tenant_does_not_say_is_what_the_platform_says_of_all() {
    let said = reconciles(5);
    let of_all = Limits {
        objects: Some(7),
        ..reconciles(3)
    };
    let merged = merged(&said, &of_all);
    assert_eq!(Limit::Reconciles.of(&merged), Some(5));
    assert_eq!(Limit::Objects.of(&merged), Some(7));
    assert_eq!(Limit::Writes.of(&merged), None);
}

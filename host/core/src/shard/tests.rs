//! The rules of the shares, and the protocol against a model.

use super::*;

mod model;

fn names(count: usize) -> Vec<String> {
    (0..count).map(|nth| format!("tenant-{nth}")).collect()
}

fn places(count: u16) -> View {
    (0..count).collect()
}

#[test]
fn twenty_thousand_tenants_are_spread_evenly_over_any_number_of_replicas() {
    let tenants = names(20_000);
    for count in 1..=PLACES {
        let view = places(count);
        let mut had = vec![0_usize; usize::from(count)];
        for tenant in &tenants {
            had[usize::from(owner(&view, tenant).unwrap())] += 1;
        }
        let fair = tenants.len() / usize::from(count);
        let (least, most) = (had.iter().min().unwrap(), had.iter().max().unwrap());
        assert!(
            *least * 100 >= fair * 85 && *most * 100 <= fair * 115,
            "{count}: {had:?}"
        );
    }
}

#[test]
fn who_comes_takes_his_part_and_nothing_moves_between_the_others() {
    let tenants = names(20_000);
    for count in 1..PLACES {
        let (before, after) = (places(count), places(count + 1));
        let mut moved = 0;
        for tenant in &tenants {
            let (old, new) = (owner(&before, tenant), owner(&after, tenant));
            if old != new {
                // The other way round it is the one who goes.
                assert_eq!(new, Some(count), "{tenant} moves between those who stay");
                moved += 1;
            }
        }
        let fair = tenants.len() / usize::from(count + 1);
        assert!(moved * 100 <= fair * 115, "{count}: {moved} of {fair}");
    }
}

#[test]
fn nobody_has_anything_where_nobody_is() {
    assert_eq!(owner(&View::new(), "acme"), None);
    assert!(!Claim::default().has(0, "acme"));
}

fn other(place: u16, term: i64, view: &View) -> Other {
    Other {
        member: Member { place, term },
        claim: Claim {
            view: view.clone(),
            tenants: 0,
        },
    }
}

/// Names whose owner is `before` of two and `after` of three.
fn moving(before: u16, after: u16) -> String {
    let mut all = names(1000).into_iter();
    let is = |name: &String| {
        owner(&places(2), name) == Some(before) && owner(&places(3), name) == Some(after)
    };
    all.find(is).unwrap()
}

#[test]
fn who_comes_waits_for_each_share_until_its_owner_has_let_go_of_it() {
    let (old, new) = (places(2), places(3));
    let mut comes = Standing::new(2);
    let others = |first: &View, second: &View| [other(0, 1, first), other(1, 1, second)];
    comes.saw(&View::new(), &others(&old, &old), true);
    assert_eq!(comes.to_publish(), Some(&new));
    comes.sending(new.clone());
    comes.saw(&new, &others(&old, &old), true);
    let (first, second) = (moving(0, 2), moving(1, 2));
    assert!(comes.is_wanted(&first) && comes.keeps(&first));
    assert!(!comes.may_begin(&first) && !comes.may_begin(&second));
    comes.saw(&new, &others(&new, &old), true);
    assert!(comes.may_begin(&first) && !comes.may_begin(&second));
    // Its Lease was ended.
    comes.saw(&new, &[other(0, 1, &new)], true);
    assert!(comes.may_begin(&second));
}

#[test]
fn what_is_given_up_is_not_begun_any_more_and_is_published_as_given_up_once() {
    let (old, new) = (places(2), places(3));
    let mut stays = Standing::new(0);
    stays.saw(&View::new(), &[other(1, 1, &old)], true);
    stays.sending(old.clone());
    stays.saw(&old, &[other(1, 1, &old)], true);
    let (given, kept) = (moving(0, 2), moving(0, 0));
    assert!(stays.may_begin(&given) && stays.may_begin(&kept));
    let three = [other(1, 1, &old), other(2, 1, &View::new())];
    stays.saw(&old, &three, true);
    assert!(!stays.keeps(&given) && stays.may_begin(&kept));
    assert!(!stays.survives(&new, &given));
    assert_eq!(stays.to_publish(), Some(&new));
    stays.sending(new.clone());
    assert_eq!(stays.to_publish(), None, "one at a time");
    // The third is gone before anybody knows whether it was published: what may be no longer claimed does not begin.
    stays.saw(&old, &[other(1, 1, &old)], true);
    assert!(stays.is_wanted(&given) && !stays.may_begin(&given));
    stays.saw(&new, &[other(1, 1, &old)], true);
    assert_eq!(stays.to_publish(), Some(&old));
    assert!(!stays.may_begin(&given));
}

#[test]
fn while_another_leads_alone_nothing_begins() {
    let one = places(1);
    let mut waits = Standing::new(0);
    waits.saw(&View::new(), &[], false);
    assert_eq!(waits.to_publish(), None);
    waits.saw(&View::new(), &[], true);
    waits.sending(one.clone());
    waits.saw(&one, &[], true);
    assert!(waits.may_begin("acme"));
    waits.saw(&one, &[], false);
    assert!(!waits.may_begin("acme") && !waits.keeps("acme"));
    assert_eq!(waits.to_publish(), Some(&View::new()));
}

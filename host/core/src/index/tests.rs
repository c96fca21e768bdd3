//! What the index must remember and forget.

use super::*;
use reeve_api::name::PluginName;
use reeve_api::plugin::LocalSelector;
use reeve_api::receiver::{ReceiverResourceKind as K, ReceiverType};

use crate::webhook::{Filters, Token};

fn id(text: &str) -> NamespacedName {
    text.parse().unwrap()
}

fn ids(list: impl IntoIterator<Item = NamespacedName>) -> Vec<String> {
    list.into_iter().map(|id| id.to_string()).collect()
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

fn object_name(text: &str) -> ObjectName {
    ObjectName::new(text).unwrap()
}

fn applier(source: &str, of: &[(&str, &str)]) -> Applier {
    Applier {
        kind: SourceKind::GitRepository,
        source: id(source),
        labels: labels(of),
        secrets: BTreeSet::new(),
    }
}

fn resource(kind: K, namespace: Option<&str>, name: &str, of: &[(&str, &str)]) -> ReceiverResource {
    ReceiverResource {
        api_version: None,
        filter: None,
        kind,
        match_labels: labels(of),
        name: name.to_owned(),
        namespace: namespace.map(str::to_owned),
    }
}

fn listener(resources: Vec<ReceiverResource>) -> Listener {
    Listener {
        resources,
        secret: Some(object_name("token")),
        hook: None,
        computed: false,
        since: None,
    }
}

/// Two tenants, one of them with its source in the platform's namespace for sources.
fn estate() -> Index {
    let mut index = Index::new([NamespaceName::new("config").unwrap()]);
    for (source, of) in [
        ("config/acme", &[("team", "a")]),
        ("beta/own", &[("team", "b")]),
    ] {
        let secrets = BTreeSet::from([object_name("ssh")]);
        index.apply_source(
            &id(source),
            Source {
                labels: labels(of),
                secrets,
                ..Source::default()
            },
        );
    }
    index.apply_kustomization(&id("acme/web"), applier("config/acme", &[("tier", "web")]));
    index.apply_kustomization(&id("acme/db"), applier("config/acme", &[]));
    index.apply_kustomization(&id("beta/web"), applier("beta/own", &[("tier", "web")]));
    index
}

#[test]
fn an_artifact_touches_those_who_use_it_and_nobody_else() {
    let mut index = estate();
    let users = |index: &Index, of: &str| ids(index.kustomizations_of(&id(of)).cloned());
    assert_eq!(users(&index, "config/acme"), ["acme/db", "acme/web"]);
    // who changes its source is no longer touched by the old one
    index.apply_kustomization(&id("acme/db"), applier("beta/own", &[]));
    assert_eq!(users(&index, "config/acme"), ["acme/web"]);
    assert_eq!(users(&index, "beta/own"), ["acme/db", "beta/web"]);
    index.remove_kustomization(&id("acme/web"));
    assert!(users(&index, "config/acme").is_empty());
}

#[test]
fn a_secret_touches_only_its_own_namespace() {
    let mut index = estate();
    index.apply_receiver(&id("beta/hook"), listener(vec![]));
    let touched = |index: &Index, of: &str| {
        index
            .touched_by_secret(&id(of))
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(
        touched(&index, "beta/ssh"),
        [Target::Source(id("beta/own"))]
    );
    assert_eq!(
        touched(&index, "beta/token"),
        [Target::Receiver(id("beta/hook"))]
    );
    assert!(touched(&index, "acme/ssh").is_empty());
    index.remove_source(&id("beta/own"));
    assert!(touched(&index, "beta/ssh").is_empty());
}

#[test]
fn a_plugin_touches_those_it_was_called_for_and_those_it_is_called_for_now() {
    let mut index = estate();
    let stamp = PluginId::Platform(PluginName::new("stamp").unwrap());
    let by_label = Selector {
        match_labels: labels(&[("tier", "web")]),
        ..Selector::default()
    };
    let by_namespace = Selector {
        namespaces: vec!["acme".into()],
        ..Selector::default()
    };
    assert_eq!(
        ids(index.apply_plugin(stamp.clone(), called(0, by_label))),
        ["acme/web", "beta/web"]
    );
    assert_eq!(
        ids(index.apply_plugin(stamp.clone(), called(0, by_namespace))),
        ["acme/db", "acme/web", "beta/web"]
    );
    assert_eq!(ids(index.remove_plugin(&stamp)), ["acme/db", "acme/web"]);
    assert!(index.remove_plugin(&stamp).is_empty());
}

fn called(order: i32, selector: Selector) -> Extension {
    Extension {
        order,
        selector: Some(selector),
        source: None,
        configs: BTreeSet::new(),
    }
}

#[test]
fn what_a_plugin_is_configured_with_wakes_it_and_nothing_else_does() {
    let mut index = estate();
    let stamp = PluginId::Tenant(NamespacedName::new("acme", "stamp").unwrap());
    let with = |names: &[&str]| Extension {
        configs: names.iter().map(|name| id(name)).collect(),
        ..called(0, LocalSelector::default().within("acme"))
    };
    let woken = |index: &Index, name: &str| {
        let config = id(name);
        let all = index.touched_by_secret(&config);
        all.filter(|one| matches!(one, Target::Plugin(_))).count()
    };
    index.apply_plugin(stamp.clone(), with(&["acme/stamp", "acme/token"]));
    assert_eq!(woken(&index, "acme/stamp"), 1);
    assert_eq!(woken(&index, "acme/token"), 1);
    assert_eq!(woken(&index, "beta/stamp"), 0);
    index.apply_plugin(stamp.clone(), with(&["acme/stamp"]));
    assert_eq!(woken(&index, "acme/stamp"), 1);
    assert_eq!(woken(&index, "acme/token"), 0, "it is named no more");
    index.remove_plugin(&stamp);
    assert_eq!(woken(&index, "acme/stamp"), 0);
}

#[test]
fn plugins_are_called_by_order_then_by_name_and_the_tenants_before_the_platforms() {
    let mut index = estate();
    for (name, order) in [("b", 1), ("a", 1), ("z", -1)] {
        let platforms = PluginId::Platform(PluginName::new(name).unwrap());
        index.apply_plugin(platforms, called(order, Selector::default()));
    }
    for (namespace, name, order) in [("acme", "own", 7), ("acme", "first", 3), ("beta", "not", 0)] {
        let tenants = PluginId::Tenant(NamespacedName::new(namespace, name).unwrap());
        let own = LocalSelector::default().within(namespace);
        index.apply_plugin(tenants, called(order, own));
    }
    let provider = Extension {
        selector: None,
        ..called(0, Selector::default())
    };
    let forge = PluginId::Platform(PluginName::new("forge").unwrap());
    index.apply_plugin(forge, provider);
    let called: Vec<_> = index
        .plugins_of(&id("acme/web"))
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(called, ["acme/first", "acme/own", "z", "a", "b"]);
    assert!(index.plugins_of(&id("acme/unknown")).is_empty());
}

#[test]
fn a_source_knows_the_plugins_that_come_from_it() {
    let mut index = estate();
    let own = PluginId::Tenant(NamespacedName::new("acme", "own").unwrap());
    let from = Extension {
        source: Some(id("acme/app")),
        ..called(0, LocalSelector::default().within("acme"))
    };
    index.apply_plugin(own.clone(), from);
    assert_eq!(
        index.plugins_from(&id("acme/app")).collect::<Vec<_>>(),
        [&own]
    );
    assert_eq!(index.plugins_from(&id("acme/other")).count(), 0);
    index.remove_plugin(&own);
    assert_eq!(index.plugins_from(&id("acme/app")).count(), 0);
}

/// What a Receiver at `at` that names `resource` alone wakes, and what it misses.
fn looked_up(at: &str, resource: ReceiverResource) -> (String, String) {
    let mut index = estate();
    index.apply_receiver(&id(at), listener(vec![resource]));
    let named = index.named_by(&id(at));
    let found = named.present.into_iter().map(|target| match target {
        Target::Source(id) | Target::Kustomization(id) | Target::Receiver(id) => id.to_string(),
        Target::Plugin(id) => id.to_string(),
        Target::Policy(name) => name.to_string(),
        Target::WriteBack(id) => id.to_string(),
    });
    (found.collect::<Vec<_>>().join(","), named.missing.join(","))
}

#[test]
fn a_receiver_wakes_what_it_names_at_home_and_from_a_trusted_namespace_elsewhere() {
    let web = [("tier", "web")];
    for (at, resource, want) in [
        (
            "beta/hook",
            resource(K::GitRepository, None, "own", &[]),
            "beta/own",
        ),
        (
            "beta/hook",
            resource(K::Kustomization, None, "web", &[]),
            "beta/web",
        ),
        (
            "config/hook",
            resource(K::Kustomization, Some("acme"), "web", &[]),
            "acme/web",
        ),
        (
            "config/hook",
            resource(K::Kustomization, Some("acme"), "*", &web),
            "acme/web",
        ),
        // a selector that matches nothing yet is as its writer meant it
        (
            "config/hook",
            resource(K::Kustomization, Some("beta"), "*", &[("tier", "x")]),
            "",
        ),
    ] {
        let says = format!("{at} naming {resource:?}");
        assert_eq!(
            looked_up(at, resource),
            (want.to_owned(), String::new()),
            "{says}"
        );
    }
}

#[test]
fn what_a_receiver_names_in_vain_is_said() {
    for (at, resource, want) in [
        (
            "config/hook",
            resource(K::GitRepository, None, "docs-gettings-started", &[]),
            "'GitRepository/config/docs-gettings-started' not found",
        ),
        (
            "beta/hook",
            resource(K::Kustomization, Some("acme"), "web", &[]),
            "can't access 'Kustomization/acme/web', cross-namespace references have been blocked",
        ),
        (
            "config/hook",
            resource(K::GitRepository, None, "*", &[]),
            "'GitRepository/config/*' needs matchLabels beside the name '*'",
        ),
        (
            "beta/hook",
            resource(K::HelmRelease, None, "web", &[]),
            "'HelmRelease/beta/web' cannot be woken: its kind is not served",
        ),
    ] {
        assert_eq!(looked_up(at, resource), (String::new(), want.to_owned()));
    }
}

#[test]
fn a_typo_in_one_name_does_not_silence_the_others() {
    let mut index = estate();
    let names = vec![
        resource(K::GitRepository, None, "typo", &[]),
        resource(K::GitRepository, None, "acme", &[]),
    ];
    index.apply_receiver(&id("config/hook"), listener(names));
    let named = index.named_by(&id("config/hook"));
    assert_eq!(
        named.present,
        BTreeSet::from([Target::Source(id("config/acme"))])
    );
    assert_eq!(named.missing, ["'GitRepository/config/typo' not found"]);
    // and when the missing one comes, its Receiver is looked at again
    assert_eq!(
        ids(index.receivers_naming(&Target::Source(id("config/typo")))),
        ["config/hook"]
    );
    assert!(
        index
            .receivers_naming(&Target::Source(id("beta/typo")))
            .is_empty()
    );
}

#[test]
fn a_hook_is_found_by_its_whole_path_only() {
    let mut index = estate();
    let token = Token::parse(Some(b"t"), "beta/token").unwrap();
    let path = token.path("hook", "beta");
    let hook = Arc::new(Hook {
        receiver: id("beta/hook"),
        kind: ReceiverType::Generic,
        token,
        google: None,
        issuers: vec![],
        events: vec![],
        filters: Filters::default(),
        standing: Standing::Open,
    });
    let mut listening = listener(vec![]);
    listening.hook = Some((path.clone(), Arc::clone(&hook)));
    index.apply_receiver(&id("beta/hook"), listening);
    assert_eq!(index.hook(&path), Some(hook));
    for wrong in [
        "",
        "/hook/",
        &path[..path.len() - 1],
        &format!("{path}0"),
        &path.to_uppercase(),
    ] {
        assert_eq!(index.hook(wrong), None, "{wrong}");
    }
    // a new token is a new path; the old one is gone
    index.apply_receiver(&id("beta/hook"), listener(vec![]));
    assert_eq!(index.hook(&path), None);
}

#[test]
fn who_waits_is_touched_by_what_it_waits_for_until_it_waits_no_more() {
    let mut index = estate();
    let (web, db) = (id("acme/web"), id("acme/db"));
    let waiting = |index: &Index, of: &str| ids(index.waiting_for(&id(of)).cloned());
    index.waits_for(&web, [db.clone(), id("acme/cache")].into());
    index.waits_for(&id("beta/web"), [db].into());
    assert_eq!(waiting(&index, "acme/db"), ["acme/web", "beta/web"]);
    assert_eq!(waiting(&index, "acme/cache"), ["acme/web"]);
    // a change of its own is no reason to forget what it waits for
    index.apply_kustomization(&web, applier("config/acme", &[]));
    assert!(index.waits(&web));
    index.waits_for(&web, [id("acme/cache")].into());
    assert_eq!(waiting(&index, "acme/db"), ["beta/web"]);
    index.waits_no_more(&web);
    assert!(waiting(&index, "acme/cache").is_empty() && !index.waits(&web));
}

#[test]
fn a_call_may_wake_what_each_resource_names_in_its_own_place() {
    let mut index = estate();
    let mut listening = listener(vec![
        resource(K::GitRepository, None, "typo", &[]),
        resource(K::GitRepository, None, "*", &[("team", "a")]),
    ]);
    assert!(index.woken_by(&id("config/hook")).is_none());
    let token = Token::parse(Some(b"t"), "config/token").unwrap();
    let hook = Arc::new(Hook {
        receiver: id("config/hook"),
        kind: ReceiverType::Generic,
        token,
        google: None,
        issuers: vec![],
        events: vec![],
        filters: Filters::default(),
        standing: Standing::Open,
    });
    listening.hook = Some(("/hook/0".to_owned(), Arc::clone(&hook)));
    index.apply_receiver(&id("config/hook"), listening);
    let acme = Target::Source(id("config/acme"));
    assert_eq!(
        index.woken_by(&id("config/hook")),
        Some((hook, vec![vec![], vec![acme]]))
    );
}

//! What there is, and what is said of it: one mutation a row.

use super::unit::{Unit, unit};
use super::*;
use serde_json::json;

fn object(kind: &str, id: &str, spec: Value) -> Value {
    let (namespace, name) = id.split_once('/').unwrap();
    let version = match kind {
        "GitRepository" => "source.toolkit.fluxcd.io/v1",
        "Receiver" => "notification.toolkit.fluxcd.io/v1",
        _ => "kustomize.toolkit.fluxcd.io/v1",
    };
    json!({
        "apiVersion": version, "kind": kind,
        "metadata": {"namespace": namespace, "name": name}, "spec": spec,
    })
}

fn source(id: &str) -> Value {
    let spec = json!({"interval": "1m", "url": "https://git.example/a"});
    object("GitRepository", id, spec)
}

fn kustomization(id: &str, source: &str) -> Value {
    let (namespace, name) = source.split_once('/').unwrap();
    let reference = json!({"kind": "GitRepository", "namespace": namespace, "name": name});
    let spec = json!({
        "interval": "1m", "prune": true, "serviceAccountName": "flux", "sourceRef": reference,
    });
    object("Kustomization", id, spec)
}

fn taken(mut object: Value) -> Value {
    object["metadata"]["labels"] = json!({reeve_api::SHARD: reeve_api::SHARD_OURS});
    object
}

fn depends(mut object: Value, on: Value) -> Value {
    object["spec"]["dependsOn"] = json!([on]);
    object
}

fn grounds() -> Grounds {
    let name = |text: &str| text.parse().unwrap();
    Grounds {
        platform_namespaces: [name("flux-system")].into(),
        config_namespaces: [name("config")].into(),
        platform_service_account: "platform".parse().unwrap(),
        tenant_service_account: "flux".parse().unwrap(),
        remote_bases: Vec::new(),
        remote_clusters: Vec::new(),
    }
}

fn tenants() -> Tenants {
    let mut tenants = Tenants::default();
    for name in ["acme", "beta"] {
        let object = serde_json::from_value(json!({
            "apiVersion": "reeve.dev/v1alpha1", "kind": "Tenant", "metadata": {"name": name},
            "spec": {"namespaces": [name], "sources": [name, "both"]},
        }));
        tenants.apply(&object.unwrap());
    }
    tenants
}

fn told(found: &Found) -> Vec<Finding> {
    let (grounds, tenants) = (grounds(), tenants());
    let ground = Ground {
        grounds: &grounds,
        tenants: &tenants,
    };
    report(found, ground)
}

fn goes(found: &Found, namespaces: &[&str], to: Whose) -> Unit {
    let (grounds, tenants) = (grounds(), tenants());
    let ground = Ground {
        grounds: &grounds,
        tenants: &tenants,
    };
    let namespaces = namespaces.iter().map(|one| one.parse().unwrap()).collect();
    unit(found, ground, &namespaces, to)
}

fn subjects(unit: &Unit) -> Vec<String> {
    unit.members.iter().map(unit::Member::subject).collect()
}

fn says<'a>(all: &'a [Finding], subject: &str, is: Is) -> Vec<&'a str> {
    let about = all
        .iter()
        .filter(|one| one.subject == subject && one.is == is);
    about.map(|one| one.says.as_str()).collect()
}

#[test]
fn what_we_would_not_act_on_is_in_the_way_and_says_why() {
    let mut secret = kustomization("acme/secret", "acme/acme");
    secret["spec"]["decryption"] = json!({"provider": "sops"});
    let mut unread = source("acme/bad");
    unread["spec"]["interval"] = json!("1d");
    let found = Found {
        sources: vec![source("acme/acme"), source("nobody/x"), unread],
        kustomizations: vec![secret, kustomization("acme/theirs", "beta/beta")],
        ..Found::default()
    };
    let all = told(&found);
    for (subject, word) in [
        ("Kustomization/acme/secret", "spec.decryption"),
        ("Kustomization/acme/theirs", "cross-namespace references"),
        ("GitRepository/nobody/x", "no Tenant has namespace nobody"),
        ("GitRepository/acme/bad", "interval"),
    ] {
        let said = says(&all, subject, Is::InTheWay);
        assert!(
            said.iter().any(|one| one.contains(word)),
            "{subject}: {all:?}"
        );
    }
    assert!(says(&all, "GitRepository/acme/acme", Is::InTheWay).is_empty());
}

#[test]
fn what_only_flux_serves_stays_and_is_named() {
    let mut bucket = kustomization("acme/bucket", "acme/acme");
    bucket["spec"]["sourceRef"]["kind"] = json!("Bucket");
    let mut itself = kustomization("flux-system/flux-system", "flux-system/flux-system");
    itself["status"]["inventory"]["entries"] = json!([{
        "id": "_buckets.source.toolkit.fluxcd.io_apiextensions.k8s.io_CustomResourceDefinition", "v": "v1",
    }]);
    let found = Found {
        kustomizations: vec![bucket, itself],
        others: vec![object("HelmRelease", "acme/web", json!({}))],
        ..Found::default()
    };
    let all = told(&found);
    for (subject, word) in [
        (
            "Kustomization/acme/bucket",
            "Bucket.source.toolkit.fluxcd.io \"acme\" not found",
        ),
        (
            "Kustomization/flux-system/flux-system",
            "applies Flux itself",
        ),
        ("HelmRelease/acme/web", "helm-controller"),
    ] {
        let said = says(&all, subject, Is::Stays);
        assert!(
            said.iter().any(|one| one.contains(word)),
            "{subject}: {all:?}"
        );
    }
    let unit = goes(&found, &["acme", "flux-system"], Whose::Reeve);
    assert!(unit.members.is_empty(), "{unit:?}");
    assert_eq!(unit.stays.len(), 2, "{unit:?}");
}

#[test]
fn what_is_applied_from_what_others_keep_goes_where_we_read_that_and_its_source_stays() {
    let ours = "--watch-label-selector=sharding.fluxcd.io/key=reeve";
    let at = |host: &str| format!("http://{host}/ocirepository/acme/image/a.tar.gz");
    let flux = at("source-controller.flux-system.svc.cluster.local.");
    let told_so = json!([ours, "--allow-artifact-hosts", "a.example,shelf.example"]);
    let elsewhere = json!([ours, "--platform-namespaces=delivery,tools"]);
    for (says_what, version, url, args, why) in [
        ("no controller", "v1", flux.as_str(), None, None),
        (
            "the usual one",
            "v1",
            flux.as_str(),
            Some(json!([ours])),
            None,
        ),
        (
            "in its own namespace",
            "v1",
            at("source-controller.delivery.svc").as_str(),
            Some(json!([ours])),
            None,
        ),
        (
            "a named host",
            "v1",
            at("shelf.example").as_str(),
            Some(told_so),
            None,
        ),
        (
            "another host",
            "v1",
            at("shelf.example").as_str(),
            Some(json!([ours])),
            Some("no host that the platform names"),
        ),
        (
            "another platform",
            "v1",
            flux.as_str(),
            Some(elsewhere),
            Some("no host that the platform names"),
        ),
        (
            "an older kind",
            "v1beta2",
            flux.as_str(),
            None,
            Some("no matches for kind"),
        ),
        ("nothing yet", "v1", "", None, Some("artifact not found")),
    ] {
        let mut web = kustomization("acme/web", "acme/image");
        web["spec"]["sourceRef"]["kind"] = json!("OCIRepository");
        let mut image = object("OCIRepository", "acme/image", json!({}));
        image["apiVersion"] = json!(format!("source.toolkit.fluxcd.io/{version}"));
        if !url.is_empty() {
            let digest = format!("sha256:{}", "0".repeat(64));
            image["status"]["artifact"] =
                json!({"url": url, "digest": digest, "revision": "latest"});
        }
        let deployment = |args: Value| {
            json!({
                "metadata": {"namespace": "delivery", "name": "reeve"},
                "spec": {"template": {"spec": {"containers": [{"args": args}]}}},
            })
        };
        let found = Found {
            kustomizations: vec![web],
            others: vec![image],
            ours: args.into_iter().map(deployment).collect(),
            ..Found::default()
        };
        let all = told(&found);
        let source = says(&all, "OCIRepository/acme/image", Is::Stays);
        assert_eq!(source.len(), 1, "{says_what}: {all:?}");
        let stays = says(&all, "Kustomization/acme/web", Is::Stays);
        let unit = goes(&found, &["acme"], Whose::Reeve);
        assert_eq!(unit.in_the_way, [], "{says_what}");
        let Some(why) = why else {
            assert_eq!(stays.len(), 0, "{says_what}: {all:?}");
            assert_eq!(subjects(&unit), ["Kustomization/acme/web"], "{says_what}");
            let notes = says(&all, "Kustomization/acme/web", Is::Note);
            let left = "OCIRepository/acme/image stays where it is";
            assert!(notes.iter().any(|one| one.starts_with(left)), "{all:?}");
            continue;
        };
        assert!(stays.iter().any(|one| one.contains(why)), "{all:?}");
        assert!(unit.members.is_empty(), "{says_what}: {unit:?}");
        let next = unit.stays.iter().filter_map(|one| one.next.as_deref());
        assert!(
            next.clone()
                .all(|one| one.ends_with("it can be taken over"))
                && next.count() == 1,
            "{says_what}: {unit:?}"
        );
    }
}

#[test]
fn a_source_that_a_chart_is_made_from_stays_where_it_is() {
    let chart =
        json!({"chart": {"spec": {"sourceRef": {"kind": "GitRepository", "name": "acme"}}}});
    let found = Found {
        sources: vec![source("acme/acme")],
        kustomizations: vec![kustomization("acme/web", "acme/acme")],
        others: vec![object("HelmRelease", "acme/web", chart)],
        ..Found::default()
    };
    let unit = goes(&found, &["acme"], Whose::Reeve);
    let said = says(&unit.in_the_way, "GitRepository/acme/acme", Is::InTheWay);
    assert!(
        said.iter().any(|one| one.contains("HelmRelease/acme/web")),
        "{unit:?}"
    );
}

#[test]
fn who_reads_a_source_that_goes_and_stays_behind_is_told_with_it() {
    let sources = json!({"sources": [
        {"alias": "a", "kind": "Bucket", "name": "both", "namespace": "config"},
        {"alias": "b", "kind": "GitRepository", "name": "both", "namespace": "config"},
    ]});
    let mut itself = kustomization("flux-system/flux-system", "config/both");
    itself["status"]["inventory"]["entries"] = json!([{
        "id": "_buckets.source.toolkit.fluxcd.io_apiextensions.k8s.io_CustomResourceDefinition", "v": "v1",
    }]);
    let found = Found {
        sources: vec![source("config/both"), source("acme/acme")],
        kustomizations: vec![
            kustomization("acme/web", "acme/acme"),
            kustomization("acme/both", "config/both"),
            taken(kustomization("beta/both", "config/both")),
            itself,
        ],
        others: vec![
            object("ArtifactGenerator", "acme/both", sources),
            object("ArtifactGenerator", "acme/other", json!({"sources": []})),
        ],
        ..Found::default()
    };
    let all = told(&found);
    assert_eq!(
        says(&all, "GitRepository/config/both", Is::Note),
        [
            "Kustomization/acme/both reads it from reeve's artifacts until it is handed over, too",
            "Kustomization/flux-system/flux-system stays with Flux and goes on reading it, then from reeve's artifacts",
            "ArtifactGenerator/acme/both goes on reading it, then from reeve's artifacts",
        ]
    );
    let beside = says(&all, "GitRepository/acme/acme", Is::Note);
    assert!(beside.is_empty(), "{all:?}");
}

#[test]
fn a_namespace_goes_with_the_sources_that_it_reads_and_those_go_first() {
    let mut including = source("config/acme");
    including["spec"]["include"] = json!([{"repository": {"name": "common"}}]);
    let found = Found {
        sources: vec![including, source("config/common"), source("config/beta")],
        kustomizations: vec![
            kustomization("acme/web", "config/acme"),
            kustomization("beta/web", "config/beta"),
        ],
        ..Found::default()
    };
    let unit = goes(&found, &["acme"], Whose::Reeve);
    assert_eq!(
        subjects(&unit),
        [
            "GitRepository/config/acme",
            "GitRepository/config/common",
            "Kustomization/acme/web"
        ]
    );
    assert_eq!(unit.in_the_way, []);
}

#[test]
fn on_the_way_back_a_source_stays_as_long_as_one_of_ours_reads_it() {
    let mut found = Found {
        sources: vec![taken(source("config/both"))],
        kustomizations: vec![
            taken(kustomization("acme/web", "config/both")),
            taken(kustomization("beta/web", "config/both")),
        ],
        ..Found::default()
    };
    let unit = goes(&found, &["acme"], Whose::Flux);
    assert_eq!(subjects(&unit), ["Kustomization/acme/web"]);
    assert_eq!(unit.in_the_way, []);
    // Its own namespace alone would leave us without it.
    let unit = goes(&found, &["config"], Whose::Flux);
    assert_eq!(unit.in_the_way.len(), 2, "{unit:?}");
    found.kustomizations.truncate(1);
    let unit = goes(&found, &["acme"], Whose::Flux);
    assert_eq!(
        subjects(&unit),
        ["GitRepository/config/both", "Kustomization/acme/web"]
    );
}

#[test]
fn who_waits_for_another_goes_with_it_or_after_it() {
    let mut found = Found {
        sources: vec![source("flux-system/a")],
        kustomizations: vec![
            depends(
                kustomization("flux-system/app", "flux-system/a"),
                json!({"name": "web", "namespace": "acme"}),
            ),
            kustomization("acme/web", "acme/acme"),
        ],
        ..Found::default()
    };
    let unit = goes(&found, &["flux-system"], Whose::Reeve);
    let said = says(
        &unit.in_the_way,
        "Kustomization/flux-system/app",
        Is::InTheWay,
    );
    assert_eq!(
        said,
        ["needs Kustomization/acme/web, which would be Flux's"]
    );
    assert_eq!(
        goes(&found, &["flux-system", "acme"], Whose::Reeve).in_the_way,
        []
    );
    found.kustomizations[1] = taken(kustomization("acme/web", "acme/acme"));
    assert_eq!(goes(&found, &["flux-system"], Whose::Reeve).in_the_way, []);
}

#[test]
fn a_controller_that_would_work_on_what_is_handed_over_is_in_the_way() {
    let deployment = |name: &str, replicas: i64, args: Value| {
        json!({
            "metadata": {"namespace": "flux-system", "name": name},
            "spec": {"replicas": replicas, "template": {"spec": {"containers": [{"args": args}]}}},
        })
    };
    let passes = "--watch-label-selector=!sharding.fluxcd.io/key";
    for (says, name, replicas, args, want) in [
        ("told", "source-controller", 1, json!([passes]), false),
        (
            "as two words",
            "source-controller",
            1,
            json!(["--watch-label-selector", "!sharding.fluxcd.io/key"]),
            false,
        ),
        (
            "not told",
            "kustomize-controller",
            1,
            json!(["--log-level=info"]),
            true,
        ),
        (
            "of a shard",
            "kustomize-controller-a",
            1,
            json!(["--watch-label-selector=sharding.fluxcd.io/key=a"]),
            false,
        ),
        (
            "told another",
            "notification-controller",
            1,
            json!(["--watch-label-selector=a=b"]),
            true,
        ),
        (
            "the last counts",
            "source-controller",
            1,
            json!([passes, "--watch-label-selector=a=b"]),
            true,
        ),
        ("stopped", "source-controller", 0, json!([]), false),
        ("of other kinds", "helm-controller", 1, json!([]), false),
    ] {
        let found = Found {
            flux: vec![deployment(name, replicas, args)],
            ..Found::default()
        };
        let all = told(&found);
        assert_eq!(
            all.iter().any(|one| one.is == Is::InTheWay),
            want,
            "{says}: {all:?}"
        );
        let is_in_the_way = !goes(&found, &["acme"], Whose::Reeve).in_the_way.is_empty();
        assert_eq!(is_in_the_way, want, "{says}");
    }
    for (args, want) in [
        (
            json!([
                "controller",
                "--watch-label-selector=sharding.fluxcd.io/key=reeve"
            ]),
            false,
        ),
        (json!(["controller"]), true),
    ] {
        let found = Found {
            ours: vec![deployment("reeve", 1, args)],
            sources: vec![source("acme/acme")],
            ..Found::default()
        };
        assert_eq!(told(&found).iter().any(|one| one.is == Is::InTheWay), want);
    }
}

fn started(name: &str, args: Value) -> Value {
    json!({
        "metadata": {"namespace": "flux-system", "name": name},
        "spec": {"replicas": 1, "template": {"spec": {"containers": [{"args": args}]}}},
    })
}

/// All is handed over, and none of Flux's controllers is there.
fn over() -> Found {
    let ours = started(
        "reeve",
        json!(["--watch-label-selector=sharding.fluxcd.io/key=reeve"]),
    );
    Found {
        ours: vec![ours],
        sources: vec![taken(source("acme/acme"))],
        kustomizations: vec![taken(kustomization("acme/acme", "acme/acme"))],
        others: vec![object("ImagePolicy", "acme/newest", json!({}))],
        ..Found::default()
    }
}

fn last(found: &Found) -> Vec<Finding> {
    let (grounds, tenants) = (grounds(), tenants());
    let ground = Ground {
        grounds: &grounds,
        tenants: &tenants,
    };
    last_step(found, ground)
}

/// What the report says of our selector, as long as it is the one for migrating.
fn of_the_selector(found: &Found) -> Vec<String> {
    let all = told(found);
    let ours = says(&all, "Deployment/flux-system/reeve", Is::Note);
    ours.into_iter().map(str::to_owned).collect()
}

#[test]
fn reeve_may_follow_everything_once_nothing_is_left_that_flux_would_work_on_too() {
    assert!(last(&over()).is_empty(), "{:?}", last(&over()));
    let said = of_the_selector(&over());
    assert!(said[1].starts_with("may follow everything"), "{said:?}");
    let passes = json!(["--watch-label-selector=!sharding.fluxcd.io/key"]);
    let mut stopped = started("kustomize-controller", passes.clone());
    stopped["spec"]["replicas"] = json!(0);
    let mut itself = kustomization("flux-system/flux-system", "acme/acme");
    itself["status"]["inventory"]["entries"] = json!([{
        "id": "_buckets.source.toolkit.fluxcd.io_apiextensions.k8s.io_CustomResourceDefinition", "v": "v1",
    }]);
    type Change = Box<dyn Fn(&mut Found)>;
    let rows: [(&str, Change); 6] = [
        (
            "Deployment/flux-system/source-controller",
            Box::new(move |it: &mut Found| {
                it.flux = vec![started("source-controller", passes.clone())];
            }),
        ),
        (
            "Deployment/flux-system/kustomize-controller",
            Box::new(move |it: &mut Found| it.flux = vec![stopped.clone()]),
        ),
        (
            "Kustomization/flux-system/flux-system",
            Box::new(move |it: &mut Found| it.kustomizations.push(itself.clone())),
        ),
        (
            "GitRepository/acme/charts",
            Box::new(|it: &mut Found| it.sources.push(source("acme/charts"))),
        ),
        (
            "Receiver/acme/hook",
            Box::new(|it: &mut Found| {
                it.receivers
                    .push(object("Receiver", "acme/hook", json!({})));
            }),
        ),
        (
            "cluster",
            Box::new(|it: &mut Found| it.unread.push("listing Receivers failed".to_owned())),
        ),
    ];
    for (subject, change) in rows {
        let mut found = over();
        change(&mut found);
        let left = last(&found);
        assert_eq!(left.len(), 1, "{subject}: {left:?}");
        assert_eq!(left[0].subject, subject);
        assert!(
            left[0].is == Is::InTheWay && left[0].next.is_some(),
            "{left:?}"
        );
        let said = of_the_selector(&found);
        assert!(
            said[1].starts_with("has to keep its selector"),
            "{subject}: {said:?}"
        );
        // Told to follow everything all the same.
        found.ours = vec![started("reeve", json!(["--watch-label-selector="]))];
        let subject_of_ours = "Deployment/flux-system/reeve";
        let all = told(&found);
        assert_eq!(
            says(&all, subject_of_ours, Is::InTheWay).len(),
            1,
            "{subject}: {all:?}"
        );
    }
}

#[test]
fn what_only_flux_serves_is_in_the_way_of_its_end_and_not_in_ours() {
    for kind in ["HelmRelease", "OCIRepository", "Bucket", "Alert"] {
        let mut found = over();
        found.others.push(object(kind, "acme/stays", json!({})));
        let left = last(&found);
        assert_eq!(left.len(), 1, "{kind}: {left:?}");
        assert_eq!(left[0].subject, format!("{kind}/acme/stays"));
        assert!(left[0].is == Is::InTheWay && left[0].next.is_some());
        let all = told(&found);
        assert!(all.iter().all(|one| one.is != Is::InTheWay), "{all:?}");
    }
}

#[test]
fn who_follows_everything_where_nothing_of_fluxs_is_left_is_in_nobodys_way() {
    let mut found = over();
    found.flux = vec![started("helm-controller", json!([]))];
    assert!(last(&found).is_empty(), "{:?}", last(&found));
    for args in [json!(["controller"]), json!(["--watch-label-selector="])] {
        found.ours = vec![started("reeve", args)];
        let all = told(&found);
        assert!(all.iter().all(|one| one.is != Is::InTheWay), "{all:?}");
    }
    // It follows what was never ours to hand over.
    found.ours = vec![started(
        "reeve",
        json!(["--watch-label-selector=team=acme"]),
    )];
    let all = told(&found);
    assert!(all.iter().any(|one| one.is == Is::InTheWay), "{all:?}");
}

#[test]
fn flux_works_on_what_we_do_unless_each_passes_over_what_is_the_others() {
    let ours = |selector: &str| {
        let args = json!([format!("--watch-label-selector={selector}")]);
        vec![started("reeve", args)]
    };
    let (label, passes) = ("sharding.fluxcd.io/key=reeve", "!sharding.fluxcd.io/key");
    for (theirs, ours, want) in [
        (passes, ours(label), false),
        ("team notin (acme)", ours("team=acme"), false),
        ("", ours(label), true),
        ("team=acme", ours(label), true),
        (passes, ours(""), true),
        (passes, vec![started("reeve", json!(["controller"]))], true),
        (passes, vec![], true),
        (passes, [ours(label), ours("")].concat(), true),
    ] {
        let args = json!([format!("--watch-label-selector={theirs}")]);
        let flux = [
            started("source-controller", args.clone()),
            started("helm-controller", args),
        ];
        let found = colliding(&flux, &ours);
        let all = ["flux-system/source-controller"];
        assert_eq!(found, all[..usize::from(want)], "{theirs} {ours:?}");
        let mut stopped = flux;
        stopped[0]["spec"]["replicas"] = json!(0);
        assert!(colliding(&stopped, &ours).is_empty(), "{theirs} {ours:?}");
    }
}

#[test]
fn what_flux_applied_itself_from_goes_once_its_components_are_out_of_it() {
    let mut itself = kustomization("flux-system/flux-system", "flux-system/flux-system");
    let entry = |id: &str| json!([{"id": id, "v": "v1"}]);
    let root = |entries: Value, mut of: Value| {
        of["status"]["inventory"]["entries"] = entries;
        let found = Found {
            sources: vec![source("flux-system/flux-system")],
            kustomizations: vec![of],
            ..Found::default()
        };
        goes(&found, &["flux-system"], Whose::Reeve)
    };
    let with =
        entry("_buckets.source.toolkit.fluxcd.io_apiextensions.k8s.io_CustomResourceDefinition");
    let unit = root(with, itself.clone());
    assert_eq!(subjects(&unit), ["GitRepository/flux-system/flux-system"]);
    let next = unit.stays[0].next.as_deref().unwrap_or_default();
    assert!(next.contains("spec.prune: false"), "{unit:?}");
    itself["spec"]["prune"] = json!(false);
    let without = entry("flux-system_acme_kustomize.toolkit.fluxcd.io_Kustomization");
    let unit = root(without, itself);
    let want = "Kustomization/flux-system/flux-system".to_owned();
    assert!(
        subjects(&unit).contains(&want) && unit.stays.is_empty(),
        "{unit:?}"
    );
}

#[test]
fn a_pod_that_was_started_with_other_arguments_is_in_the_way_until_it_is_gone() {
    let deployment = |name: &str, selector: &str, status: Value| {
        let args = json!([format!("--watch-label-selector={selector}")]);
        json!({
            "metadata": {"namespace": "flux-system", "name": name, "generation": 2},
            "spec": {"replicas": 1, "template": {"spec": {"containers": [{"args": args}]}}},
            "status": status,
        })
    };
    let status = |seen: i64, all: i64, updated: i64| json!({"observedGeneration": seen, "replicas": all, "updatedReplicas": updated});
    for (says_what, status, want) in [
        ("not seen", json!({}), true),
        ("not begun", status(1, 1, 1), true),
        ("both run", status(2, 2, 1), true),
        ("the old one runs", status(2, 1, 0), true),
        ("done", status(2, 1, 1), false),
        ("no pod", status(2, 0, 0), false),
    ] {
        let theirs = deployment(
            "kustomize-controller",
            "!sharding.fluxcd.io/key",
            status.clone(),
        );
        let ours = deployment("reeve", "sharding.fluxcd.io/key=reeve", status);
        for found in [
            Found {
                flux: vec![theirs],
                ..Found::default()
            },
            Found {
                ours: vec![ours],
                ..Found::default()
            },
        ] {
            let all = told(&found);
            let hindered = all.iter().find(|one| one.is == Is::InTheWay);
            assert_eq!(hindered.is_some(), want, "{says_what}: {all:?}");
            let next = hindered.and_then(|one| one.next.as_deref());
            assert!(
                next.is_none_or(|next| next.contains("rollout status deployment/")),
                "{says_what}: {next:?}"
            );
        }
    }
}

#[test]
fn what_could_not_be_read_is_in_the_way_of_everything() {
    let found = Found {
        unread: vec!["HelmReleases: forbidden".to_owned()],
        ..Found::default()
    };
    assert_eq!(goes(&found, &["acme"], Whose::Reeve).in_the_way.len(), 1);
}

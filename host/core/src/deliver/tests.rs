//! One delivery, one change of what lies there, one outcome.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reeve_api::deliver::{GitDelivery, Proposal};
use reeve_kustomize::Object;
use serde_json::{Value, json};

use super::*;
use crate::admit::{self, Circumstances, Rules};
use crate::bundle::{Bundle, Rendered};
use crate::plan::{Admitted, Inventory, Plan, Scope, Scopes};
use crate::spec::Spec;
use crate::tenancy::{Grounds, Tenant};
use crate::veil::Veil;

fn kustomization(annotations: &Value) -> Value {
    json!({
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"namespace": "infra", "name": "web", "annotations": annotations},
        "spec": {
            "interval": "10m",
            "prune": true,
            "targetNamespace": "infra",
            "sourceRef": {"kind": "GitRepository", "name": "web"},
        },
    })
}

fn spec(annotations: &Value) -> Result<Spec, crate::spec::Error> {
    Spec::parse(&serde_json::from_value(kustomization(annotations)).unwrap())
}

/// What the platform lets pass, as no rule is over it.
fn admitted(objects: &[Value]) -> Plan<Admitted> {
    let namespace = "infra".parse().unwrap();
    let tenant = Tenant::of_namespace(&namespace);
    let grounds = Grounds {
        platform_namespaces: BTreeSet::from([namespace]),
        config_namespaces: BTreeSet::new(),
        platform_service_account: "platform".parse().unwrap(),
        tenant_service_account: "flux".parse().unwrap(),
        remote_bases: Vec::new(),
        remote_clusters: Vec::new(),
    };
    let around = Circumstances {
        tenant: &tenant,
        grounds: &grounds,
        source: None,
        now: jiff::Timestamp::UNIX_EPOCH,
        veil: Veil::nothing(),
    };
    let (rules, object) = (Rules::shipped(), kustomization(&json!({})));
    let parsed = spec(&json!({})).unwrap();
    let (spec, _) = admit::spec(rules, &around, &object, parsed, None).unwrap();
    let objects = objects.iter();
    let objects = objects.map(|one| Object::try_from(one.clone()).unwrap());
    let bundle = Bundle::<Rendered>::built(objects.collect())
        .unwrap()
        .settled();
    let known = [
        (("", "ConfigMap"), Scope::Namespaced),
        (("", "Secret"), Scope::Namespaced),
        (("", "Namespace"), Scope::Cluster),
    ];
    let known = known.map(|((group, kind), scope)| ((group.to_owned(), kind.to_owned()), scope));
    let scopes = known.into_iter().collect::<Scopes>();
    let plan = Plan::propose(bundle, &scopes, &Inventory::default(), &spec).unwrap();
    admit::plan(rules, &around, &spec, plan, None, None)
        .unwrap()
        .0
}

fn owner() -> Owner {
    Owner::new(&"infra/web".parse().unwrap(), None)
}

fn map(name: &str, data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
}

fn two() -> Files {
    let objects = [map("a", &json!({"x": "1"})), map("b", &json!({}))];
    Files::of(&admitted(&objects), &owner(), Veil::nothing()).unwrap()
}

const A: &str = "infra/configmap-a.yaml";
const B: &str = "infra/configmap-b.yaml";

fn lying(files: &[(&str, &str)]) -> BTreeMap<String, Arc<[u8]>> {
    let files = files.iter();
    files
        .map(|(path, text)| ((*path).to_owned(), Arc::from(text.as_bytes())))
        .collect()
}

/// All as it was delivered, and these beside it.
fn delivered(more: &[(&str, &str)]) -> BTreeMap<String, Arc<[u8]>> {
    let settled = settle(&two(), &BTreeMap::new()).unwrap();
    let mut there = lying(more);
    for (path, text) in settled.write {
        there
            .entry(path)
            .or_insert_with(|| Arc::from(text.as_bytes()));
    }
    there
}

#[test]
fn an_object_is_a_file_that_says_whose_it_is_and_not_that_we_apply_it() {
    let settled = settle(&two(), &BTreeMap::new()).unwrap();
    assert_eq!(settled.write.keys().collect::<Vec<_>>(), [A, B]);
    assert_eq!(
        settled.write[A],
        "# Delivered by reeve for Kustomization infra/web. What is changed here is written over.\n\
         apiVersion: v1\ndata:\n  x: \"1\"\nkind: ConfigMap\nmetadata:\n  name: a\n  namespace: infra\n"
    );
    assert!(settled.remove.is_empty() && settled.adopted.is_empty());
}

#[test]
fn what_is_there_as_it_should_be_is_left_alone() {
    let settled = settle(&two(), &delivered(&[])).unwrap();
    assert!(settled.is_nothing(), "{settled:?}");
    assert_eq!(settled.there, two().digest());
}

#[test]
fn what_is_ours_and_no_longer_wanted_goes_and_what_is_not_ours_stays() {
    let gone = format!("{}\nkind: ConfigMap\n", owner());
    let of_another = format!(
        "{}\nkind: ConfigMap\n",
        Owner::new(&"infra/other".parse().unwrap(), None)
    );
    let settled = settle(
        &two(),
        &delivered(&[
            ("infra/configmap-gone.yaml", &gone),
            ("infra/configmap-theirs.yaml", &of_another),
            ("notes.yaml", "{{ no yaml"),
            (
                "other.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: z, namespace: infra}\n",
            ),
        ]),
    );
    let settled = settled.unwrap();
    assert_eq!(
        settled.remove,
        BTreeSet::from(["infra/configmap-gone.yaml".to_owned()])
    );
    assert!(
        settled.write.is_empty() && settled.adopted.is_empty(),
        "{settled:?}"
    );
}

#[test]
fn a_change_by_hand_is_written_over_whatever_ends_its_lines() {
    let by_hand = format!("{}\r\nkind: Changed\r\n", owner());
    let settled = settle(&two(), &delivered(&[(A, &by_hand)])).unwrap();
    assert_eq!(settled.write.keys().collect::<Vec<_>>(), [A]);
}

#[test]
fn an_object_that_somebody_wrote_there_is_taken_over_and_told() {
    let same = "# mine\nkind: ConfigMap\napiVersion: v1\nmetadata: {namespace: infra, name: a}\ndata: {x: '1'}\n";
    let other =
        "kind: ConfigMap\napiVersion: v1\nmetadata: {namespace: infra, name: b}\ndata: {x: '1'}\n";
    let settled = settle(&two(), &lying(&[("apps/a.yml", same), (B, other)])).unwrap();
    let told: Vec<_> = settled
        .adopted
        .iter()
        .map(|one| (one.path.as_str(), one.subject.as_str(), one.differs))
        .collect();
    assert_eq!(
        told,
        [
            ("apps/a.yml", "ConfigMap/infra/a", false),
            (B, "ConfigMap/infra/b", true)
        ]
    );
    assert_eq!(settled.remove, BTreeSet::from(["apps/a.yml".to_owned()]));
    assert_eq!(settled.write.keys().collect::<Vec<_>>(), [A, B]);
}

#[test]
fn what_is_taken_over_is_listed_where_it_is_now() {
    let old = "kind: ConfigMap\napiVersion: v1\nmetadata: {namespace: infra, name: a}\n";
    let list = "resources:\n- old.yaml\n";
    let there = lying(&[("old.yaml", old), ("kustomization.yaml", list)]);
    let settled = settle(&two(), &there).unwrap();
    let text = settled.write["kustomization.yaml"].as_bytes();
    let read = reeve_kustomize::parse_yaml(text, "kustomization.yaml").unwrap();
    assert_eq!(read[0], json!({"resources": [A, B]}));
    assert!(is_read("x/Kustomization") && settled.remove.contains("old.yaml"));
}

#[test]
fn what_is_in_the_way_is_never_written_over() {
    let another = format!(
        "{}\nkind: ConfigMap\n",
        Owner::new(&"beta/web".parse().unwrap(), None)
    );
    let cluster = format!(
        "{}\n",
        Owner::new(&"infra/web".parse().unwrap(), Some("east"))
    );
    let mixed =
        "kind: ConfigMap\napiVersion: v1\nmetadata: {namespace: infra, name: a}\n---\nkind: X\n";
    for (path, text, want) in [
        (A, another.as_str(), "of Kustomization beta/web"),
        (
            A,
            cluster.as_str(),
            "of Kustomization infra/web of cluster east",
        ),
        (
            A,
            "kind: ConfigMap\napiVersion: v1\nmetadata: {namespace: infra, name: b}\n",
            "alone",
        ),
        (A, "hello", "alone"),
        ("all.yaml", mixed, "and more"),
    ] {
        let why = settle(&two(), &lying(&[(path, text)])).unwrap_err();
        assert!(why.to_string().contains(want), "{why}");
        assert!(why.to_string().starts_with(path), "{why}");
        assert!(why.hint().is_some());
    }
}

#[test]
fn what_is_left_alone_on_a_cluster_is_left_alone_in_git() {
    let mut left = map("b", &json!({}));
    left["metadata"]["annotations"] = json!({"kustomize.toolkit.fluxcd.io/reconcile": "disabled"});
    let plan = admitted(&[map("a", &json!({"x": "1"})), left]);
    let files = Files::of(&plan, &owner(), Veil::nothing()).unwrap();
    assert_eq!(files.len(), 1);
    let settled = settle(&files, &delivered(&[])).unwrap();
    assert!(settled.is_nothing(), "{settled:?}");
}

#[test]
fn nothing_of_a_secret_is_written() {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}});
    let refused = Files::of(
        &admitted(&[map("a", &json!({})), secret]),
        &owner(),
        Veil::nothing(),
    );
    assert_eq!(
        refused.unwrap_err(),
        Refused::Secret("Secret/infra/key".to_owned())
    );
    let plan = admitted(&[map("a", &json!({"x": "say hunter2!"}))]);
    let veil = Veil::of(["hunter2".to_owned()]);
    let why = Files::of(&plan, &owner(), &veil).unwrap_err();
    assert_eq!(why, Refused::Veiled("ConfigMap/infra/a".to_owned()));
    assert!(!why.to_string().contains("hunter2"));
}

#[test]
fn nothing_of_a_secret_is_written_however_yaml_spells_it() {
    let long = "host=db.example.com port=5432 user=app password=hunter2hunter2 dbname=shop sslmode=verify-full connect_timeout=10";
    for value in [
        long,
        "#it's-me-2026",
        "secret \u{1F600} smile",
        "with\u{7f}delete and \u{85} next line",
        "one line\nand another\n",
        "\"quoted\" and \\ back",
        "4711471147",
    ] {
        let veil = Veil::of([value.to_owned()]);
        for data in [
            json!({"x": value}),
            json!({"x": format!("say {value} now")}),
        ] {
            let plan = admitted(&[map("a", &data)]);
            let refused = Files::of(&plan, &owner(), &veil);
            let want = Refused::Veiled("ConfigMap/infra/a".to_owned());
            assert_eq!(refused.unwrap_err(), want, "{data}");
        }
        let other = admitted(&[map("a", &json!({"x": "nothing of it"}))]);
        assert!(Files::of(&other, &owner(), &veil).is_ok(), "{value}");
    }
}

#[test]
fn a_directory_is_read_up_to_a_limit() {
    let mut size = Size::default();
    assert!(size.and(1).is_ok());
    assert!(size.and(1 << 40).is_err());
    assert!(is_read("a/b.yaml") && is_read("a.yml") && is_read("x.json"));
    assert!(!is_read("a.txt") && !is_read("yaml"));
}

fn given() -> GitDelivery {
    GitDelivery {
        url: "https://git.example/acme/clusters.git".to_owned(),
        branch: None,
        path_prefix: Some("clusters/east/".to_owned()),
        secret_ref: None,
        propose: None,
    }
}

fn placed(
    annotations: &Value,
    given: Option<&GitDelivery>,
    platform: bool,
) -> Result<Option<Place>, String> {
    let spec = spec(annotations).map_err(|why| why.to_string())?;
    let given = given.map(|git| Given {
        git,
        by: "Tenant infra",
    });
    let placed = place(&spec.id, &spec.deliver, given, platform);
    placed.map_err(|why| why.to_string())
}

#[test]
fn a_kustomization_is_delivered_where_it_or_whoever_is_above_it_says() {
    let own = json!({"reeve.dev/deliver": "git", "reeve.dev/deliver-to": "live"});
    let at = |place: Option<Place>| place.map(|place| place.directory);
    assert_eq!(placed(&json!({}), None, false).map(at), Ok(None));
    assert_eq!(
        placed(&own, None, false).map(at),
        Ok(Some("infra/web".to_owned()))
    );
    let mut there = own.clone();
    there["reeve.dev/deliver-path"] = json!("apps/demo");
    there["reeve.dev/deliver-propose"] = json!("pull-request");
    let place = placed(&there, None, false).unwrap().unwrap();
    assert_eq!(place.target, Target::Own("infra/live".parse().unwrap()));
    assert_eq!(place.directory, "apps/demo");
    assert_eq!(place.propose, Some(Proposal::default()));
    for (annotations, want) in [
        (json!({}), "clusters/east/infra/web"),
        (
            json!({"reeve.dev/deliver": "git"}),
            "clusters/east/infra/web",
        ),
        (
            json!({"reeve.dev/deliver-path": "x/y"}),
            "clusters/east/infra/x/y",
        ),
    ] {
        let place = placed(&annotations, Some(&given()), false);
        assert_eq!(place.map(at), Ok(Some(want.to_owned())));
    }
    // The platform's own may stay.
    let stays = json!({"reeve.dev/deliver": "cluster"});
    assert_eq!(placed(&stays, Some(&given()), true), Ok(None));
    assert_eq!(placed(&stays, None, false), Ok(None));
}

#[test]
fn nothing_is_delivered_into_the_directory_that_it_is_built_from_or_around_it() {
    for (built, delivered, want) in [
        ("apps/demo", "apps/demo", false),
        ("apps", "apps/demo", false),
        ("apps/demo", "apps", false),
        ("", "apps/demo", false),
        ("apps/demo", "apps/demo-live", true),
        ("apps/demo", "live/apps/demo", true),
    ] {
        let place = Place {
            target: Target::Given(given()),
            directory: delivered.to_owned(),
            propose: None,
        };
        let told = apart(&place, built);
        assert_eq!(told.is_ok(), want, "{built} {delivered}: {told:?}");
        if let Err(told) = told {
            assert_eq!(told.reason, Reason::InvalidSpec);
            assert!(told.message.contains("one lies in the other"), "{told}");
        }
    }
}

#[test]
fn a_path_is_below_a_directory_and_not_beside_it() {
    for (path, directory, want) in [
        ("made/a.yaml", "made", true),
        ("made/acme/a.yaml", "made", true),
        ("made", "made", true),
        ("made-up/a.yaml", "made", false),
        ("a.yaml", "made", false),
        ("a.yaml", "", true),
    ] {
        assert_eq!(is_below(path, directory), want, "{path} in {directory:?}");
    }
}

#[test]
fn nobody_leaves_the_place_that_is_given() {
    for (annotations, want) in [
        (
            json!({"reeve.dev/deliver": "cluster"}),
            "Tenant infra says where",
        ),
        (
            json!({"reeve.dev/deliver": "git", "reeve.dev/deliver-to": "live"}),
            "Tenant infra says where",
        ),
        (
            json!({"reeve.dev/deliver-path": "../beta/web"}),
            "deliver-path",
        ),
        (json!({"reeve.dev/deliver-path": "/etc"}), "deliver-path"),
        (
            json!({"reeve.dev/deliver-path": "x/.git/hooks"}),
            "deliver-path",
        ),
        (json!({"reeve.dev/deliver": "yes"}), "`git` or `cluster`"),
        (
            json!({"reeve.dev/deliver-to": "live"}),
            "without reeve.dev/deliver: git",
        ),
        (
            json!({"reeve.dev/deliver": "git", "reeve.dev/deliver-to": "beta/live"}),
            "deliver-to",
        ),
        (
            json!({"reeve.dev/deliver-propose": "merge"}),
            "pull-request",
        ),
    ] {
        let why = placed(&annotations, Some(&given()), false).unwrap_err();
        assert!(why.contains(want), "{annotations}: {why}");
    }
    let why = placed(&json!({"reeve.dev/deliver": "git"}), None, false).unwrap_err();
    assert!(why.contains("nothing says which repository"), "{why}");
    let wrong = GitDelivery {
        path_prefix: Some("../x".to_owned()),
        ..given()
    };
    let why = placed(&json!({}), Some(&wrong), false).unwrap_err();
    assert!(why.contains("pathPrefix of Tenant infra"), "{why}");
}

#[test]
fn a_commit_says_what_it_is_of_and_nobody_forges_its_trailers() {
    let (parsed, id) = (spec(&json!({})).unwrap(), "infra/web".parse().unwrap());
    let told = Told {
        id: &id,
        source: &parsed.source,
        revision: "feature/x\nReeve-Deliver: beta/evil@sha1:0123456789abcdef0123456789abcdef01234567",
        digest: two().digest(),
    };
    let said = message(&told);
    assert!(said.starts_with("Deliver infra/web at feature/x"), "{said}");
    let trailers: Vec<_> = said
        .lines()
        .filter(|line| line.starts_with("Reeve-"))
        .collect();
    assert_eq!(trailers.len(), 3, "{said}");
    assert_eq!(trailers[0], "Reeve-Deliver: infra/web");
    assert!(trailers[2].starts_with("Reeve-Digest: sha256:"));
    let settled = settle(&two(), &BTreeMap::new()).unwrap();
    let body = body(&told, "apps/demo", &settled);
    assert!(
        body.contains(&format!("Written:\n\n- `{A}`\n- `{B}`\n")),
        "{body}"
    );
}

#[test]
fn a_branch_of_a_proposal_is_known_again() {
    let id = "infra/web".parse().unwrap();
    let made = branch(&id, "0123456789abcdef");
    assert_eq!(made, "reeve/infra/web-01234567");
    assert!(is_branch_of(&id, &made));
    for other in [
        "main",
        "reeve/infra/web",
        "reeve/infra/web-",
        "reeve/infra/web-zz234567",
        "reeve/beta/web-01234567",
    ] {
        assert!(!is_branch_of(&id, other), "{other}");
    }
}

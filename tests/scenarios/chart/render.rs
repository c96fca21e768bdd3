//! What helm renders of the charts, and what becomes of values that are wrong.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use reeve_core::gitconfig::{self, Holds};
use reeve_tests::chart::Release;
use reeve_tests::install::{self, SYSTEM};
use reeve_tests::landlord::LANDLORD;
use reeve_tests::{Estate, objects, root, scenario};
use serde_json::{Value, json};

use super::{everything, with};
use crate::command;

/// Kinds of the Prometheus operator, which is not here.
const ELSEWHERE: [&str; 3] = ["PodMonitor", "PrometheusRule", "ServiceMonitor"];

#[test]
fn both_charts_pass_helms_strictest_lint() {
    scenario(async {
        let estate = Estate::shared().await?;
        let nothing = json!({});
        for (chart, values) in [
            ("charts/reeve", &nothing),
            ("charts/reeve", &everything()),
            ("charts/reeve-crds", &nothing),
        ] {
            let args = ["lint", "--strict", chart];
            let told = install::helm(&estate.plane, &args, Some(values)).await?;
            ensure!(told.contains("0 chart(s) failed"), "{told}");
            ensure!(!told.contains("[WARNING]"), "{told}");
        }
        Ok(())
    });
}

/// From the oldest that the chart takes on, also as those who offer clusters write them.
const VERSIONS: [&str; 8] = [
    "1.29.0",
    "1.29.15-gke.1000",
    "1.30.0",
    "1.31.4",
    "1.32.9-eks-113cf36",
    "1.33.0",
    "1.34.2+k3s1",
    "1.36.3",
];

#[test]
fn the_chart_renders_for_every_kubernetes_that_it_names_and_for_no_older_one() {
    scenario(async {
        for version in VERSIONS {
            let flag = format!("--kube-version={version}");
            for values in [json!({}), everything()] {
                let release = Release::render(SYSTEM, &values, &[&flag]).await;
                release.with_context(|| version.to_owned())?;
            }
        }
        let older = Release::render(SYSTEM, &json!({}), &["--kube-version=1.28.9"]).await;
        let why = format!("{:?}", older.err().context("1.28 is taken")?);
        ensure!(why.contains(">=1.29.0-0"), "{why}");
        Ok(())
    });
}

/// Whatever a change of the chart does to anybody's cluster is seen in a diff of these.
#[test]
fn the_rendered_charts_are_those_that_are_written_down() {
    scenario(async {
        for (name, values) in [("usual", json!({})), ("everything", everything())] {
            let release = Release::render(SYSTEM, &values, &["--kube-version=1.33.0"]).await?;
            let path = root().join(format!("tests/cases/chart/{name}.yaml"));
            if std::env::var_os("REEVE_BLESS").is_some() {
                std::fs::write(&path, release.text())?;
            }
            let want = std::fs::read_to_string(&path)?;
            let mut lines = want.lines().zip(release.text().lines()).enumerate();
            let other = lines.find(|(_, (want, is))| want != is);
            ensure!(
                release.text() == want,
                "{}: REEVE_BLESS=1 writes it anew; the first line that differs: {other:?}",
                path.display()
            );
        }
        Ok(())
    });
}

/// The API server takes all of them, and knows every field.
async fn are_taken(estate: &Estate, found: Vec<Value>) -> anyhow::Result<()> {
    let list = install::list(&found).to_string();
    let file = estate.plane.room("dry-run")?.join("objects.json");
    std::fs::write(&file, list)?;
    let file = format!("--filename={}", file.display());
    let how = [
        "apply",
        "--server-side",
        "--dry-run=server",
        "--force-conflicts",
    ];
    let args = [
        &how[..],
        &["--field-manager=chart", "--validate=strict", &file],
    ]
    .concat();
    let told = install::kubectl(&estate.plane, &args).await?;
    let lines = told
        .lines()
        .filter(|line| line.ends_with("(server dry run)"));
    ensure!(lines.count() == found.len(), "{told}");
    Ok(())
}

#[test]
fn every_object_of_the_chart_is_taken_by_the_api_server() {
    scenario(async {
        let estate = Estate::shared().await?;
        let usual = Release::render(SYSTEM, &with(&json!({})), &[]).await?;
        are_taken(estate, usual.objects().to_vec()).await?;

        let all = Release::render(SYSTEM, &everything(), &[]).await?;
        let kind = |object: &Value| {
            objects::text(object, "/kind")
                .unwrap_or_default()
                .to_owned()
        };
        let is_elsewhere = |object: &Value| ELSEWHERE.contains(&kind(object).as_str());
        let (elsewhere, here): (Vec<Value>, Vec<Value>) =
            all.objects().iter().cloned().partition(is_elsewhere);
        let kinds: BTreeSet<String> = elsewhere.iter().map(kind).collect();
        ensure!(kinds.len() == ELSEWHERE.len(), "{kinds:?}");
        let kinds: BTreeSet<String> = here.iter().map(kind).collect();
        for wanted in [
            "ConfigMap",
            "HorizontalPodAutoscaler",
            "Ingress",
            "NetworkPolicy",
            "Policy",
            "ValidatingWebhookConfiguration",
        ] {
            ensure!(kinds.contains(wanted), "{wanted} is not among {kinds:?}");
        }
        are_taken(estate, here).await
    });
}

#[test]
fn the_controller_takes_every_argument_that_the_chart_can_give_it() {
    scenario(async {
        let estate = Estate::shared().await?;
        let room = estate.plane.room("arguments")?;
        for values in [json!({}), everything()] {
            let release = Release::render(SYSTEM, &values, &[]).await?;
            for (deployment, verb) in [("reeve", "controller"), (LANDLORD, "landlord")] {
                let mut arguments = release.arguments_of(deployment)?;
                // Whatever stands before it has been read when it is.
                arguments.push("--help".to_owned());
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                let out = command::reeve(&arguments, &room)?;
                let why = String::from_utf8_lossy(&out.stderr);
                ensure!(out.status.success(), "{why}");
                let wrong = [&[verb, "--no-such-flag"], &arguments[1..]].concat();
                ensure!(
                    !command::reeve(&wrong, &room)?.status.success(),
                    "any flag is taken"
                );
            }
        }
        Ok(())
    });
}

#[test]
fn where_nothing_can_fence_it_there_is_no_landlord() {
    scenario(async {
        for version in VERSIONS {
            let (flag, there) = (
                format!("--kube-version={version}"),
                !version.starts_with("1.29"),
            );
            let release = Release::render(SYSTEM, &json!({}), &[&flag]).await?;
            for kind in ["Deployment", "ServiceAccount", "ValidatingAdmissionPolicy"] {
                let found = release.object(kind, LANDLORD).is_ok();
                ensure!(found == there, "{kind} in {version}");
            }
            let policies = release.text().matches("kind: ValidatingAdmissionPolicy\n");
            let wanted = if there { 4 } else { 0 };
            ensure!(policies.count() == wanted, "fences in {version}");
            // Nor a webhook that the controller may lead elsewhere.
            let (group, kind) = (
                "admissionregistration.k8s.io",
                "ValidatingWebhookConfiguration",
            );
            let asks = release.object(kind, "reeve").is_ok();
            ensure!(asks == there, "a webhook in {version}");
            let role = release.object("ClusterRole", "reeve")?.to_string();
            ensure!(role.contains(group) == there, "its right in {version}");
        }
        let off = json!({"landlord": {"enabled": false}});
        let release = Release::render(SYSTEM, &off, &[]).await?;
        ensure!(
            !release.text().contains(LANDLORD),
            "something of it is left"
        );
        // The controller's own fences go with no landlord, nor does that of who lets it act.
        for name in ["reeve-delivery", "reeve-leases", "reeve-onboarding"] {
            release.object("ValidatingAdmissionPolicy", name)?;
        }
        Ok(())
    });
}

#[test]
fn the_platforms_git_configuration_is_a_secret_of_the_chart_or_one_that_is_there() {
    scenario(async {
        let values = everything();
        let release = Release::render(SYSTEM, &values, &[]).await?;
        let secret = release.object("Secret", "reeve-git")?;
        let text = objects::text(secret, "/stringData/git.yaml").context("a file")?;
        let file = gitconfig::parse(text.as_bytes(), Holds::Secrets)?;
        let json = values["git"]["config"].to_string();
        ensure!(
            file == gitconfig::parse(json.as_bytes(), Holds::Secrets)?,
            "{text}"
        );
        let watched = objects::text(secret, "/metadata/labels/reconcile.fluxcd.io~1watch");
        ensure!(watched == Some("Enabled"), "{secret}");
        for (values, flag) in [
            (values, Some("--git-config=secret/reeve-git")),
            (
                json!({"git": {"existingSecret": "ours"}}),
                Some("--git-config=secret/ours"),
            ),
            (json!({}), None),
        ] {
            let arguments = Release::render(SYSTEM, &values, &[]).await?.arguments()?;
            let found = arguments
                .iter()
                .find(|flag| flag.starts_with("--git-config"));
            ensure!(found.map(String::as_str) == flag, "{arguments:?}");
        }
        Ok(())
    });
}

/// Flags that are no value: how the cluster is reached, that one replica works, and where what was compiled is kept.
const NO_VALUE: [&str; 5] = [
    "--context",
    "--help",
    "--kubeconfig",
    "--leader-elect",
    "--plugin-cache-dir",
];

#[test]
fn every_flag_of_the_controller_has_its_value_or_is_none_on_purpose() {
    scenario(async {
        let estate = Estate::shared().await?;
        let out = command::reeve(&["controller", "--help"], &estate.plane.room("arguments")?)?;
        let help = String::from_utf8(out.stdout)?;
        let flag = |line: &str| {
            let (_, flag) = line.trim_start().split_once("--")?;
            let end = flag.find([' ', '=']).unwrap_or(flag.len());
            line.trim_start()
                .starts_with('-')
                .then(|| format!("--{}", &flag[..end]))
        };
        let mut flags: BTreeSet<String> = help.lines().filter_map(flag).collect();
        ensure!(flags.len() > 30, "{flags:?}");
        let arguments = Release::render(SYSTEM, &everything(), &[])
            .await?
            .arguments()?;
        let name = |argument: &String| argument.split('=').next().unwrap_or_default().to_owned();
        let given: BTreeSet<String> = arguments.iter().map(name).collect();
        flags.retain(|flag| !given.contains(flag));
        ensure!(flags.iter().eq(&NO_VALUE), "without a value: {flags:?}");
        Ok(())
    });
}

/// Values, and what helm says of them.
const WRONG: [(&str, &str); 37] = [
    (r#"{"replica": 2}"#, "'replica' not allowed"),
    (
        r#"{"image": {"registry": "registry.example"}}"#,
        "'registry' not allowed",
    ),
    (r#"{"replicas": "two"}"#, "at '/replicas'"),
    (
        r#"{"replicas": 32, "sharding": {"enabled": true}}"#,
        "at '/replicas'",
    ),
    (
        r#"{"autoscaling": {"enabled": true}}"#,
        "only pods that share the work are faster",
    ),
    (
        r#"{"autoscaling": {"enabled": true, "minReplicas": 9}, "sharding": {"enabled": true}}"#,
        "minReplicas is more than maxReplicas",
    ),
    (
        r#"{"autoscaling": {"maxReplicas": 32}}"#,
        "at '/autoscaling/maxReplicas'",
    ),
    (r#"{"image": {"digest": "sha256:0"}}"#, "at '/image/digest'"),
    (
        r#"{"platformNamespaces": ["flux*"]}"#,
        "at '/platformNamespaces/0'",
    ),
    (
        r#"{"podSecurityContext": {"runAsUser": 0}}"#,
        "at '/podSecurityContext/runAsUser'",
    ),
    (
        r#"{"watchKinds": {"Secret": "secrets"}}"#,
        "invalid propertyName 'Secret'",
    ),
    (
        r#"{"watchKinds": {"Innocent": "secrets"}}"#,
        "Secrets are never watched",
    ),
    (
        r#"{"watchKinds": {"Deployment.apps": "*"}}"#,
        "at '/watchKinds/Deployment.apps'",
    ),
    (
        r#"{"tenantLimits": {"objects": 0}}"#,
        "at '/tenantLimits/objects'",
    ),
    (
        r#"{"landlord": {"roles": ["admin", "cluster-admin"]}}"#,
        "at '/landlord/roles/1'",
    ),
    // The binding of such a role would bear the name of another's.
    (
        r#"{"landlord": {"roles": ["admin", "delivery"]}}"#,
        "at '/landlord/roles/1'",
    ),
    (
        r#"{"serviceAccount": {"name": "reeve-landlord"}}"#,
        "reeve-landlord is the landlord's account",
    ),
    (
        r#"{"platformServiceAccount": {"name": "reeve-landlord"}}"#,
        "the controller may not act as it",
    ),
    (
        r#"{"storage": {"volume": {"persistentVolumeClaim": {"claimName": "one"}}}}"#,
        "'persistentVolumeClaim' not allowed",
    ),
    (
        r#"{"storage": {"volume": {"ephemeral": {}}}}"#,
        "at '/storage/volume'",
    ),
    (r#"{"listenOn": "localhost"}"#, "at '/listenOn'"),
    (r#"{"git": {"auths": []}}"#, "'auths' not allowed"),
    (
        r#"{"git": {"config": {"auths": []}, "existingSecret": "git"}}"#,
        "git: give config or existingSecret, not both",
    ),
    (
        r#"{"cluster": {"git": {"url": "git.example/x"}}}"#,
        "at '/cluster/git/url'",
    ),
    (
        r#"{"cluster": {"git": {"pathPrefix": "east"}}}"#,
        "'pathPrefix' not allowed",
    ),
    (
        r#"{"cluster": {"git": {"existing_secret": "ours"}}}"#,
        "cluster.git: credentials are of no use without url",
    ),
    (
        r#"{"cluster": {"git": {"url": "https://git.example/x.git", "credentials": {"ssh": {"private_key": "k"}}}}}"#,
        "cluster.git.credentials.ssh: url is not of ssh",
    ),
    (
        r#"{"rig": {"cluster": {"git": {"pathPrefix": "east"}}}}"#,
        "'pathPrefix' not allowed",
    ),
    (
        r#"{"cluster": {"git": {"url": "https://git.example/x.git"}}, "rig": {"cluster": {"git": {"branch": "main"}}}}"#,
        "give cluster.git or rig.cluster.git, not both",
    ),
    (r#"{"extraArgs": ["controller"]}"#, "at '/extraArgs/0'"),
    (
        r#"{"networkPolicy": {"apiServers": ["10.0.0.1"]}}"#,
        "at '/networkPolicy/apiServers/0'",
    ),
    (
        r#"{"platformServiceAccount": {"createIn": ["acme"]}}"#,
        "acme is not one of the platformNamespaces",
    ),
    (
        r#"{"policies": {"pod-security": {"mode": "deny"}}}"#,
        "at '/policies/pod-security/mode'",
    ),
    (
        r#"{"policies": {"pod-security": {"parameters": {"level": "strict"}}}}"#,
        "at '/policies/pod-security/parameters/level'",
    ),
    (
        r#"{"policies": {"pod-security": {"parameters": {"levels": "baseline"}}}}"#,
        "'levels' not allowed",
    ),
    (
        r#"{"policies": {"pod-security": {"scope": {"namespace": "acme"}}}}"#,
        "'namespace' not allowed",
    ),
    (
        r#"{"policies": {"target-namespace": {"enabled": true}}}"#,
        "'target-namespace' not allowed",
    ),
];

#[test]
fn where_pods_have_addresses_of_ipv6_everything_listens_on_those() {
    scenario(async {
        for on in ["[::]", "0.0.0.0"] {
            let values = json!({"listenOn": on});
            let release = Release::render(SYSTEM, &values, &[]).await?;
            for deployment in ["reeve", LANDLORD] {
                let args = release.arguments_of(deployment)?;
                let listens = |arg: &&String| arg.contains("-addr=") && !arg.contains("-adv-addr=");
                let listening: Vec<&String> = args.iter().filter(listens).collect();
                ensure!(!listening.is_empty(), "{deployment}: {args:?}");
                let wanted = format!("-addr={on}:");
                let all = listening.iter().all(|arg| arg.contains(&wanted));
                ensure!(all, "{deployment}: {listening:?}");
            }
        }
        Ok(())
    });
}

#[test]
fn values_that_are_unknown_or_wrong_are_refused_by_their_place() {
    scenario(async {
        for (values, words) in WRONG {
            let values: Value = serde_json::from_str(values)?;
            let rendered = Release::render(SYSTEM, &values, &[]).await;
            let why = rendered
                .err()
                .with_context(|| format!("{values} is taken"))?;
            let why = format!("{why:?}");
            ensure!(why.contains(words), "{values}: no {words:?} in {why}");
        }
        Ok(())
    });
}

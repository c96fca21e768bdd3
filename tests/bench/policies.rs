//! What policies cost: fifty of them over a bundle of a hundred objects, beside OPA.
//!
//! Asked are twice fifty: ordinary ones (`tests/bench/policies`), and the shipped ones over and over, each copy a package
//! of its own; over objects that all of them let pass: what denies ends no sooner. A question is what the controller asks before an apply: the document is converted once, and
//! every policy is put it. OPA is asked the same of the same modules: as a process (`opa eval`, which reads and compiles
//! them each time) and as a library (`tests/bench/opa`, which prepares the query once).

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use reeve_core::admit::{Rules, trial};
use reeve_core::library::LIBRARY;
use reeve_core::rego::Policy;
use reeve_tests::{binaries, root};
use serde_json::{Value, json};

const POLICIES: usize = 50;
const OBJECTS: usize = 100;
/// How long each number is measured.
const WHILE: Duration = Duration::from_secs(10);
/// How often `opa eval` is run.
const RUNS: usize = 5;

pub(crate) fn bench() -> anyhow::Result<()> {
    side_by_side("ordinary policies", &ordinary()?)?;
    side_by_side("shipped policies, over and over,", &shipped())
}

fn side_by_side(which: &str, modules: &BTreeMap<String, String>) -> anyhow::Result<()> {
    let document = document();
    let rules = rules(modules)?;
    say(&format!(
        "\n| {POLICIES} {which} over {OBJECTS} objects, {} kB | p50 | p99 | questions/s, 1 thread | 2 threads | ratio |\n|---|---|---|---|---|---|",
        document.to_string().len() / 1000
    ))?;
    ensure!(denials(&rules, &document) == 0, "they let the objects pass");
    let (one, mut times) = rate(&rules, &document, 1)?;
    let (two, _) = rate(&rules, &document, 2)?;
    times.sort();
    let at = |percent: usize| {
        let index = (times.len() * percent).div_ceil(100).saturating_sub(1);
        times
            .get(index)
            .map_or(0.0, |time| time.as_secs_f64() * 1000.0)
    };
    row("reeve", (at(50), at(99)), (one, two))?;
    let room = tempfile::tempdir()?;
    let policies = room.path().join("policies");
    std::fs::create_dir(&policies)?;
    for (name, source) in modules {
        std::fs::write(policies.join(format!("{name}.rego")), source)?;
    }
    std::fs::write(policies.join("answers.rego"), answers(modules))?;
    let data = json!({"parameters": parameters()}).to_string();
    std::fs::write(policies.join("data.json"), data)?;
    let input = room.path().join("input.json");
    std::fs::write(&input, document.to_string())?;
    library(room.path(), &policies, &input)?;
    process(&policies, &input)
}

fn row(who: &str, (p50, p99): (f64, f64), (one, two): (f64, f64)) -> std::io::Result<()> {
    let ratio = two / one.max(f64::EPSILON);
    say(&format!(
        "| {who} | {p50:.1} ms | {p99:.1} ms | {one:.1} | {two:.1} | {ratio:.2} |"
    ))
}

pub(crate) fn say(line: &str) -> std::io::Result<()> {
    writeln!(std::io::stdout().lock(), "{line}")
}

/// Name and source of fifty policies as platform teams write them: a loop or two over the objects, a few conditions.
fn ordinary() -> anyhow::Result<BTreeMap<String, String>> {
    let mut modules = BTreeMap::new();
    for entry in std::fs::read_dir(root().join("tests/bench/policies"))? {
        let path = entry?.path();
        let name = path.file_stem().and_then(|name| name.to_str());
        let name = name.context("a name")?.to_owned();
        modules.insert(name, std::fs::read_to_string(&path)?);
    }
    ensure!(modules.len() == POLICIES, "there are {POLICIES} of them");
    Ok(modules)
}

/// The same of the shipped ones.
fn shipped() -> BTreeMap<String, String> {
    let all = LIBRARY.iter().cycle().take(POLICIES).enumerate();
    all.map(|(number, shipped)| {
        let package = shipped.name.replace('-', "_");
        let source = shipped.source.replacen(
            &format!("package reeve.{package}\n"),
            &format!("package reeve.{package}_{number}\n"),
            1,
        );
        (format!("{package}_{number}"), source)
    })
    .collect()
}

fn rules(modules: &BTreeMap<String, String>) -> anyhow::Result<Rules> {
    let mut compiled = Vec::new();
    for (name, source) in modules {
        compiled.push(Policy::compile(name, source)?.given(&parameters())?);
    }
    Ok(Rules::new(compiled))
}

/// What is asked of OPA: every set that a policy has, as our engine is asked.
fn answers(modules: &BTreeMap<String, String>) -> String {
    let sets: Vec<String> = modules
        .keys()
        .map(|name| format!("data.reeve.{name}.deny"))
        .collect();
    format!("package answers\n\nall := [\n{}\n]\n", sets.join(",\n"))
}

fn parameters() -> Value {
    json!({
        "allowed": ["ConfigMap", "Service", "Deployment.apps", "Ingress.networking.k8s.io"],
        "registries": ["registry.example/acme", "docker.io"],
        "domains": {"acme": ["*.acme.example"]},
        "labels": {"team": "", "cost-centre": "[0-9]{4}"},
        "level": "restricted",
    })
}

/// A hundred objects of a shop, as they would be applied.
fn document() -> Value {
    let objects = (0..OBJECTS).map(|number| match number % 4 {
        0 | 1 => deployment(number),
        2 => object(
            number,
            "",
            "Service",
            &json!({"spec": {"selector": {"app": "shop"}, "ports": [{"port": 80}]}}),
        ),
        _ if number % 8 == 3 => object(
            number,
            "networking.k8s.io",
            "Ingress",
            &json!({"spec": {"rules": [{"host": format!("shop-{number}.acme.example")}]}}),
        ),
        _ => object(
            number,
            "",
            "ConfigMap",
            &json!({"data": {"colour": "blue", "size": "large"}}),
        ),
    });
    json!({
        "phase": "plan",
        "kustomization": {
            "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization",
            "metadata": {"namespace": "acme", "name": "shop", "generation": 3},
            "spec": {"serviceAccountName": "flux", "targetNamespace": "acme", "interval": "10m", "prune": true,
                "sourceRef": {"kind": "GitRepository", "name": "shop"}},
        },
        "tenant": {"name": "acme", "namespaces": ["acme"]},
        "source": {"kind": "GitRepository", "namespace": "acme", "name": "shop", "verified": true},
        "platform": {"namespaces": ["flux-system"], "configNamespaces": ["config"]},
        "objects": objects.collect::<Vec<_>>(),
    })
}

pub(crate) fn deployment(number: usize) -> Value {
    let container = |name: &str| {
        json!({
            "name": name, "image": format!("registry.example/acme/{name}:1.{number}"),
            "env": [{"name": "COLOUR", "value": "blue"}, {"name": "REGION", "value": "north"}],
            "ports": [{"containerPort": 8080}],
            "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
            "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}},
        })
    };
    let pod = json!({
        "serviceAccountName": "shop",
        "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container("web"), container("proxy")],
    });
    let template = json!({"metadata": {"labels": {"app": "shop"}}, "spec": pod});
    let spec =
        json!({"replicas": 2, "selector": {"matchLabels": {"app": "shop"}}, "template": template});
    object(number, "apps", "Deployment", &json!({"spec": spec}))
}

pub(crate) fn object(number: usize, group: &str, kind: &str, more: &Value) -> Value {
    let name = format!("shop-{number}");
    let version = match group {
        "" => "v1".to_owned(),
        group => format!("{group}/v1"),
    };
    let labels = json!({"app": "shop", "team": "shop", "cost-centre": "4711"});
    let mut manifest = json!({
        "apiVersion": version, "kind": kind,
        "metadata": {"namespace": "acme", "name": name, "labels": labels},
    });
    if let (Some(into), Some(more)) = (manifest.as_object_mut(), more.as_object()) {
        into.extend(more.clone());
    }
    json!({
        "action": "apply", "id": format!("acme_{name}_{group}_{kind}"), "group": group, "version": "v1",
        "kind": kind, "namespace": "acme", "name": name, "object": manifest,
    })
}

fn denials(rules: &Rules, document: &Value) -> usize {
    let trial = trial::of_document(rules, document.clone());
    trial.answers.findings.len()
}

/// Questions in a second when so many threads ask without end, and how long each took.
fn rate(rules: &Rules, document: &Value, threads: usize) -> anyhow::Result<(f64, Vec<Duration>)> {
    let begun = Instant::now();
    let ask = || {
        let mut times = Vec::new();
        while begun.elapsed() < WHILE {
            // The document is the caller's; making it is not asked for.
            let document = document.clone();
            let asked = Instant::now();
            let trial = trial::of_document(rules, document);
            times.push(asked.elapsed());
            drop(trial);
        }
        times
    };
    let all = thread::scope(|scope| -> anyhow::Result<Vec<Duration>> {
        let askers: Vec<_> = (0..threads).map(|_| scope.spawn(ask)).collect();
        let mut all = Vec::new();
        for asker in askers {
            match asker.join() {
                Ok(times) => all.extend(times),
                Err(_) => bail!("a thread that asks has failed"),
            }
        }
        Ok(all)
    })?;
    Ok((all.len() as f64 / begun.elapsed().as_secs_f64(), all))
}

/// OPA's library, in a program of ours.
fn library(room: &Path, policies: &Path, input: &Path) -> anyhow::Result<()> {
    let program = room.join("opa");
    let built = Command::new("go")
        .args(["build", "-o"])
        .arg(&program)
        .arg(".")
        .current_dir(root().join("tests/bench/opa"))
        .output();
    let built = match built {
        Ok(built) => built,
        Err(why) => {
            return Ok(say(&format!(
                "| OPA's library | not measured: go: {why} | | | | |"
            ))?);
        }
    };
    ensure!(
        built.status.success(),
        "go build: {}",
        String::from_utf8_lossy(&built.stderr)
    );
    let asked = Command::new(&program)
        .args([policies, input])
        .arg("data.answers.all")
        .arg(WHILE.as_secs().to_string())
        .output()?;
    ensure!(
        asked.status.success(),
        "opa: {}",
        String::from_utf8_lossy(&asked.stderr)
    );
    let told = String::from_utf8(asked.stdout)?;
    let (numbers, answer) = told.split_once('\n').context("two lines")?;
    nothing_denied(answer.trim())?;
    let numbers = numbers.split(' ').map(str::parse::<f64>);
    let numbers = numbers.collect::<Result<Vec<_>, _>>()?;
    let [p50, p99, one, two] = numbers.as_slice() else {
        bail!("four numbers, and not {told}");
    };
    row("OPA's library", (p50 / 1000.0, p99 / 1000.0), (*one, *two))?;
    Ok(())
}

/// `opa eval`, a process for each question.
fn process(policies: &Path, input: &Path) -> anyhow::Result<()> {
    let opa: PathBuf = match binaries::find("opa") {
        Ok(opa) => opa,
        Err(why) => {
            return Ok(say(&format!(
                "| `opa eval` | not measured: {why} | | | | |"
            ))?);
        }
    };
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let begun = Instant::now();
        let asked = Command::new(&opa)
            .args(["eval", "--format", "raw", "--data"])
            .arg(policies)
            .arg("--input")
            .arg(input)
            .arg("data.answers.all")
            .output()?;
        times.push(begun.elapsed());
        ensure!(
            asked.status.success(),
            "opa eval: {}",
            String::from_utf8_lossy(&asked.stderr)
        );
        nothing_denied(String::from_utf8(asked.stdout)?.trim())?;
    }
    times.sort();
    let ms = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1000.0);
    let (half, last) = (ms(times.get(RUNS / 2)), ms(times.last()));
    say(&format!(
        "| `opa eval`, a process each | {half:.0} ms | {last:.0} ms (the longest of {RUNS}) | | | |"
    ))?;
    Ok(())
}

/// OPA comes to the same: a list of fifty empty sets.
fn nothing_denied(answer: &str) -> anyhow::Result<()> {
    let answer: Value = serde_json::from_str(answer).with_context(|| answer.to_owned())?;
    let sets = answer.as_array().context("a list")?;
    let empty = sets
        .iter()
        .all(|set| set.as_array().is_some_and(Vec::is_empty));
    ensure!(
        sets.len() == POLICIES && empty,
        "OPA denies something: {answer}"
    );
    Ok(())
}

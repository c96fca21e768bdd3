//! Policies are read in a process of their own: what ends it, or keeps it busy, is told on the Policy, and nobody else waits.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use kube::api::DeleteParams;
use reeve_api::reason::Reason;
use reeve_tests::tenant::Tenant;
use reeve_tests::{Estate, controller, scenario, wait};
use serde_json::{Value, json};
use tokio::sync::RwLock;

use crate::admission;
use crate::rules::{RED, colour, minds, policies, policy, ready};

/// Rules whose tests think for as long as each is let: longer together than a policy may take.
fn endless() -> Value {
    let test = |n: usize| {
        let pairs = "some i in numbers.range(1, 9999); some j in numbers.range(1, 9999)";
        format!("test_{n} if {{\n\tcount([1 | {pairs}; i + j == {n}]) < 0\n}}\n\n")
    };
    let tests: String = (0..20).map(test).collect();
    json!({"files": {
        "colours.rego": minds("red"),
        "colours_test.rego": format!("package platform.colours_test\n\n{tests}"),
    }})
}

/// Held alone by who kills readers: controllers of other scenarios see the same policies, and readers read those too.
static HUNT: RwLock<()> = RwLock::const_new(());

#[test]
fn a_policy_that_is_not_read_to_its_end_is_told_within_seconds_while_others_go_on() {
    scenario(async {
        let _calm = HUNT.read().await;
        let estate = Estate::shared().await?;
        let kept = estate.healthy_tenant("unread-kept").await?;
        let held = estate.healthy_tenant("unread-held").await?;
        let beside = estate.healthy_tenant("unread-beside").await?;
        let good = json!({"files": {"colours.rego": minds("red")}});
        kept.apply(&policy(&kept, &good)).await?;
        ready(estate, kept.name(), Reason::Succeeded, "in force").await?;
        for tenant in [&kept, &held] {
            tenant.apply(&policy(tenant, &endless())).await?;
        }
        // It is told so only until the reader is ended, which may be before the other has been through all of this.
        let unread = held.told_of(Reason::DependencyNotReady, "has not been read yet");
        let goes_on = async {
            beside.apply(&policy(&beside, &good)).await?;
            ready(estate, beside.name(), Reason::Succeeded, "in force").await?;
            denied_red(&beside).await
        };
        tokio::try_join!(unread, goes_on)?;

        let takes = "reading it and running its tests takes";
        let told = ready(estate, kept.name(), Reason::PolicyFailed, takes).await?;
        let message = reeve_tests::objects::condition(&told.data, "Ready").unwrap_or_default();
        ensure!(message.message.contains("stays in force"), "{message:?}");
        denied_red(&kept).await?;
        ready(estate, held.name(), Reason::PolicyFailed, takes).await?;
        held.told_of(Reason::PolicyDenied, "not in force yet")
            .await?;
        for tenant in [&kept, &held] {
            policies(estate)
                .delete(tenant.name(), &DeleteParams::default())
                .await?;
        }
        Ok(())
    });
}

async fn denied_red(tenant: &Tenant<'_>) -> anyhow::Result<()> {
    let told = tenant
        .after(|draft| draft.commit("settings.yaml", RED))
        .await?;
    let words = &told.ready.message;
    ensure!(words.contains("settings is red"), "{words}");
    Ok(())
}

#[test]
fn a_reader_that_is_killed_is_told_and_one_for_which_nobody_waits_ends_at_once() {
    scenario(async {
        let _alone = HUNT.write().await;
        let estate = Estate::start().await?;
        let tenant = estate.healthy_tenant("killed").await?;
        let endless = policy(&tenant, &endless());
        tenant.apply(&endless).await?;
        let first = reader(&estate, 0).await?;
        ensure!(kill(&first), "it was not there");
        let told = "its reader was killed";
        ready(&estate, tenant.name(), Reason::PolicyFailed, told).await?;

        // It is read again by itself, and deleted meanwhile.
        let second = reader(&estate, first).await?;
        policies(&estate)
            .delete(tenant.name(), &DeleteParams::default())
            .await?;
        gone(second).await?;

        tenant.apply(&endless).await?;
        let third = reader(&estate, second).await?;
        let told = Instant::now();
        let ended = estate.controller.stop(Duration::from_secs(60));
        let ended = ended.context("it ran")?;
        ensure!(ended.code() == Some(0), "{ended}");
        let took = told.elapsed();
        ensure!(took < Duration::from_secs(5), "it stopped after {took:?}");
        gone(third).await
    });
}

/// Rules with tests that take a while, and come to an end.
fn slow() -> Value {
    let pairs = "some i in numbers.range(1, 2999); some j in numbers.range(1, 10)";
    let test =
        |n: usize| format!("test_{n} if {{\n\tcount([1 | {pairs}; i + j == {n}]) >= 0\n}}\n\n");
    let tests: String = (0..40).map(test).collect();
    json!({"files": {
        "colours.rego": minds("red"),
        "colours_test.rego": format!("package platform.colours_test\n\n{tests}"),
    }})
}

#[test]
fn while_every_reader_is_killed_nothing_is_let_pass_and_after_that_the_policy_is_read() {
    scenario(async {
        let _alone = HUNT.write().await;
        let estate = Estate::start().await?;
        let tenant = estate.healthy_tenant("hunted").await?;
        let controller = estate.controller.pid().context("it runs")?;
        let killed = Mutex::new(BTreeSet::new());
        tenant.apply(&policy(&tenant, &slow())).await?;
        tenant.commit([("settings.yaml", Some(RED))])?;
        tenant.call_hook().await?;
        wait::until(wait::PATIENCE, "three readers were killed", || async {
            let mut killed = killed.lock().ok()?;
            killed.extend(readers(controller).into_iter().filter(kill));
            (killed.len() >= 3).then_some(())
        })
        .await?;
        ensure!(colour(&tenant).await?.as_deref() == Some("green"));
        ready(&estate, tenant.name(), Reason::Succeeded, "in force").await?;
        tenant
            .told_of(Reason::PolicyDenied, "settings is red")
            .await?;
        ensure!(colour(&tenant).await?.as_deref() == Some("green"));
        Ok(())
    });
}

fn kill(id: &u32) -> bool {
    let ended = Command::new("kill")
        .args(["-KILL", &id.to_string()])
        .status();
    ended.is_ok_and(|ended| ended.success())
}

/// The process that reads a policy and has been at it for a while, and is another than `not`.
async fn reader(estate: &Estate, not: u32) -> anyhow::Result<u32> {
    let controller = estate.controller.pid().context("it runs")?;
    wait::until(wait::PATIENCE, "a policy is being read", || async {
        let mut all = readers(controller).into_iter();
        all.find(|id| *id != not && is_busy(*id))
    })
    .await
}

fn readers(of: u32) -> Vec<u32> {
    let parent = format!("PPid:\t{of}\n");
    let reads = |id: &u32| {
        let read = |file: &str| fs::read_to_string(format!("/proc/{id}/{file}"));
        read("status").is_ok_and(|status| status.contains(&parent))
            && read("cmdline").is_ok_and(|line| line.contains("read-policies"))
    };
    let all = fs::read_dir("/proc").into_iter().flatten();
    let ids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.filter(reads).collect()
}

/// Whether it has used a fifth of a second: most policies are read in less.
fn is_busy(id: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let used = stat.rsplit(") ").next().and_then(|fields| {
        let used = fields.split_whitespace().nth(11)?;
        used.parse::<u64>().ok()
    });
    used.is_some_and(|hundredths| hundredths >= 20)
}

/// Long before it would end by itself.
async fn gone(id: u32) -> anyhow::Result<()> {
    let soon = Duration::from_secs(3);
    let is_gone = || async { (!fs::exists(format!("/proc/{id}")).unwrap_or(true)).then_some(()) };
    wait::until(soon, "the reader is gone", is_gone).await
}

const SHIPPED: [&str; 8] = [
    "allowed-kinds",
    "allowed-registries",
    "ingress-hosts",
    "no-cluster-scope",
    "no-privilege-escalation",
    "pod-security",
    "protected-objects",
    "required-labels",
];

#[test]
fn a_replica_that_starts_with_many_policies_has_them_in_force_at_once_beside_some_that_never_end() {
    scenario(async {
        let _calm = HUNT.read().await;
        let estate = Estate::start().await?;
        let tenant = estate.healthy_tenant("many").await?;
        let named = |name: String, spec: &Value| {
            let mut one = policy(&tenant, spec);
            one["metadata"]["name"] = json!(name);
            one["spec"]["scope"] = json!({"namespaces": ["nobody"]});
            one
        };
        for n in 0..50 {
            let shipped = json!({"shipped": SHIPPED[n % SHIPPED.len()]});
            tenant
                .apply(&named(format!("shipped-{n}"), &shipped))
                .await?;
        }
        let rules = json!({"rego": minds("red")});
        tenant.apply(&policy(&tenant, &rules)).await?;
        in_force(&estate, 51.0).await.context("at first")?;
        let alone = restarted(&estate).await.context("alone")?;
        println!("51 policies are in force {alone:?} after the start");
        for n in 0..3 {
            let endless = named(format!("endless-{n}"), &endless());
            tenant.apply(&endless).await?;
        }
        let beside = restarted(&estate).await.context("beside")?;
        println!("beside 3 that never end: {beside:?}");
        denied_red(&tenant).await
    });
}

/// Starts the controller again, and says after how long its policies are in force.
async fn restarted(estate: &Estate) -> anyhow::Result<Duration> {
    estate.controller.kill();
    let begun = Instant::now();
    estate.controller.restart().await?;
    in_force(estate, 51.0).await?;
    Ok(begun.elapsed())
}

async fn in_force(estate: &Estate, count: f64) -> anyhow::Result<()> {
    let now = || async { estate.controller.sample(&["reeve_policy_in_force"]).await };
    let all = || async { now().await.is_ok_and(|now| now >= count).then_some(()) };
    // The machine may be busy with other scenarios.
    let patience = wait::PATIENCE * 2;
    let waited = wait::until(patience, "all policies are in force", all).await;
    let there = now().await;
    waited.with_context(|| format!("{there:?} of {count} are in force"))
}

#[test]
fn a_policy_that_takes_long_is_admitted_with_a_warning_and_keeps_no_other_from_being_refused() {
    scenario(async {
        let _calm = HUNT.read().await;
        let estate = admission::estate().await?;
        let unmade = |spec: &Value| {
            json!({
                "apiVersion": "reeve.dev/v1alpha1", "kind": "Policy",
                "metadata": {"name": "unmade"}, "spec": spec,
            })
        };
        let path = "/apis/reeve.dev/v1alpha1/policies?dryRun=All";
        let begun = Instant::now();
        let warning = admission::warning(&estate, path, &unmade(&endless())).await?;
        ensure!(warning.contains("was not read yet"), "{warning}");
        let took = begun.elapsed();
        ensure!(took < Duration::from_secs(5), "it took {took:?}");
        let broken = json!({"rego": "package a\n\ndeny contains x if {\n\tx := nosuch(1)\n}\n"});
        let refused = admission::refusal(&estate, &unmade(&broken), true).await?;
        let refused = refused.context("it is refused")?;
        ensure!(refused.contains("nosuch is not known"), "{refused}");
        Ok(())
    });
}

#[test]
fn a_command_that_its_policy_ends_says_so_and_exits_1() -> anyhow::Result<()> {
    let reeve = controller::program()?;
    let policies = reeve_tests::root().join("policies/pod-security");
    for verb in ["check", "test"] {
        // Room to start in, and too little for the stack on which policies are read.
        let script = format!(
            "ulimit -v 210000; exec timeout 120 {} policy {verb} {}",
            reeve.display(),
            policies.display()
        );
        let mut command = Command::new("sh");
        // Whoever wants backtraces gets an end, too.
        command.args(["-c", &script]).env("RUST_BACKTRACE", "1");
        let ended = command.output()?;
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        ensure!(ended.status.code() == Some(1), "{}: {said}", ended.status);
        ensure!(
            said.contains("reading the policies ended the process"),
            "{said}"
        );
    }
    Ok(())
}

//! What goes wrong between a git server and a cluster, and how it comes right again.
//!
//! In each story the tenant first pushes a change that must not arrive. What is told is read, what the
//! tenant holds is compared, the fault ends, and the change arrives without anybody's help.

use std::time::Duration;

use reeve_api::reason::Reason;
use reeve_tests::git::{Auth, HttpServer, KeyKind, Served, SshOptions, SshServer, keypair};
use reeve_tests::install::CONFIG;
use reeve_tests::tenant::{Tenant, says};
use reeve_tests::{Estate, objects, scenario, secrecy};
use serde_json::json;

const RED: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  colour: red\n";

/// A change that must not arrive yet.
fn turn_red(tenant: &Tenant<'_>) -> anyhow::Result<String> {
    tenant.commit([("settings.yaml", Some(RED))])
}

async fn nothing_was_written(tenant: &Tenant<'_>) -> anyhow::Result<()> {
    let changes = tenant.changes().await?;
    anyhow::ensure!(
        changes.is_empty(),
        "something was written:\n{}",
        changes.join("\n")
    );
    Ok(())
}

/// The commit arrives, and with it the change.
async fn arrives(tenant: &Tenant<'_>, commit: &str) -> anyhow::Result<()> {
    tenant.applied(commit).await?;
    let settings = tenant.api("v1", "ConfigMap").get("settings").await?;
    let colour = objects::text(&settings.data, "/data/colour");
    anyhow::ensure!(
        colour == Some("red"),
        "{commit} is applied, yet the colour is {colour:?}"
    );
    Ok(())
}

#[test]
fn a_server_with_another_host_key_is_not_trusted() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("stranger").await?;
        let ssh = SshServer::start(estate.repositories(), SshOptions::default())?;
        let identity = ssh.user_key(KeyKind::Ed25519, "")?;
        let known = ssh.known_hosts(&KeyKind::ALL)?;
        let dir = tempfile::tempdir()?;
        let (_, other) = keypair(&dir.path().join("other"), KeyKind::Ed25519, "")?;
        let wrong = format!("[127.0.0.1]:{} {other}", ssh.port());
        let with = |hosts| [("identity", identity.as_str()), ("known_hosts", hosts)];

        let commit = turn_red(&tenant)?;
        tenant
            .fetch_from(&ssh.url(tenant.name()), &with(&wrong))
            .await?;
        let told = tenant
            .source_told_of(Reason::AuthenticationFailed, "host key")
            .await?;
        assert!(told.message.contains("known_hosts"), "{}", told.message);
        nothing_was_written(&tenant).await?;

        // Nor is one that no line is about.
        let elsewhere = wrong.replace("127.0.0.1", "127.0.0.2");
        tenant.give_credential(&with(&elsewhere)).await?;
        tenant
            .source_told_of(Reason::AuthenticationFailed, "is not in known_hosts")
            .await?;
        nothing_was_written(&tenant).await?;

        tenant.give_credential(&with(&known)).await?;
        arrives(&tenant, &commit).await
    });
}

#[test]
fn an_expired_token_fetches_nothing_until_it_is_renewed() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("expired").await?;
        let [old, new] = [(); 2].map(|()| format!("glpat-{:032x}", rand::random::<u128>()));
        for token in [&old, &new] {
            secrecy::used_as("oauth2", token);
        }
        let auth = |token: &str| Auth::Basic("oauth2".to_owned(), token.to_owned());
        let served = Served {
            auth: auth(&old),
            ..Served::default()
        };
        let server = HttpServer::start(estate.repositories(), served).await?;
        let with = |token| [("username", "oauth2"), ("password", token)];
        tenant
            .fetch_from(&server.url(tenant.name()), &with(old.as_str()))
            .await?;
        tenant
            .source_told_of(Reason::Succeeded, "stored artifact")
            .await?;

        server.lets_in_only(auth(&new));
        let commit = turn_red(&tenant)?;
        tenant.call_hook().await?;
        let told = tenant
            .source_told_of(Reason::AuthenticationFailed, "authentication failed")
            .await?;
        assert!(
            told.message.contains("may have expired"),
            "it says whose turn: {}",
            told.message
        );
        nothing_was_written(&tenant).await?;

        tenant.give_credential(&with(new.as_str())).await?;
        arrives(&tenant, &commit).await
    });
}

#[test]
fn a_repository_that_is_gone_takes_nothing_with_it_and_is_found_again() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("gone").await?;
        let commit = turn_red(&tenant)?;
        let bare = tenant.repo().bare().to_owned();
        let away = bare.with_extension("away");
        std::fs::rename(&bare, &away)?;
        tenant.call_hook().await?;
        tenant
            .source_told_of(Reason::GitOperationFailed, "repository not found")
            .await?;
        nothing_was_written(&tenant).await?;

        std::fs::rename(&away, &bare)?;
        arrives(&tenant, &commit).await
    });
}

#[test]
fn an_empty_repository_waits_for_its_first_commit() {
    scenario(async {
        let estate = Estate::shared().await?;
        let name = estate.unique("empty");
        let repo = estate.repo(&name)?;
        let api_version = "source.toolkit.fluxcd.io/v1";
        let sources = objects::api(estate.admin(), api_version, "GitRepository", Some(CONFIG));
        let source = json!({
            "apiVersion": api_version, "kind": "GitRepository",
            "metadata": {"name": name, "namespace": CONFIG},
            "spec": {"interval": "1h", "url": estate.git.url(&name), "ref": {"branch": "main"}},
        });
        sources
            .create(&Default::default(), &serde_json::from_value(source)?)
            .await?;
        let patience = Duration::from_secs(60);
        let empty = Reason::EmptyGitRepository;
        let seen = says(patience, &sources, &name, empty, "git repository is empty").await?;
        assert_eq!(objects::text(&seen.data, "/status/artifact/revision"), None);

        let commit = repo.publish("settings.yaml", RED)?;
        says(patience, &sources, &name, Reason::Succeeded, &commit).await?;
        Ok(())
    });
}

#[test]
fn a_repository_that_was_emptied_prunes_nothing() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("emptied").await?;
        let bare = tenant.repo().bare();
        reeve_tests::git::git(bare, ["update-ref", "-d", "refs/heads/main"])?;
        tenant.call_hook().await?;
        tenant
            .source_told_of(Reason::EmptyGitRepository, "git repository is empty")
            .await?;
        nothing_was_written(&tenant).await?;

        let commit = turn_red(&tenant)?;
        arrives(&tenant, &commit).await
    });
}

/// What nobody compresses: 50 MB of it take 50 MB on the way and at rest.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..bytes.div_ceil(8))
        .flat_map(|_| next().to_le_bytes())
        .take(bytes)
        .collect()
}

/// Far below what holding a large file several times over would take.
const MOST_MEMORY_KIB: u64 = 512 << 10;

/// Held while the controller has something heavy in work: what it holds at most is that of one.
static HEAVY: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[test]
fn a_file_of_50_mb_is_delivered_and_a_larger_one_is_refused_in_words() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("large").await?;
        let _alone = HEAVY.lock().await;
        let patience = Duration::from_secs(240);
        let commit = tenant.commit([
            ("film.bin", Some(noise(50_000_000))),
            ("settings.yaml", Some(RED.as_bytes().to_vec())),
        ])?;
        tenant.call_hook().await?;
        tenant
            .told_within(patience, Reason::ReconciliationSucceeded, &commit)
            .await?;
        arrives(&tenant, &commit).await?;
        let before = tenant.objects().await?;

        let green = reeve_tests::tenant::MANIFESTS[0].1.as_bytes().to_vec();
        tenant.commit([
            ("film.bin", Some(noise(53_000_000))),
            ("settings.yaml", Some(green.clone())),
        ])?;
        tenant.call_hook().await?;
        let sources = tenant.sources();
        let failed = Reason::ArchiveOperationFailed;
        let seen = says(patience, &sources, tenant.name(), failed, "film.bin").await?;
        let ready = objects::condition(&seen.data, "Ready").unwrap_or_default();
        assert!(
            ready.message.contains("50 MiB"),
            "the limit is named: {}",
            ready.message
        );
        assert_eq!(
            tenant.objects().await?.changes_since(&before),
            Vec::<String>::new()
        );

        let smaller = [("film.bin", None), ("settings.yaml", Some(green))];
        let commit = tenant.commit(smaller)?;
        tenant.call_hook().await?;
        tenant
            .told_within(patience, Reason::ReconciliationSucceeded, &commit)
            .await?;
        let most = estate.controller.peak_kib().unwrap_or(u64::MAX);
        assert!(most < MOST_MEMORY_KIB, "the controller held {most} KiB");
        Ok(())
    });
}

#[test]
fn a_manifest_of_50_mb_is_refused_in_words_and_holds_nobody_up() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("huge").await?;
        let neighbour = estate.healthy_tenant("beside").await?;
        let _alone = HEAVY.lock().await;
        let patience = Duration::from_secs(120);
        let before = estate.controller.peak_kib();
        let line = "  one line of many, as somebody's generator writes them\n";
        let huge = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: huge\ndata:\n  text: |\n{}",
            format!("  {line}").repeat(50_000_000 / (line.len() + 2))
        );
        let red = RED.to_owned();
        tenant.commit([("huge.yaml", Some(huge)), ("settings.yaml", Some(red))])?;
        tenant.call_hook().await?;
        let commit = neighbour.commit([("settings.yaml", Some(RED))])?;
        neighbour.call_hook().await?;
        arrives(&neighbour, &commit).await?;

        let refused = Reason::ReconciliationFailed;
        let told = tenant
            .told_within(patience, refused, "/huge dry-run failed")
            .await?;
        let message = &told.ready.message;
        assert!(
            message.contains("split it: the API server takes"),
            "{message}"
        );
        nothing_was_written(&tenant).await?;
        let most = estate.controller.peak_kib();
        assert!(
            most.is_some_and(|most| most < MOST_MEMORY_KIB),
            "the controller held {most:?} KiB, {before:?} before"
        );

        let commit = tenant.commit([("huge.yaml", None::<&str>)])?;
        tenant.call_hook().await?;
        arrives(&tenant, &commit).await
    });
}

/// A manifest that cannot be built, and what is said of it: with the file, and the place in it.
const UNREADABLE: [(&str, &[u8], &str); 4] = [
    (
        "what is not UTF-8",
        b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: caf\xe9\n",
        "broken.yaml:4: is not UTF-8 at byte",
    ),
    (
        "what is not YAML",
        b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: broken\ndata:\n  a: b\n",
        "broken.yaml:4:5: is not valid YAML",
    ),
    (
        "what is indented with a tab",
        b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n\tname: broken\n",
        "broken.yaml:4:1: is not valid YAML",
    ),
    (
        "what is no object",
        b"colour: red\n",
        "broken.yaml:1: is no Kubernetes object",
    ),
];

#[test]
fn a_manifest_that_cannot_be_read_is_named_by_file_line_and_column() {
    scenario(async {
        let estate = Estate::shared().await?;
        let tenant = estate.healthy_tenant("unreadable").await?;
        for (says, content, words) in UNREADABLE {
            let red = RED.as_bytes();
            tenant.commit([("broken.yaml", Some(content)), ("settings.yaml", Some(red))])?;
            tenant.call_hook().await?;
            let told = tenant.told_of(Reason::BuildFailed, words).await;
            told.map_err(|why| why.context(says))?;
            nothing_was_written(&tenant)
                .await
                .map_err(|why| why.context(says))?;
        }
        let commit = tenant.commit([("broken.yaml", None::<&str>)])?;
        tenant.call_hook().await?;
        arrives(&tenant, &commit).await
    });
}

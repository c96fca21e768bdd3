//! The story, chapter by chapter: one tenant from an empty namespace to two denials.
//!
//! What a tenant or an administrator would type is typed here (kubectl, flux, git, a GET of the
//! hook); what is claimed is looked at by `scene`'s sights.

use anyhow::ensure;
use reeve_tests::Plane;
use reeve_tests::controller::Controller;
use reeve_tests::git::{Repo, SshOptions, SshServer};
use reeve_tests::install::{self, CONFIG};
use reeve_tests::landlord::Landlord;
use reeve_tests::objects::{self, Stock};
use reeve_tests::sight::{Seen, Sight};
use reeve_tests::story::Story;

use crate::scene::{APP, NEIGHBOUR, PROJECT, Scene, TENANT};

const PLUGIN: &str = include_str!("manifests/plugin.yaml");
const ONBOARDED: &str = include_str!("manifests/tenant.yaml");
const GIT_REPOSITORY: &str = include_str!("manifests/git-repository.yaml");
const KUSTOMIZATION: &str = include_str!("manifests/kustomization.yaml");
const RECEIVER: &str = include_str!("manifests/receiver.yaml");
const SAMPLE_APP: &str = include_str!("manifests/sample-app.yaml");
const NO_ACCOUNT: &str = include_str!("manifests/no-account.yaml");
const INTO_NEIGHBOUR: &str = include_str!("manifests/into-neighbour.yaml");

/// What turns the source down.
const SLOWER: &str = r#"{"spec":{"interval":"1h"}}"#;
const APP_FILE: &str = "sample-app.yaml";
/// The image of the sample app, and the one that the rollout brings.
const IMAGE: &str =
    "code.vt.edu:5005/it-common-platform/tenant-support/images/pilotfest-2021/first-image";

/// Sets the stage on a cluster: the git host, and reeve.
pub(crate) async fn curtain<'a>(story: &mut Story, plane: &'a Plane) -> anyhow::Result<Scene<'a>> {
    let (host, repo) = story
        .stage(
            "a git host starts, with ssh and a tenant's repository",
            async {
                let root = plane.room("git")?;
                let host = SshServer::start(&root, SshOptions::default())?;
                let repo = Repo::create(&root, &format!("{PROJECT}/{TENANT}"))?;
                repo.publish("README.md", "# sample-tenant\n")?;
                Ok((host, repo))
            },
        )
        .await?;
    let api =
        |api_version, kind, namespace| objects::api(plane.admin(), api_version, kind, namespace);
    let definitions = api("apiextensions.k8s.io/v1", "CustomResourceDefinition", None);
    let kinds = [
        "gitrepositories.source.toolkit.fluxcd.io",
        "kustomizations.kustomize.toolkit.fluxcd.io",
    ];
    let mut sights: Vec<Sight> = kinds
        .into_iter()
        .map(|name| established(definitions.clone(), name))
        .collect();
    let lease = api("coordination.k8s.io/v1", "Lease", Some(install::SYSTEM));
    sights.push(Sight::of(
        lease,
        "reeve-leader",
        "held by the controller",
        |lease| {
            objects::text(lease, "/spec/holderIdentity")
                .map(str::to_owned)
                .ok_or_else(|| "held by nobody".to_owned())
        },
    ));
    sights.push(Sight::ready(
        api("reeve.dev/v1alpha1", "ClusterPlugin", None),
        "stamp-labels",
        "True",
        "Succeeded",
    ));
    let deed = installed(plane);
    let ((controller, landlord), _) = story
        .step(
            "reeve is installed, leads, and has loaded the platform's plugin",
            sights,
            deed,
        )
        .await?;
    Ok(Scene {
        plane,
        host,
        repo,
        controller,
        _landlord: landlord,
    })
}

async fn installed(plane: &Plane) -> anyhow::Result<(Controller, Landlord)> {
    install::install(plane).await?;
    install::apply(plane, PLUGIN).await?;
    let controller = Controller::start(plane, &[]).await?;
    Ok((controller, Landlord::start(plane).await?))
}

fn established(definitions: kube::Api<kube::api::DynamicObject>, name: &str) -> Sight {
    Sight::of(definitions, name, "Established", |definition| {
        let it = objects::condition(definition, "Established").unwrap_or_default();
        if it.status == "True" {
            Ok(it.reason)
        } else {
            Err(format!("{it:?}"))
        }
    })
}

/// Everything after the curtain.
pub(crate) async fn all(story: &mut Story, scene: &Scene<'_>) -> anyhow::Result<()> {
    landlord(story, scene).await?;
    source(story, scene).await?;
    kustomization(story, scene).await?;
    arrival(story, scene).await?;
    webhook(story, scene).await?;
    rollout(story, scene).await?;
    drift(story, scene).await?;
    prune_and_restore(story, scene).await?;
    denied(
        story,
        scene,
        "a Kustomization without a ServiceAccount is denied",
        "no-account",
        NO_ACCOUNT,
    )
    .await?;
    denied(
        story,
        scene,
        "a Kustomization that targets a neighbour is denied",
        "into-neighbour",
        INTO_NEIGHBOUR,
    )
    .await?;
    epilogue(story, scene).await
}

/// One object, of which the landlord makes a namespace, an account and its rights: all that a tenant gets.
async fn landlord(story: &mut Story, scene: &Scene<'_>) -> anyhow::Result<()> {
    let deed = async {
        scene
            .kubectl(&format!("create namespace {NEIGHBOUR}"))
            .await?;
        scene.apply(ONBOARDED).await
    };
    let name = "a Tenant gets a namespace, a ServiceAccount, and the role admin in it";
    story.step(name, scene.bound(), deed).await?;
    Ok(())
}

/// The tenant's repository, over ssh, in the platform's namespace.
async fn source(story: &mut Story, scene: &Scene<'_>) -> anyhow::Result<()> {
    let url = scene.host.url(&format!("{PROJECT}/{TENANT}"));
    let manifest = GIT_REPOSITORY.replace("ssh://git@code.vt.edu/${PID}/sample-tenant", &url);
    let deed = async {
        let key = scene.deploy_key().await?;
        let file = |name, path| format!("--from-file={name}={}", key.join(path).display());
        let [identity, public] = [
            file("identity", "tenant-repo-key"),
            file("identity.pub", "tenant-repo-key.pub"),
        ];
        let hosts = file("known_hosts", "known_hosts");
        let secret = [
            "create",
            "secret",
            "generic",
            "flux-ssh-credentials",
            "-n",
            CONFIG,
        ];
        install::kubectl(
            scene.plane,
            &[&secret[..], &[&identity, &public, &hosts]].concat(),
        )
        .await?;
        scene.apply(&manifest).await
    };
    let sights = vec![scene.stored(&scene.head()?)];
    let name = "its repository is fetched over ssh, with a deploy key";
    let (_, seen) = story.step(name, sights, deed).await?;
    story.note(said(&seen));
    Ok(())
}

fn said(seen: &[Seen]) -> &str {
    seen.first().map_or("", |seen| &seen.says)
}

async fn kustomization(story: &mut Story, scene: &Scene<'_>) -> anyhow::Result<()> {
    let sights = vec![scene.applied(&scene.head()?)];
    let name = "its Kustomization is applied as the tenant's account";
    let (_, seen) = story.step(name, sights, scene.apply(KUSTOMIZATION)).await?;
    story.note(said(&seen));
    Ok(())
}

/// The sample app, as the tenant wrote it.
async fn arrival(story: &mut Story, scene: &Scene<'_>) -> anyhow::Result<()> {
    let mut sights = scene.stamped();
    sights.extend(scene.running());
    let before = scene.stock().await?;
    let reconcile = format!("reconcile kustomization {TENANT} -n {TENANT} --with-source");
    let deed = async {
        scene.repo.publish(APP_FILE, SAMPLE_APP)?;
        scene.flux(&reconcile).await
    };
    let name =
        "the sample app arrives (Service, Deployment, Certificate, Ingress), stamped, and runs";
    story.step(name, sights, deed).await?;
    story.note(&scene.kubectl(&format!("get pods -n {TENANT}")).await?);
    // What the denials below must not do: shown to be visible where it is allowed.
    let changes = changes(&before, &scene.stock().await?);
    ensure!(
        changes.len() >= APP.len(),
        "the stock did not show what was written: {changes:#?}"
    );
    Ok(())
}

async fn webhook(story: &mut Story, scene: &Scene<'_>) -> anyhow::Result<()> {
    let slower = format!("patch gitrepository {TENANT} -n {CONFIG} --type=merge -p {SLOWER}");
    let token = format!("{:032x}", rand::random::<u128>());
    let secret =
        format!("create secret generic -n {CONFIG} webhook-token --from-literal=token={token}");
    let deed = async {
        scene.kubectl(&slower).await?;
        scene.kubectl(&secret).await?;
        scene.apply(RECEIVER).await
    };
    let name = "the source slows down to 1h, and a Receiver gives it a webhook";
    story
        .step(name, vec![scene.listening(), scene.slow()], deed)
        .await?;
    Ok(())
}

/// A push and the hook: this is what the tenant feels every day.
async fn rollout(story: &mut Story, scene: &Scene<'_>) -> anyhow::Result<()> {
    let image = format!("{IMAGE}:second");
    let app = SAMPLE_APP.replace(&format!("{IMAGE}:latest"), &image);
    let sights = vec![scene.image(&image), scene.moved_on()?];
    let deed = async {
        scene.repo.publish(APP_FILE, &app)?;
        scene.call_hook().await
    };
    let (called, seen) = story
        .step("a push and the webhook roll out", sights, deed)
        .await?;
    let applied = seen.first().map_or(called, |seen| seen.at);
    let took = applied.saturating_duration_since(called).as_millis();
    story.note(&format!("applied {took} ms after the hook was called"));
    scene.told(&scene.head()?).await
}

/// Somebody changes by hand what git says.
async fn drift(story: &mut Story, scene: &Scene<'_>) -> anyhow::Result<()> {
    let by_hand = format!("{IMAGE}:by-hand");
    let set = format!("set image deployment/sample-app sample-app={by_hand} -n {TENANT}");
    let sights = vec![scene.image(&by_hand)];
    story
        .step(
            "somebody changes the image by hand",
            sights,
            scene.kubectl(&set),
        )
        .await?;
    let reconcile = format!("reconcile kustomization {TENANT} -n {TENANT}");
    let deed = scene.flux(&reconcile);
    story
        .step(
            "the change is reverted",
            vec![scene.image(&format!("{IMAGE}:second"))],
            deed,
        )
        .await?;
    Ok(())
}

/// A file goes, its objects go; `git revert` brings both back.
async fn prune_and_restore(story: &mut Story, scene: &Scene<'_>) -> anyhow::Result<()> {
    let mut sights = scene.pruned();
    sights.push(scene.moved_on()?);
    let deed = async {
        scene
            .repo
            .remove(APP_FILE)?
            .commit("Remove the sample app")?;
        scene.repo.push()?;
        scene.call_hook().await
    };
    story
        .step(
            "a file deleted in git is pruned, all four objects of it",
            sights,
            deed,
        )
        .await?;
    let removed = scene.head()?;
    scene.told(&removed).await?;
    let mut sights = scene.stamped();
    sights.extend(scene.running());
    sights.push(scene.moved_on()?);
    let deed = async {
        scene.repo.revert(&removed)?;
        scene.call_hook().await
    };
    story.step("git revert restores them", sights, deed).await?;
    scene.told(&scene.head()?).await
}

/// A Kustomization that policy denies: told so, and nothing written.
async fn denied(
    story: &mut Story,
    scene: &Scene<'_>,
    step: &str,
    name: &str,
    manifest: &str,
) -> anyhow::Result<()> {
    let before = scene.stock().await?;
    let sight = Sight::ready(scene.kustomizations(), name, "False", "PolicyDenied");
    let (_, seen) = story.step(step, vec![sight], scene.apply(manifest)).await?;
    story.note(seen.first().map_or("", |seen| &seen.says));
    let changes = changes(&before, &scene.stock().await?);
    ensure!(
        changes.is_empty(),
        "step \"{step}\"\n  expected:  nothing is written\n  last seen: {changes:#?}"
    );
    Ok(())
}

fn changes(before: &[Stock; 2], after: &[Stock; 2]) -> Vec<String> {
    after
        .iter()
        .zip(before)
        .flat_map(|(after, before)| after.changes_since(before))
        .collect()
}

/// What Flux's own command line makes of it.
async fn epilogue(story: &mut Story, scene: &Scene<'_>) -> anyhow::Result<()> {
    let all = story
        .stage("flux get all", scene.flux("get all --all-namespaces"))
        .await?;
    story.note(all.trim_end());
    ensure!(
        all.contains(TENANT),
        "step \"flux get all\" does not list {TENANT}"
    );
    Ok(())
}

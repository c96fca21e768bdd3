//! What the story claims, each as something to be seen on the API server.

use reeve_tests::objects;
use reeve_tests::sight::Sight;

use crate::scene::{APP, Scene, TENANT};

impl Scene<'_> {
    /// The Kustomization says that it applied `commit`.
    pub(crate) fn applied(&self, commit: &str) -> Sight {
        let message = format!("Applied revision: main@sha1:{commit}");
        Sight::of(
            self.kustomizations(),
            TENANT,
            &message.clone(),
            move |object| {
                let ready = objects::condition(object, "Ready").unwrap_or_default();
                if ready.status == "True" && ready.message == message {
                    Ok(message.clone())
                } else {
                    Err(format!("{ready:?}"))
                }
            },
        )
    }

    /// The Kustomization says that it applied another commit than the repository's present one.
    pub(crate) fn moved_on(&self) -> anyhow::Result<Sight> {
        let old = format!("Applied revision: main@sha1:{}", self.head()?);
        Ok(Sight::of(
            self.kustomizations(),
            TENANT,
            "a newer revision is applied",
            move |object| {
                let ready = objects::condition(object, "Ready").unwrap_or_default();
                let newer = ready.status == "True" && ready.message != old;
                if newer {
                    Ok(ready.message)
                } else {
                    Err(format!("{ready:?}"))
                }
            },
        ))
    }

    /// Fails unless the Kustomization says that it applied exactly `commit`.
    pub(crate) async fn told(&self, commit: &str) -> anyhow::Result<()> {
        let sight = self.applied(commit);
        let what = sight.what().to_owned();
        match sight.open().await?.now() {
            Ok(_) => Ok(()),
            Err(instead) => anyhow::bail!("expected {what}, last seen: {instead}"),
        }
    }

    /// The four objects of the app are there, each with the stamp of the platform's plugin.
    pub(crate) fn stamped(&self) -> Vec<Sight> {
        let stamped = |(api_version, kind): (&str, &str)| {
            let what = format!("{kind} with cost-centre 4711");
            Sight::of(
                self.of_tenant(api_version, kind),
                "sample-app",
                &what,
                |object| {
                    let stamp = objects::text(object, "/metadata/labels/cost-centre");
                    if stamp == Some("4711") {
                        Ok("stamped".to_owned())
                    } else {
                        Err(format!("cost-centre is {stamp:?}"))
                    }
                },
            )
        };
        APP.into_iter().map(stamped).collect()
    }

    /// None of the four objects is there.
    pub(crate) fn pruned(&self) -> Vec<Sight> {
        let gone = |(api_version, kind): (&str, &str)| {
            Sight::gone(self.of_tenant(api_version, kind), "sample-app")
        };
        APP.into_iter().map(gone).collect()
    }

    /// The Deployment is available and a pod of it runs.
    pub(crate) fn running(&self) -> Vec<Sight> {
        let available = Sight::of(
            self.of_tenant("apps/v1", "Deployment"),
            "sample-app",
            "Available",
            |object| {
                let available = objects::condition(object, "Available").unwrap_or_default();
                if available.status == "True" {
                    Ok(available.message)
                } else {
                    Err(format!("{available:?}"))
                }
            },
        );
        let running = Sight::any(
            self.of_tenant("v1", "Pod"),
            "app=sample-app",
            "a running pod",
            |object| {
                let phase = objects::text(object, "/status/phase").unwrap_or("unknown");
                let name = objects::text(object, "/metadata/name").unwrap_or_default();
                if phase == "Running" {
                    Ok(name.to_owned())
                } else {
                    Err(format!("{name} is {phase}"))
                }
            },
        );
        vec![available, running]
    }

    /// The Deployment runs this image.
    pub(crate) fn image(&self, image: &str) -> Sight {
        let image = image.to_owned();
        Sight::of(
            self.of_tenant("apps/v1", "Deployment"),
            "sample-app",
            &format!("image {image}"),
            move |object| {
                let now = objects::text(object, "/spec/template/spec/containers/0/image")
                    .unwrap_or_default();
                if now == image {
                    Ok(image.clone())
                } else {
                    Err(format!("image {now}"))
                }
            },
        )
    }

    /// The account `flux` has the role `admin`.
    pub(crate) fn bound(&self) -> Vec<Sight> {
        let accounts = self.of_tenant("v1", "ServiceAccount");
        let account = Sight::of(accounts, "flux", "it is there", |_| Ok(String::new()));
        let bindings = self.of_tenant("rbac.authorization.k8s.io/v1", "RoleBinding");
        let binding = Sight::of(
            bindings,
            "reeve-admin",
            "ClusterRole admin for flux",
            |binding| {
                let role = objects::text(binding, "/roleRef/name");
                let subject = objects::text(binding, "/subjects/0/name");
                if (role, subject) == (Some("admin"), Some("flux")) {
                    return Ok(String::new());
                }
                Err(format!("{role:?} for {subject:?}"))
            },
        );
        vec![account, binding]
    }

    /// The source says that it stored `commit`.
    pub(crate) fn stored(&self, commit: &str) -> Sight {
        let stored = format!("stored artifact for revision 'main@sha1:{commit}'");
        Sight::of(self.sources(), TENANT, &stored.clone(), move |source| {
            let ready = objects::condition(source, "Ready").unwrap_or_default();
            if ready.status == "True" && ready.message == stored {
                return Ok(ready.message);
            }
            Err(format!("{ready:?}"))
        })
    }

    /// The source has the interval `1h`, and the controller has seen it.
    pub(crate) fn slow(&self) -> Sight {
        Sight::of(self.sources(), TENANT, "interval 1h, and seen", |source| {
            let interval = objects::text(source, "/spec/interval");
            let generation = source.pointer("/metadata/generation");
            let seen = generation == source.pointer("/status/observedGeneration");
            if interval == Some("1h") && seen {
                return Ok(String::new());
            }
            Err(format!("interval {interval:?}, seen: {seen}"))
        })
    }

    /// The Receiver listens at the address in its `status.url`.
    pub(crate) fn listening(&self) -> Sight {
        Sight::of(
            self.receivers(),
            TENANT,
            "Ready, with a status.url",
            |receiver| {
                let ready = objects::condition(receiver, "Ready").unwrap_or_default();
                let url = objects::text(receiver, "/status/url").unwrap_or_default();
                if ready.status == "True" && url.starts_with("/hook/") {
                    return Ok(url.to_owned());
                }
                Err(format!("url {url:?}, {ready:?}"))
            },
        )
    }
}

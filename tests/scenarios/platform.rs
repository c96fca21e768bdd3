//! What the platform itself delivers, in the older versions of the kinds that its manifests are
//! written in: a directory of a larger repository, with no ServiceAccount named and no namespace in
//! the manifests.

use kube::api::{Api, DynamicObject};
use reeve_tests::git::Repo;
use reeve_tests::install::{self, PLATFORM};
use reeve_tests::{Estate, objects, scenario, wait};

const SOURCE: &str = r"
apiVersion: source.toolkit.fluxcd.io/v1beta1
kind: GitRepository
metadata:
  name: example-repo
  namespace: flux-system
spec:
  interval: 10m
  url: https://github.com/kubernetes-hy/material-example
  ref:
    branch: master
";

const KUSTOMIZATION: &str = r"
apiVersion: kustomize.toolkit.fluxcd.io/v1beta1
kind: Kustomization
metadata:
  name: example-gitops-app
  namespace: flux-system
spec:
  sourceRef:
    kind: GitRepository
    name: example-repo
  interval: 10m
  path: ./4-gitops/manifests # Path tells where to find the files.
  prune: true # This will make sure that deleting the file will delete the resource
  validation: client # Who validates the objects. Server or the client.
";

const DEPLOYMENT: &str = r"
apiVersion: apps/v1
kind: Deployment
metadata:
  name: hashgenerator-dep
spec:
  replicas: 1
  selector:
    matchLabels:
      app: hashgenerator
  template:
    metadata:
      labels:
        app: hashgenerator
    spec:
      containers:
        - name: hashgenerator
          image: IMAGE_PLACEHOLDER
";

const TAG: &str = "fdafd7088d04892815ed037cf30ca4f61c7af2f7";
const IMAGES: &str = r"
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
- deployment.yaml
images:
- name: IMAGE_PLACEHOLDER
  newName: jakousa/dwk-4-gitops-app
  newTag: fdafd7088d04892815ed037cf30ca4f61c7af2f7
";

const NAME: &str = "example-gitops-app";
const DIRECTORY: &str = "4-gitops/manifests";
const DEPLOYED: &str = "hashgenerator-dep";

/// The estate, the repository, and the handles of one story.
struct Platform<'a> {
    estate: &'a Estate,
    repo: Repo,
}

impl<'a> Platform<'a> {
    async fn begin(estate: &'a Estate) -> anyhow::Result<Self> {
        let path = "kubernetes-hy/material-example";
        let repo = estate.repo_on(path, "master")?;
        repo.write("README.md", "Examples\n")?
            .write("app1/manifests/elsewhere.yaml", "not: {a manifest")?;
        repo.publish(&format!("{DIRECTORY}/deployment.yaml"), DEPLOYMENT)?;
        let source = SOURCE.replace(
            "https://github.com/kubernetes-hy/material-example",
            &estate.git.url(path),
        );
        install::apply(&estate.plane, &source).await?;
        install::apply(&estate.plane, KUSTOMIZATION).await?;
        Ok(Self { estate, repo })
    }

    fn deployments(&self) -> Api<DynamicObject> {
        objects::api(
            self.estate.admin(),
            "apps/v1",
            "Deployment",
            Some("default"),
        )
    }

    async fn has_image(&self, image: &str) -> anyhow::Result<DynamicObject> {
        let what = format!("the image {image}");
        wait::for_object(&self.deployments(), DEPLOYED, &what, |deployment| {
            objects::text(&deployment.data, "/spec/template/spec/containers/0/image") == Some(image)
        })
        .await
    }

    async fn is_applied(&self, commit: &str) -> anyhow::Result<()> {
        let version = "kustomize.toolkit.fluxcd.io/v1beta1";
        let api = objects::api(
            self.estate.admin(),
            version,
            "Kustomization",
            Some(PLATFORM),
        );
        let message = format!("Applied revision: master@sha1:{commit}");
        wait::for_object(&api, NAME, &message, |kustomization| {
            let ready = objects::condition(&kustomization.data, "Ready").unwrap_or_default();
            ready.status == "True" && ready.message == message
        })
        .await?;
        Ok(())
    }

    async fn runs(&self) -> anyhow::Result<()> {
        let available = |deployment: &DynamicObject| {
            objects::condition(&deployment.data, "Available").is_some_and(|it| it.status == "True")
        };
        wait::for_object(&self.deployments(), DEPLOYED, "its pod runs", available).await?;
        Ok(())
    }

    /// The directory stays, with nothing to apply in it.
    fn remove_manifests(&self) -> anyhow::Result<String> {
        for file in ["deployment.yaml", "kustomization.yaml"] {
            self.repo.remove(&format!("{DIRECTORY}/{file}"))?;
        }
        self.repo
            .write(&format!("{DIRECTORY}/README.md"), "Nothing here.\n")?;
        let removed = self.repo.commit("Remove the app")?;
        self.repo.push()?;
        Ok(removed)
    }

    async fn reconcile(&self) -> anyhow::Result<()> {
        install::flux(
            &self.estate.plane,
            &["reconcile", "kustomization", NAME, "--with-source"],
        )
        .await?;
        Ok(())
    }
}

#[test]
fn the_platform_delivers_with_manifests_of_older_versions() {
    scenario(async {
        let estate = Estate::shared().await?;
        let platform = Platform::begin(estate).await?;

        // No kustomization.yaml: one is made over all manifests; without a namespace they land in default.
        let applied = platform.has_image("IMAGE_PLACEHOLDER").await?;
        let labels = applied.metadata.labels.unwrap_or_default();
        let owner = |key| {
            labels
                .get(&format!("kustomize.toolkit.fluxcd.io/{key}"))
                .map(String::as_str)
        };
        assert_eq!(
            (owner("namespace"), owner("name")),
            (Some(PLATFORM), Some(NAME))
        );
        platform
            .is_applied(&platform.repo.run(["rev-parse", "HEAD"])?)
            .await?;

        // A release pipeline commits the image's new name and tag.
        let image = format!("jakousa/dwk-4-gitops-app:{TAG}");
        let release = platform
            .repo
            .publish(&format!("{DIRECTORY}/kustomization.yaml"), IMAGES)?;
        platform.reconcile().await?;
        platform.has_image(&image).await?;
        platform.is_applied(&release).await?;
        platform.runs().await?;

        // "We can delete it simply by deleting the files from the repository, no kubectl delete required."
        let removed = platform.remove_manifests()?;
        platform.reconcile().await?;
        wait::until_gone(&platform.deployments(), DEPLOYED).await?;
        platform.is_applied(&removed).await?;

        // "git revert and the whole cluster is in a previous state."
        let restored = platform.repo.revert(&removed)?;
        platform.reconcile().await?;
        platform.has_image(&image).await?;
        platform.runs().await?;
        platform.is_applied(&restored).await
    });
}

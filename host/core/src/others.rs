//! What another controller says of a source that it keeps, and whether that is followed.
//!
//! OCIRepositories, Buckets and ExternalArtifacts are fetched by somebody else, who writes into their status where an archive of
//! the files lies and what its digest is. Whoever may write that status may name any address: so it is followed only to hosts
//! that the platform names, and what counts is the digest. As in Flux an artifact that is there is applied whatever the source's
//! conditions say, since what follows it may fail. What it deliberately doesn't: fetch; the shell's `others` is the next stage.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use reeve_api::SOURCE_GROUP;
use reeve_api::kustomization::SourceKind;
use reeve_api::name::NamespaceName;
use reeve_api::reason::Reason;
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::artifact::{Digest, Revision};
use crate::failure::{Explained, Failure, Turn};
use crate::source::track;
use crate::spec::SourceRef;

/// The kinds that others keep.
pub const KINDS: [SourceKind; 3] = [
    SourceKind::OciRepository,
    SourceKind::Bucket,
    SourceKind::ExternalArtifact,
];

/// Services that serve artifacts in a namespace that has Flux: what Flux's charts and manifests call them.
const SERVICES: [&str; 2] = ["source-controller", "source-watcher"];
/// How the address of a Service may end.
const ENDS: [&str; 3] = ["", ".svc", ".svc.cluster.local"];
/// The longest part of a host that is told.
const LONGEST_HOST: usize = 253;

/// Of the status of such a source, what matters to who applies it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Told {
    artifact: Option<Archive>,
    conditions: Vec<Condition>,
    observed_generation: Option<i64>,
    /// Where its controller has the files from.
    #[serde(skip)]
    place: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Archive {
    url: String,
    digest: String,
    revision: String,
    size: Option<u64>,
    last_update_time: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    #[serde(default)]
    reason: String,
}

/// What is there of a source.
#[derive(Debug, Clone, Copy)]
pub enum Seen<'t> {
    /// Its kind has no definition.
    Undefined,
    /// There is no such object.
    Missing,
    /// It is there, and says so.
    There(&'t Told),
}

/// An archive that may be fetched.
#[derive(Clone, PartialEq, Eq)]
pub struct Offer {
    /// What it is of.
    pub revision: Revision,
    /// What its bytes must be.
    pub digest: Digest,
    /// Where it lies. It may hold what grants access.
    pub url: Url,
    /// How many bytes it has, where that is said.
    pub size: Option<u64>,
    /// Since when it is there.
    pub since: Option<Timestamp>,
    /// Where its controller has it from, if that can be said.
    pub place: Option<String>,
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offer")
            .field("revision", &self.revision)
            .field("digest", &self.digest)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// The hosts that artifacts are fetched from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hosts {
    /// Services of Flux.
    flux: BTreeSet<String>,
    named: BTreeSet<String>,
}

impl Told {
    /// Whether who applies it may come to something else by what it says now.
    pub fn is_news(&self, before: &Self) -> bool {
        // Why it is not ready is told only where there is nothing to apply.
        let trouble = self.artifact.is_none() && self.trouble() != before.trouble();
        self.artifact != before.artifact || trouble
    }

    /// With where its files come from: as the spec of the object says, if what is told is of that spec, else as it was known
    /// `before`.
    #[must_use]
    pub fn of_spec(
        self,
        kind: SourceKind,
        (spec, generation): (Option<&Value>, Option<i64>),
        before: Option<&Self>,
    ) -> Self {
        let ready = self.conditions.iter().find(|one| one.kind == "Ready");
        let is_ready = ready.is_some_and(|ready| ready.status == "True");
        let is_of_it = is_ready && generation.is_some() && self.observed_generation == generation;
        let place = match spec.filter(|_| is_of_it) {
            Some(spec) => place(kind, spec),
            None => before.and_then(|before| before.place.clone()),
        };
        Self { place, ..self }
    }

    /// The revision that it has, as far as that can be told.
    pub fn revision(&self) -> Option<Revision> {
        Revision::of_others(&self.artifact.as_ref()?.revision).ok()
    }

    /// Whose archive it is: the scheme, host and port where it lies.
    pub fn origin(&self) -> Option<String> {
        let url = Url::parse(&self.artifact.as_ref()?.url).ok()?;
        Some(url.origin().ascii_serialization())
    }

    /// Why it is not ready, in one word of its controller's.
    fn trouble(&self) -> Option<&str> {
        let ready = self.conditions.iter().find(|one| one.kind == "Ready")?;
        let plain = |reason: &&str| {
            let fits = |c: char| c.is_ascii_alphanumeric();
            !reason.is_empty() && reason.len() <= 100 && reason.chars().all(fits)
        };
        let reason = Some(ready.reason.as_str()).filter(plain);
        reason.filter(|_| ready.status == "False")
    }
}

/// The repository and the track of its tags, or the bucket and the directory in it. The version is none of it. None: the kind
/// does not say.
fn place(kind: SourceKind, spec: &Value) -> Option<String> {
    let text = |pointer| spec.pointer(pointer).and_then(Value::as_str);
    let fields = match kind {
        SourceKind::OciRepository => {
            let track = text("/ref/tag").and_then(track);
            [text("/url"), track, None]
        }
        SourceKind::Bucket => ["/endpoint", "/bucketName", "/prefix"].map(text),
        SourceKind::GitRepository | SourceKind::ExternalArtifact => return None,
    };
    let [Some(first), rest @ ..] = fields else {
        return None;
    };
    let rest = rest.iter().map(|part| part.unwrap_or_default());
    Some(rest.fold(first.to_owned(), |place, part| format!("{place} {part}")))
}

/// What `source` has in store, in Flux's words where it has nothing.
pub fn offer(source: &SourceRef, seen: Seen<'_>, hosts: &Hosts) -> Result<Offer, Failure> {
    let told = match seen {
        Seen::There(told) => told,
        Seen::Missing | Seen::Undefined => return Err(missing(source, seen)),
    };
    let Some(archive) = &told.artifact else {
        return Err(nothing_yet(source, told));
    };
    let refused = |why: &str| {
        let message = format!("the artifact of {source} is refused: {why}");
        Explained::new(Reason::ArtifactFailed, Turn::Source, message)
    };
    let revision = Revision::of_others(&archive.revision);
    let digest = archive.digest.parse::<Digest>();
    let url = address(&archive.url).map_err(refused)?;
    let host = plain(url.host_str().unwrap_or_default());
    if hosts.flux.contains(&host) {
        // There everybody's lie side by side.
        is_of(&url, source).map_err(refused)?;
    } else if !hosts.named.contains(&host) {
        let host: String = host.chars().take(LONGEST_HOST).collect();
        let why = format!("it lies at {host:?}, and that is no host that the platform names");
        let hint = format!("ask the platform to add {host} to --allow-artifact-hosts");
        return Err(refused(&why).with_hint(hint));
    }
    Ok(Offer {
        revision: revision.map_err(|why| refused(&why.to_string()))?,
        digest: digest.map_err(|why| refused(&why.to_string()))?,
        url,
        size: archive.size,
        since: archive.last_update_time,
        place: told.place.clone(),
    })
}

/// There is nothing in store, and that may pass in a moment.
pub fn gone(source: &SourceRef) -> Failure {
    Explained::new(Reason::ArtifactFailed, Turn::Source, NOTHING).with_hint(look(source))
}

/// Flux's words.
const NOTHING: &str = "Source artifact not found, retrying in 30s";

fn nothing_yet(source: &SourceRef, told: &Told) -> Failure {
    let why = gone(source);
    match told.trouble() {
        Some(reason) => why.with_hint(format!("{}: it says {reason}", look(source))),
        None => why,
    }
}

fn missing(source: &SourceRef, seen: Seen<'_>) -> Failure {
    let (kind, name, namespace) = (source.kind.as_str(), &source.name, &source.namespace);
    let (message, hint) = match seen {
        Seen::Undefined => (
            format!("no matches for kind {kind:?} in version \"{SOURCE_GROUP}/v1\""),
            format!(
                "install the controller that keeps {kind} objects: its kind is looked for all the time"
            ),
        ),
        Seen::Missing | Seen::There(_) => (
            format!("{kind}.{SOURCE_GROUP} \"{name}\" not found"),
            format!("create {kind} {name} in namespace {namespace}"),
        ),
    };
    Explained::new(Reason::ArtifactFailed, Turn::Source, message).with_hint(hint)
}

fn look(source: &SourceRef) -> String {
    let (kind, name) = (source.kind.as_str().to_lowercase(), &source.name);
    let namespace = &source.namespace;
    format!("look at `kubectl -n {namespace} describe {kind} {name}`")
}

/// An address that may be followed. What is wrong with another is told without it: it may hold what grants access.
fn address(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "its url is no address")?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err("its url is not of http or https");
    }
    match url.username().is_empty() && url.password().is_none() {
        true => Ok(url),
        false => Err("its url has a login in it"),
    }
}

impl Hosts {
    /// Those of Flux's services in these namespaces, and those that are named.
    ///
    /// Only in these: whoever may make a Service in a namespace decides where its name leads.
    pub fn new<'n>(
        namespaces: impl IntoIterator<Item = &'n NamespaceName>,
        named: impl IntoIterator<Item = String>,
    ) -> Self {
        let mut flux = BTreeSet::new();
        for namespace in namespaces {
            for service in SERVICES {
                flux.extend(ENDS.map(|end| format!("{service}.{namespace}{end}")));
            }
        }
        let named = named.into_iter().map(|host| plain(&host)).collect();
        Self { flux, named }
    }
}

/// Whether an address at a service of Flux is of the source's own namespace: `/<kind>/<namespace>/<name>/<file>`. `..` is gone by
/// now, and what is written as `%2e` or `%2f` would be another path there.
fn is_of(url: &Url, source: &SourceRef) -> Result<(), &'static str> {
    let plain = !url.path().contains(['%', '\\']);
    let namespace = url.path_segments().and_then(|mut parts| parts.nth(1));
    match plain && namespace == Some(source.namespace.as_str()) {
        true => Ok(()),
        false => Err("its url is of another namespace's artifact"),
    }
}

/// A host as it is compared: lower case, no brackets, no final dot.
fn plain(host: &str) -> String {
    let inner = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let host = inner.unwrap_or(host);
    host.strip_suffix('.').unwrap_or(host).to_lowercase()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DIGEST: &str = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

    fn source(kind: SourceKind) -> SourceRef {
        SourceRef {
            kind,
            namespace: "acme".parse().unwrap(),
            name: "web".parse().unwrap(),
        }
    }

    fn hosts(named: &[&str]) -> Hosts {
        let flux: NamespaceName = "flux-system".parse().unwrap();
        Hosts::new([&flux], named.iter().map(|&host| host.to_owned()))
    }

    fn told(url: &str, digest: &str, revision: &str) -> Told {
        let artifact = json!({
            "url": url, "digest": digest, "revision": revision, "path": "a/b.tar.gz", "size": 7,
            "lastUpdateTime": "2026-01-01T00:00:00Z", "metadata": {"a": "b"},
        });
        of(json!({"artifact": artifact, "observedGeneration": 1}))
    }

    fn archive() -> Value {
        json!({"url": "http://a.example/x", "digest": DIGEST, "revision": "v1"})
    }

    fn of(status: Value) -> Told {
        serde_json::from_value(status).unwrap()
    }

    fn asked(told: &Told, named: &[&str]) -> Result<Offer, Failure> {
        let source = source(SourceKind::OciRepository);
        offer(&source, Seen::There(told), &hosts(named))
    }

    #[test]
    fn its_place_is_that_of_the_spec_that_the_archive_is_of() {
        let status = |observed: i64, ready: &str| {
            let ready = json!([{"type": "Ready", "status": ready, "reason": "Any"}]);
            of(json!({"artifact": archive(), "observedGeneration": observed, "conditions": ready}))
        };
        let oci = SourceKind::OciRepository;
        let spec = |url: &str, tag: &str| json!({"url": url, "ref": {"tag": tag}});
        let first = spec("oci://a.example/web", "v1.0.0");
        let settled = status(1, "True").of_spec(oci, (Some(&first), Some(1)), None);
        assert_eq!(settled.place.as_deref(), Some("oci://a.example/web  "));
        for (url, tag, same) in [
            ("oci://a.example/web", "v1.1.0", true),
            ("oci://b.example/web", "v1.0.0", false),
            ("oci://a.example/web", "prod-1", false),
        ] {
            let spec = spec(url, tag);
            let now = status(2, "True").of_spec(oci, (Some(&spec), Some(2)), Some(&settled));
            assert_eq!(now.place == settled.place, same, "{url} {tag}");
            // The archive is still that of the spec before.
            for then in [status(1, "True"), status(2, "False")] {
                let then = then.of_spec(oci, (Some(&spec), Some(2)), Some(&settled));
                assert_eq!(then.place, settled.place, "{url} {tag}");
            }
        }
        let bucket = json!({"endpoint": "s3.example", "bucketName": "web", "prefix": "a/"});
        let bucket = (Some(&bucket), Some(1));
        let bucket = status(1, "True").of_spec(SourceKind::Bucket, bucket, None);
        assert_eq!(bucket.place.as_deref(), Some("s3.example web a/"));
        let unsaid = status(1, "True").of_spec(SourceKind::ExternalArtifact, (None, Some(1)), None);
        assert_eq!(unsaid.place, None);
    }

    #[test]
    fn an_archive_lies_at_flux_or_at_a_host_that_the_platform_names_and_nowhere_else() {
        for (host, named, may) in [
            ("source-controller.flux-system.svc.cluster.local.", "", true),
            ("source-controller.flux-system.svc.cluster.local", "", true),
            ("Source-Controller.flux-system.svc", "", true),
            ("source-watcher.flux-system:80", "", true),
            // Whoever may make a Service in a namespace decides where its name leads.
            ("source-controller.acme.svc.cluster.local", "", false),
            ("source-controller.flux-system.svc.evil.example", "", false),
            ("flux-system.svc", "", false),
            ("artifacts.example", "Artifacts.Example.", true),
            ("artifacts.example:8080", "artifacts.example", true),
            ("a.artifacts.example", "artifacts.example", false),
            ("169.254.169.254", "", false),
            ("127.0.0.1:99", "127.0.0.1", true),
            ("[::1]:99", "[::1]", true),
            ("2130706433", "", false),
        ] {
            let url = format!("http://{host}/ocirepository/acme/web/y.tar.gz");
            let told = told(&url, DIGEST, "latest");
            let named = Some(named).filter(|host| !host.is_empty());
            let said = asked(&told, named.as_slice());
            assert_eq!(said.is_ok(), may, "{host}");
            let Err(why) = said else { continue };
            assert_eq!(why.reason, Reason::ArtifactFailed);
            assert!(why.hint.unwrap().contains("--allow-artifact-hosts"));
        }
    }

    #[test]
    fn what_is_no_address_digest_or_revision_is_refused_without_telling_the_address() {
        let flux = "http://source-controller.flux-system.svc";
        let at = |path: &str| format!("{flux}/{path}");
        let another = "of another namespace's";
        let good = "http://source-controller.flux-system.svc/ocirepository/acme/web/key";
        for (url, digest, revision, says) in [
            ("key", DIGEST, "v1", "is no address"),
            ("file:///etc/key", DIGEST, "v1", "is not of http or https"),
            (
                "ftp://source-controller.flux-system.svc/key",
                DIGEST,
                "v1",
                "is not of http",
            ),
            (
                "http://a:key@source-controller.flux-system.svc/",
                DIGEST,
                "v1",
                "has a login",
            ),
            (
                at("ocirepository/beta/web/key").as_str(),
                DIGEST,
                "v1",
                another,
            ),
            (
                at("ocirepository/acme/../beta/key").as_str(),
                DIGEST,
                "v1",
                another,
            ),
            (
                at("ocirepository/acme/%2e%2e/beta/key").as_str(),
                DIGEST,
                "v1",
                another,
            ),
            (
                at("ocirepository/acme/..%2fbeta%2fkey").as_str(),
                DIGEST,
                "v1",
                another,
            ),
            (at("key").as_str(), DIGEST, "v1", another),
            (good, "sha512:00", "v1", "is not a digest"),
            (good, "", "v1", "is not a digest"),
            (good, DIGEST, "a\nb", "is not a revision"),
        ] {
            let why = asked(&told(url, digest, revision), &[]).unwrap_err();
            assert!(why.message.contains(says), "{why}");
            assert!(!why.message.contains("key"), "{why}");
            assert_eq!(why.turn, Turn::Source);
        }
        let offer = asked(&told(good, DIGEST, "v1"), &[]).unwrap();
        assert_eq!(offer.revision.to_string(), "v1");
        assert_eq!(
            (offer.digest.to_string(), offer.size),
            (DIGEST.into(), Some(7))
        );
    }

    #[test]
    fn who_has_nothing_is_told_so_in_fluxs_words() {
        let nothing = Told::default();
        let failed = of(json!({"conditions": [
            {"type": "Ready", "status": "False", "reason": "OCIArtifactPullFailed", "message": "token=x"},
        ]}));
        for (kind, seen, message, hint) in [
            (
                SourceKind::OciRepository,
                Seen::Undefined,
                "no matches for kind \"OCIRepository\" in version \"source.toolkit.fluxcd.io/v1\"",
                "install the controller",
            ),
            (
                SourceKind::Bucket,
                Seen::Missing,
                "Bucket.source.toolkit.fluxcd.io \"web\" not found",
                "create Bucket web in namespace acme",
            ),
            (
                SourceKind::ExternalArtifact,
                Seen::There(&nothing),
                NOTHING,
                "look at `kubectl -n acme describe externalartifact web`",
            ),
            (
                SourceKind::OciRepository,
                Seen::There(&failed),
                NOTHING,
                "describe ocirepository web`: it says OCIArtifactPullFailed",
            ),
        ] {
            let why = offer(&source(kind), seen, &hosts(&[])).unwrap_err();
            assert_eq!(why.message, message);
            let told = why.hint.unwrap();
            assert!(told.contains(hint) && !told.contains("token"), "{told}");
            assert_eq!(
                (why.reason, why.turn),
                (Reason::ArtifactFailed, Turn::Source)
            );
        }
    }

    #[test]
    fn only_another_artifact_or_condition_is_news() {
        let one = told("http://a.example/x", DIGEST, "v1");
        assert!(!one.is_news(&one.clone()));
        assert!(one.is_news(&told("http://a.example/x", DIGEST, "v2")));
        assert!(one.is_news(&Told::default()));
        let ready = |status: &str, reason: &str, artifact: Value| {
            let conditions = json!([{"type": "Ready", "status": status, "reason": reason}]);
            of(json!({"conditions": conditions, "artifact": artifact}))
        };
        let (failed, archive) = (ready("False", "Failed", Value::Null), archive());
        assert!(failed.is_news(&Told::default()));
        assert!(!ready("Unknown", "Progressing", Value::Null).is_news(&Told::default()));
        let with = ready("True", "Succeeded", archive.clone());
        assert!(!ready("False", "Failed", archive).is_news(&with));
        assert_eq!(one.revision().unwrap().to_string(), "v1");
        assert_eq!(one.origin().unwrap(), "http://a.example");
    }
}

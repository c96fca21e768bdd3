//! One struct a happening: the log line and the count are the same fact, so they are one value.
//!
//! Nothing here can hold a secret: URLs come as [`reeve_api::name::RemoteUrl`] or not at all, messages are those that a
//! condition shows too. What it deliberately doesn't: decide whether something is worth a Kubernetes event.

mod limited;

use std::time::Duration;

use reeve_api::policy::Mode;
use tracing::{debug, error, info};

use super::metric::{
    ActionLabels, ControllerLabels, HookLabels, Metrics, PluginLabels, PolicyLabels, ResultLabels,
    ReviewLabels, RunLabels, seconds,
};
use super::{Kind, Object};
pub use limited::Limited;

/// A fact worth telling.
pub trait Happening {
    /// Says it in the log.
    fn log(&self);
    /// Counts it.
    fn count(&self, metrics: &Metrics);
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending<'a> {
    /// It reached its end.
    Succeeded,
    /// The object is suspended; nothing was looked at.
    Suspended,
    /// It waits for something that will wake it.
    Waiting {
        /// What for.
        message: &'a str,
    },
    /// It failed.
    Failed {
        /// The reason on the condition.
        reason: &'a str,
        /// The message on the condition.
        message: &'a str,
    },
}

/// A run ended.
#[derive(Debug, Clone, Copy)]
pub struct ReconcileEnded<'a> {
    /// The object.
    pub object: Object<'a>,
    /// How.
    pub ending: Ending<'a>,
    /// The revision it was about.
    pub revision: Option<&'a str>,
    /// How long it took.
    pub took: Duration,
    /// When the next one is, unless something wakes it before; `None`: only when something does.
    pub next: Option<Duration>,
}

impl ReconcileEnded<'_> {
    fn next(&self) -> String {
        match self.next {
            Some(next) => format!("in {}", go(next)),
            None => "when something changes".to_owned(),
        }
    }
}

impl Happening for ReconcileEnded<'_> {
    fn log(&self) {
        let revision = self.revision.unwrap_or_default();
        let (took, next) = (go(self.took), self.next());
        match self.ending {
            Ending::Succeeded => {
                info!(
                    revision,
                    "Reconciliation finished in {took}, next run {next}"
                );
            }
            Ending::Suspended => info!("Reconciliation is suspended for this object"),
            Ending::Waiting { message } => info!(revision, "{message}"),
            Ending::Failed { reason, message } => error!(
                revision,
                reason,
                error = message,
                "Reconciliation failed after {took}, next try {next}"
            ),
        }
    }

    fn count(&self, m: &Metrics) {
        let controller = self.object.kind.controller();
        let result = match self.ending {
            Ending::Failed { .. } => "error",
            Ending::Suspended => "success",
            Ending::Succeeded | Ending::Waiting { .. } if self.next.is_some() => "requeue_after",
            Ending::Succeeded | Ending::Waiting { .. } => "success",
        };
        m.reconciles
            .get_or_create(&RunLabels { controller, result })
            .inc();
        if result == "error" {
            m.reconcile_errors
                .get_or_create(&ControllerLabels { controller })
                .inc();
        }
        if self.ending != Ending::Suspended {
            let labels = self.object.into();
            m.reconcile_duration
                .get_or_create(&labels)
                .observe(seconds(self.took));
        }
    }
}

/// What asking a repository came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchResult {
    /// Nothing new.
    Unchanged,
    /// Something new, stored as an artifact of so many bytes.
    Stored {
        /// The artifact's size.
        bytes: u64,
    },
    /// It couldn't be asked or fetched; how, the end of the run tells.
    Failed,
}

/// A repository was asked.
#[derive(Debug, Clone, Copy)]
pub struct Fetched<'a> {
    /// The revision it stands at, if it said so.
    pub revision: Option<&'a str>,
    /// What came of it.
    pub result: FetchResult,
    /// How long it took.
    pub took: Duration,
}

impl Happening for Fetched<'_> {
    fn log(&self) {
        let (took, revision) = (go(self.took), self.revision.unwrap_or_default());
        match self.result {
            FetchResult::Unchanged => debug!(revision, "no changes upstream, asked in {took}"),
            FetchResult::Stored { bytes } => {
                info!(
                    revision,
                    bytes, "stored artifact for revision '{revision}' in {took}"
                );
            }
            FetchResult::Failed => debug!(revision, "fetch failed after {took}"),
        }
    }

    fn count(&self, m: &Metrics) {
        let result = match self.result {
            FetchResult::Unchanged => "unchanged",
            FetchResult::Stored { bytes } => {
                m.fetched_bytes.inc_by(bytes);
                "stored"
            }
            FetchResult::Failed => "failed",
        };
        m.fetch_duration
            .get_or_create(&ResultLabels { result })
            .observe(seconds(self.took));
    }
}

/// What asking for a Kustomization's manifests came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RenderResult {
    /// They were built.
    Built,
    /// They were still there: neither the tree nor the spec had changed.
    Kept,
    /// There are none; why, the end of the run tells.
    Failed,
}

/// A Kustomization's manifests were asked for.
#[derive(Debug, Clone, Copy)]
pub struct Rendered {
    /// What came of it.
    pub result: RenderResult,
    /// How long it took.
    pub took: Duration,
}

impl Happening for Rendered {
    fn log(&self) {
        debug!(result = ?self.result, "rendered in {}", go(self.took));
    }

    fn count(&self, m: &Metrics) {
        let result = match self.result {
            RenderResult::Built => "built",
            RenderResult::Kept => "kept",
            RenderResult::Failed => "failed",
        };
        m.render_duration
            .get_or_create(&ResultLabels { result })
            .observe(seconds(self.took));
    }
}

/// Objects were applied or pruned.
#[derive(Debug, Clone, Copy)]
pub struct Applied<'a> {
    /// What was done, in order.
    pub changes: &'a [reeve_core::status::Change],
}

impl Happening for Applied<'_> {
    fn log(&self) {
        for change in self
            .changes
            .iter()
            .filter(|change| change.action.is_change())
        {
            info!("{} {}", change.id.subject(), change.action.as_str());
        }
    }

    fn count(&self, m: &Metrics) {
        for change in self.changes {
            m.applied
                .get_or_create(&ActionLabels {
                    action: change.action.as_str(),
                })
                .inc();
        }
    }
}

/// A plugin was called.
#[derive(Debug, Clone, Copy)]
pub struct PluginCalled<'a> {
    /// `acme/stamp` of a tenant's, `stamp` of the platform's.
    pub plugin: &'a str,
    /// For whom.
    pub tenant: &'a str,
    /// What went wrong, if anything did.
    pub error: Option<&'a str>,
    /// What it said, already bounded.
    pub said: &'a [String],
    /// How long it took.
    pub took: Duration,
}

impl Happening for PluginCalled<'_> {
    fn log(&self) {
        let (plugin, tenant) = (self.plugin, self.tenant);
        for line in self.said {
            debug!(plugin, tenant, "plugin says: {line}");
        }
        match self.error {
            None => debug!(plugin, tenant, "plugin returned after {}", go(self.took)),
            Some(error) => info!(
                plugin,
                tenant,
                error,
                "plugin failed after {}",
                go(self.took)
            ),
        }
    }

    fn count(&self, m: &Metrics) {
        let result = if self.error.is_some() {
            "failed"
        } else {
            "returned"
        };
        let labels = PluginLabels {
            plugin: self.plugin.to_owned(),
            tenant: self.tenant.to_owned(),
            result,
        };
        m.plugin_duration
            .get_or_create(&labels)
            .observe(seconds(self.took));
    }
}

/// A policy denied a run.
#[derive(Debug, Clone, Copy)]
pub struct Denied<'a> {
    /// The policy.
    pub policy: &'a str,
    /// What it objected to.
    pub message: &'a str,
}

impl Happening for Denied<'_> {
    fn log(&self) {
        info!(policy = self.policy, "denied by policy: {}", self.message);
    }

    fn count(&self, m: &Metrics) {
        m.denied
            .get_or_create(&PolicyLabels {
                policy: self.policy.to_owned(),
            })
            .inc();
    }
}

/// What a rule said to what it was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Allowed,
    /// It minds something.
    Warned,
    /// It would deny something that is tolerated.
    Tolerated,
    /// It denies something; whether that stops it is the mode's.
    Denied,
    /// It could not be evaluated, or is not there to be asked.
    Broken,
}

impl Verdict {
    /// All there are.
    pub(super) const ALL: [Self; 5] = [
        Self::Allowed,
        Self::Warned,
        Self::Tolerated,
        Self::Denied,
        Self::Broken,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Warned => "warned",
            Self::Tolerated => "tolerated",
            Self::Denied => "denied",
            Self::Broken => "broken",
        }
    }
}

/// A policy was asked.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    /// Its name.
    pub policy: &'a str,
    /// What happens to what it denies.
    pub mode: Mode,
    /// What it said.
    pub verdict: Verdict,
    /// How long it thought.
    pub took: Duration,
}

impl Happening for Judged<'_> {
    fn log(&self) {
        let (policy, mode) = (self.policy, self.mode.as_str());
        debug!(
            policy,
            mode,
            verdict = self.verdict.as_str(),
            "judged in {:?}",
            self.took
        );
    }

    fn count(&self, m: &Metrics) {
        let (policy, mode) = (self.policy, self.mode.as_str());
        m.policies.judged(policy, mode, self.verdict, self.took);
    }
}

/// The API server asked about an object.
#[derive(Debug, Clone, Copy)]
pub struct Reviewed<'a> {
    /// The object's kind, or `other`.
    pub kind: &'static str,
    /// Why it was refused, if it was.
    pub refused: Option<&'a str>,
    /// Whether there were warnings.
    pub warned: bool,
    /// How long the answer took.
    pub took: Duration,
}

impl Reviewed<'_> {
    fn verdict(&self) -> Verdict {
        match (self.refused, self.warned) {
            (Some(_), _) => Verdict::Denied,
            (None, true) => Verdict::Warned,
            (None, false) => Verdict::Allowed,
        }
    }
}

impl Happening for Reviewed<'_> {
    fn log(&self) {
        let (kind, took) = (self.kind, go(self.took));
        match self.refused {
            Some(error) => info!(kind, error, "refused at its admission after {took}"),
            None => debug!(kind, "admitted after {took}"),
        }
    }

    fn count(&self, m: &Metrics) {
        let labels = ReviewLabels {
            kind: self.kind,
            verdict: self.verdict().as_str(),
        };
        m.review_duration
            .get_or_create(&labels)
            .observe(seconds(self.took));
    }
}

/// A webhook was called.
#[derive(Debug, Clone, Copy)]
pub struct HookCalled<'a> {
    /// The HTTP method, or `OTHER`.
    pub method: &'static str,
    /// The answer's status.
    pub code: u16,
    /// The Receiver, if the path is one's: namespace and name.
    pub receiver: Option<(&'a str, &'a str)>,
    /// What was said to the caller, when it wasn't let in.
    pub refused: Option<&'a str>,
    /// Whether it was let in, but there was no room for its nudge.
    pub dropped: bool,
    /// How long the answer took.
    pub took: Duration,
}

impl Happening for HookCalled<'_> {
    fn log(&self) {
        let (code, method) = (self.code, self.method);
        let Some((namespace, name)) = self.receiver else {
            // the path is not repeated: a mistyped one may be most of a secret
            match code {
                404 => debug!(code, method, "webhook call to an unknown path"),
                _ => debug!(code, method, "webhook call turned away at the door"),
            }
            return;
        };
        let _in = super::trace::span(
            Object {
                kind: Kind::Receiver,
                namespace,
                name,
            },
            "",
        )
        .entered();
        match self.refused {
            None => info!(code, method, "handling request"),
            Some(error) => info!(code, method, error, "webhook call turned away"),
        }
    }

    fn count(&self, m: &Metrics) {
        let labels = HookLabels {
            code: self.code,
            handler: "",
            method: self.method,
            service: "",
        };
        m.hook_duration
            .get_or_create(&labels)
            .observe(seconds(self.took));
        if self.dropped {
            m.nudges_dropped.inc();
        }
    }
}

/// A duration as Flux writes it.
fn go(duration: Duration) -> String {
    reeve_api::duration::Duration::from(reeve_core::schedule::rounded(duration)).to_string()
}

//! What policy says: to a spec before anything is fetched for it, and to a plan before anything of it is written.
//!
//! The only way to an [`AdmittedSpec`], to the [`Account`] in it, to a `Plan<Admitted>` and to an [`AdmittedManifest`]. A
//! rule that cannot be evaluated, takes too long or answers in another shape objects: policy fails closed. It deliberately
//! has no way round: in the platform's own namespaces no rule over tenants is asked, but there too everything is done as an
//! account. The next stage is the shell's `cluster`, which takes nothing that didn't come from here.
//!
//! ```
//! use reeve_core::admit::{Account, AdmittedSpec};
//! fn acts_as(spec: &AdmittedSpec) -> &Account {
//!     spec.account()
//! }
//! ```
//!
//! Neither an account nor an admitted spec can be made by anybody else:
//!
//! ```compile_fail
//! use reeve_core::admit::Account;
//! fn forge() -> Account {
//!     Account { namespace: "acme".parse().unwrap(), name: "admin".parse().unwrap() }
//! }
//! ```
//!
//! ```compile_fail
//! use reeve_core::admit::AdmittedSpec;
//! use reeve_core::spec::Spec;
//! fn forge(spec: Spec) -> AdmittedSpec {
//!     AdmittedSpec { spec, ..unimplemented!() }
//! }
//! ```
//!
//! And an admitted spec stays what was admitted:
//!
//! ```compile_fail
//! use reeve_core::admit::AdmittedSpec;
//! fn forge(mut spec: AdmittedSpec) -> AdmittedSpec {
//!     spec.path = "elsewhere".to_owned();
//!     spec
//! }
//! ```

mod altered;
mod discretion;
mod document;
mod recollection;
mod rules;
mod tolerance;
pub mod trial;

use std::fmt;
use std::ops::Deref;

use reeve_api::name::{NamespaceName, ServiceAccountName};
use reeve_api::policy::Mode;
use reeve_api::reason::Reason;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::abroad::Abroad;
use crate::artifact::Digest;
use crate::failure::{Explain, Turn};
use crate::plan::{Admitted, Plan, Proposed};
use crate::rego::{self, Policy};
use crate::spec::Spec;
use crate::veil::Veil;
pub use altered::{AdmittedManifest, Altered, Sent, altered};
pub use document::{Circumstances, Document, SourceFacts, schema};
pub use recollection::Recollection;
pub(crate) use rules::TOLD;
pub use rules::{Answers, Finding, Passed, Rule, Rules, Verdict};
use tolerance::Against;
pub use tolerance::Tolerance;

/// The most objections that one message spells out.
const SPELLED_OUT: usize = 10;

/// A spec that every rule has seen and none denied, and the account as which it is carried out.
#[derive(Debug, Clone)]
pub struct AdmittedSpec {
    spec: Spec,
    account: Account,
    /// What the rules were shown as the Kustomization: they see the same again with the plan.
    shown: document::Shown,
    judged: bool,
    abroad: Abroad,
}

/// The ServiceAccount as which a Kustomization is carried out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Account {
    namespace: NamespaceName,
    name: ServiceAccountName,
}

/// Proof that rules were asked; nobody outside of this module can make one.
pub(crate) struct Seen(());

/// What policy objected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    phase: Phase,
    /// At least one of which stops it.
    answers: Answers,
    more: usize,
    /// What would have been applied, where that was known.
    rendered: Option<Box<Recollection>>,
}

/// One objection of one policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objection {
    /// The policy's name.
    pub policy: String,
    /// What is wrong, in words a tenant understands.
    pub message: String,
    /// Which object, as `Kind/namespace/name`.
    pub object: Option<String>,
    /// Which field of it.
    pub path: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Whether the policy could not be evaluated, and objects because of that.
    pub broken: bool,
}

/// Whether a plan has to be judged.
#[derive(Debug)]
pub enum Hearing {
    /// It was let pass before, and nothing that its judgement depends on is another.
    Passed(Plan<Admitted>),
    /// It has to be.
    Open(Plan<Proposed>),
}

/// When the rules are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Before anything is fetched.
    Spec,
    /// Before anything is written.
    Plan,
}

impl Phase {
    /// The word for it in the document that policies read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Spec => "spec",
            Self::Plan => "plan",
        }
    }
}

/// Shows a spec to every rule over the tenant, and lets it pass with its account, or says who objected.
///
/// `kustomization` is the object that `spec` was parsed from; what passed `before` is not judged again.
pub fn spec(
    rules: &Rules,
    around: &Circumstances<'_>,
    kustomization: &Value,
    spec: Spec,
    before: Option<&Passed>,
) -> Result<(AdmittedSpec, Passed), Denied> {
    let Circumstances {
        tenant, grounds, ..
    } = *around;
    let judged = !grounds.is_platform(&spec.id.namespace);
    let Some(shown) = document::shown(kustomization, &spec) else {
        let why = format!(
            "Kustomization {} was shown to policy as another object",
            spec.id
        );
        return Err(Denied::refused(Phase::Spec, why));
    };
    let mut passed = Passed::default();
    if judged {
        if !tenant.namespaces.contains(&spec.id.namespace) {
            let why = format!(
                "namespace {} is not one of tenant {}",
                spec.id.namespace, tenant.name
            );
            return Err(Denied::refused(Phase::Spec, why));
        }
        let document = document::of_spec(&shown, around);
        let on = Against::new(&document, None, &spec.id, around);
        passed = rules.judge(Phase::Spec, &on, before)?;
    }
    let platform = (!judged).then(|| grounds.platform_service_account.clone());
    let Some(name) = spec.service_account.clone().or(platform) else {
        let why = format!("Kustomization {} names no ServiceAccount", spec.id);
        return Err(Denied::refused(Phase::Spec, why));
    };
    let account = Account {
        namespace: spec.id.namespace.clone(),
        name,
    };
    let admitted = AdmittedSpec {
        spec,
        account,
        shown,
        judged,
        abroad: Abroad::of(grounds, tenant),
    };
    Ok((admitted, passed))
}

/// Shows a plan to every rule over the tenant and lets it pass, or says who objected.
///
/// The only way to a `Plan<Admitted>` but [`again`]. `applied` is what was applied before, where somebody wants it and it
/// is to be had.
pub fn plan(
    rules: &Rules,
    around: &Circumstances<'_>,
    spec: &AdmittedSpec,
    plan: Plan<Proposed>,
    applied: Option<&Recollection>,
    before: Option<&Passed>,
) -> Result<(Plan<Admitted>, Passed), Denied> {
    let mut passed = Passed::default();
    if spec.judged {
        let document = document::of_plan(&spec.shown, around, &plan);
        let on = Against::new(&document, applied, &spec.id, around);
        let judged = rules.judge(Phase::Plan, &on, before);
        passed = judged.map_err(|why| Denied {
            rendered: Some(Box::new(Recollection::of_plan(&plan))),
            ..why
        })?;
    }
    Ok((plan.advance(Seen(())), passed))
}

/// Lets a plan pass that did so `before`, after the same was applied: of that the digest is enough. Else it is given back,
/// to be judged.
pub fn again(
    rules: &Rules,
    around: &Circumstances<'_>,
    spec: &AdmittedSpec,
    plan: Plan<Proposed>,
    applied: Option<Digest>,
    before: &Passed,
) -> Hearing {
    let passes = spec.judged && {
        let document = document::of_plan(&spec.shown, around, &plan);
        let on = Against::new(&document, None, &spec.id, around);
        before.is_of(rules.digest(&on, applied))
    };
    match passes {
        true => Hearing::Passed(plan.advance(Seen(()))),
        false => Hearing::Open(plan),
    }
}

impl AdmittedSpec {
    /// Whether rules over tenants are asked about it.
    pub fn is_judged(&self) -> bool {
        self.judged
    }

    /// On which other clusters it may be carried out.
    pub fn abroad(&self) -> &Abroad {
        &self.abroad
    }

    /// As whom it is carried out.
    pub fn account(&self) -> &Account {
        &self.account
    }
}

impl Deref for AdmittedSpec {
    type Target = Spec;

    fn deref(&self) -> &Spec {
        &self.spec
    }
}

impl Account {
    /// Its namespace: always that of the Kustomization.
    pub fn namespace(&self) -> &NamespaceName {
        &self.namespace
    }

    /// Its name.
    pub fn name(&self) -> &ServiceAccountName {
        &self.name
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl Objection {
    fn of(name: &str, policy: &Policy, violation: rego::Violation) -> Self {
        let rego::Violation {
            message,
            object,
            path,
            hint,
            package: _,
        } = violation;
        let hint = hint.or_else(|| policy.metadata().hint.clone());
        Self {
            policy: name.to_owned(),
            message,
            object,
            path,
            hint,
            broken: false,
        }
    }

    /// Covers what of it must not be told. The policy's name is the platform's.
    fn cover(&mut self, veil: &Veil) {
        let message = std::mem::take(&mut self.message);
        self.message = veil.cover(message);
        for text in [&mut self.object, &mut self.path, &mut self.hint] {
            *text = text.take().map(|text| veil.cover(text));
        }
    }

    fn broken(name: &str, why: &rego::Error) -> Self {
        Self {
            policy: name.to_owned(),
            message: format!("{why}; what cannot be judged is denied"),
            object: None,
            path: None,
            hint: None,
            broken: true,
        }
    }

    /// It objects to so much that not all of it was looked at.
    fn endless(name: &str) -> Self {
        Self {
            policy: name.to_owned(),
            message: "it denies more than is looked at; what nobody looks at is denied".to_owned(),
            object: None,
            path: None,
            hint: None,
            broken: false,
        }
    }

    /// There is a Policy, and nothing of it has ever been in force.
    fn absent(name: &str, why: &str) -> Self {
        Self {
            policy: name.to_owned(),
            message: format!("it is not in force yet, and what cannot be judged is denied: {why}"),
            object: None,
            path: None,
            hint: Some(format!(
                "the platform's: `kubectl describe policy.reeve.dev {name}`"
            )),
            broken: true,
        }
    }
}

impl Denied {
    /// What the rules that are enforced objected to; how many more there were is in the message.
    pub fn objections(&self) -> impl Iterator<Item = &Objection> {
        self.answers.denials().map(|one| &one.objection)
    }

    /// What all rules said.
    pub fn answers(&self) -> &Answers {
        &self.answers
    }

    /// When it was denied.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// What would have been applied; none when the spec was denied, before anything was rendered.
    pub fn rendered(&self) -> Option<&Recollection> {
        self.rendered.as_deref()
    }

    /// What was put together wrongly before any policy could be asked.
    fn refused(phase: Phase, message: String) -> Self {
        let policy = "admission".to_owned();
        let only = Objection {
            policy,
            message,
            object: None,
            path: None,
            hint: None,
            broken: false,
        };
        let only = Finding {
            mode: Mode::Enforce,
            verdict: Verdict::Denied,
            objection: only,
        };
        let answers = Answers {
            findings: vec![only],
            ..Answers::default()
        };
        Self {
            phase,
            answers,
            more: 0,
            rendered: None,
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, objection) in self.objections().take(SPELLED_OUT).enumerate() {
            let between = if at == 0 { "" } else { "; " };
            write!(
                f,
                "{between}denied by policy {}: {}",
                objection.policy, objection.message
            )?;
        }
        let hidden = self.objections().count().saturating_sub(SPELLED_OUT) + self.more;
        if hidden > 0 {
            write!(f, "; and {hidden} more")?;
        }
        Ok(())
    }
}

impl std::error::Error for Denied {}

impl Explain for Denied {
    fn reason(&self) -> Reason {
        Reason::PolicyDenied
    }

    fn turn(&self) -> Turn {
        match self.phase {
            // A policy that could not answer may answer the next time.
            _ if self.objections().any(|objection| objection.broken) => Turn::Retry,
            Phase::Spec => Turn::OwnerOrPolicy,
            // What is in git may be changed as well.
            Phase::Plan => Turn::NextRevision,
        }
    }

    fn hint(&self) -> Option<String> {
        self.objections()
            .find_map(|objection| objection.hint.clone())
    }
}

#[cfg(test)]
mod tests;

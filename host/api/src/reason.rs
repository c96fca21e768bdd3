//! Every reason there is: why a condition is as it is, and what an event is about.
//!
//! The list is closed, so that documentation, metrics and the tests can enumerate it. Where Flux has a word, it is
//! Flux's word, letter by letter. Which failure has which reason is decided where the failure is defined.

use std::fmt;

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident => $text:literal,)+) => {
        /// Why a condition is as it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Reason {
            /// All of them, in the order in which they are documented.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The reason that stands so in a condition, if it is one of ours.
            pub fn named(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|reason| reason.as_str() == text)
            }

            /// The reason as it stands in a condition.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }

            /// What it means, in one sentence.
            pub fn doc(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc),+).trim_ascii(),)+
                }
            }
        }
    };
}

reasons! {
    // done, or on its way
    /// The object is as its spec asks.
    Succeeded => "Succeeded",
    /// Everything was built, judged, applied and pruned.
    ReconciliationSucceeded => "ReconciliationSucceeded",
    /// A reconcile is under way.
    Progressing => "Progressing",
    /// The last reconcile failed and is being tried again.
    ProgressingWithRetry => "ProgressingWithRetry",
    /// The spec says not to reconcile.
    Suspended => "Suspended",
    // the spec itself
    /// A field of the spec cannot be read, or two of them contradict each other.
    InvalidSpec => "InvalidSpec",
    /// A field of the spec would change what happens, but nothing acts on it.
    Unsupported => "Unsupported",
    /// The spec refers to something of another namespace that it may not use.
    AccessDenied => "AccessDenied",
    /// The spec uses what the platform has switched off.
    FeatureGateDisabled => "FeatureGateDisabled",
    /// An expression in the spec cannot be compiled.
    InvalidCelExpression => "InvalidCELExpression",
    /// The spec of a Receiver contradicts itself.
    ValidationFailed => "ValidationFailed",
    /// The authentication that the spec describes cannot work.
    InvalidProviderConfiguration => "InvalidProviderConfiguration",
    // fetching a source
    /// A new revision was stored.
    NewArtifact => "NewArtifact",
    /// The upstream has a revision that is not stored yet.
    NewRevision => "NewRevision",
    /// The stored artifact is of the revision that the upstream has.
    ArtifactUpToDate => "ArtifactUpToDate",
    /// The upstream was asked, and nothing had changed.
    GitOperationSucceeded => "GitOperationSucceeded",
    /// The upstream could not be asked or fetched.
    GitOperationFailed => "GitOperationFailed",
    /// The credentials are missing, unreadable or refused.
    AuthenticationFailed => "AuthenticationFailed",
    /// The URL cannot be used.
    UrlInvalid => "URLInvalid",
    /// The repository has no commits, or not the reference.
    EmptyGitRepository => "EmptyGitRepository",
    /// An included artifact has a new revision.
    IncludeChange => "IncludeChange",
    /// Something that is referred to does not exist.
    NotFound => "NotFound",
    /// An included source has no artifact yet.
    NoArtifact => "NoArtifact",
    /// The signature could not be checked.
    VerificationError => "VerificationError",
    /// The mode of verification does not exist.
    InvalidVerificationMode => "InvalidVerificationMode",
    /// The Git object is not of the kind that can be verified.
    InvalidGitObject => "InvalidGitObject",
    /// The tag's signature is missing or of an unknown key.
    InvalidTagSignature => "InvalidTagSignature",
    /// The commit's signature is missing or of an unknown key.
    InvalidCommitSignature => "InvalidCommitSignature",
    /// A stored artifact is no longer what was stored.
    ArtifactVerificationFailed => "ArtifactVerificationFailed",
    // keeping an artifact
    /// A directory could not be made.
    DirectoryCreationFailed => "DirectoryCreationFailed",
    /// A file could not be looked at.
    StatOperationFailed => "StatOperationFailed",
    /// The tenant has as much of the controller's disk as it may have.
    StorageQuotaExceeded => "StorageQuotaExceeded",
    /// A path of the spec is not in the source.
    InvalidPath => "InvalidPath",
    /// The artifact could not be written.
    ArchiveOperationFailed => "ArchiveOperationFailed",
    /// A path of the spec would leave the source.
    IllegalPath => "IllegalPath",
    /// An included artifact could not be copied.
    CopyFailure => "CopyFailure",
    /// The link to the newest artifact could not be moved.
    SymlinkUpdateFailed => "SymlinkUpdateFailed",
    /// The artifact's lock could not be had.
    AcquireLockFailed => "AcquireLockFailed",
    /// A stored file could not be read.
    ReadOperationFailed => "ReadOperationFailed",
    /// The object could not be updated.
    PatchOperationFailed => "PatchOperationFailed",
    /// A cache could not be read or written.
    CacheOperationFailed => "CacheOperationFailed",
    /// Old artifacts were removed.
    GarbageCollectionSucceeded => "GarbageCollectionSucceeded",
    /// Old artifacts could not be removed.
    GarbageCollectionFailed => "GarbageCollectionFailed",
    // from artifact to applied objects
    /// The source, or its artifact, cannot be had.
    ArtifactFailed => "ArtifactFailed",
    /// The manifests could not be built.
    BuildFailed => "BuildFailed",
    /// A plugin failed, was stopped, or refused the manifests.
    PluginFailed => "PluginFailed",
    /// A policy objects to the spec, or to what would be applied.
    PolicyDenied => "PolicyDenied",
    /// A policy that is not enforced objects to what was applied.
    PolicyWarning => "PolicyWarning",
    /// A policy's rules do not compile, or their tests fail.
    PolicyFailed => "PolicyFailed",
    /// A Kustomization that must be ready first is not.
    DependencyNotReady => "DependencyNotReady",
    /// The cluster refused what was applied.
    ReconciliationFailed => "ReconciliationFailed",
    /// What is no longer wanted could not be deleted.
    PruneFailed => "PruneFailed",
    /// What was judged is in a git repository, for another agent to apply.
    Delivered => "Delivered",
    /// What was judged is proposed to a git repository, and nobody has merged it yet.
    DeliveryProposed => "DeliveryProposed",
    /// What was judged cannot be written to the git repository that it is for.
    DeliveryFailed => "DeliveryFailed",
    /// What would be deleted waits for a confirmation.
    PruneHeld => "PruneHeld",
    /// The manifests of another Kustomization hold the same object.
    OwnershipConflict => "OwnershipConflict",
    /// What would be taken over is told before it is.
    AdoptionReported => "AdoptionReported",
    /// Others have changed what was applied, and that is only reported.
    DriftDetected => "DriftDetected",
    /// Somebody keeps changing what was applied.
    DriftDisputed => "DriftDisputed",
    /// What was applied does not work.
    HealthCheckFailed => "HealthCheckFailed",
    /// A newer revision ended the health check.
    HealthCheckCanceled => "HealthCheckCanceled",
    /// The tenant has used up what it may use of what all tenants share.
    QuotaExceeded => "QuotaExceeded",
    // from the cluster to git
    /// What was changed on the cluster was committed.
    WrittenBack => "WrittenBack",
    /// What was changed on the cluster cannot be written to git as it is.
    WriteBackRefused => "WriteBackRefused",
    /// The same field was changed on the cluster and in git.
    WriteBackConflict => "WriteBackConflict",
    /// The status has no room for all that is to be remembered.
    StatusFull => "StatusFull",
    /// Somebody has closed the pull request of a WriteBack: the same is not proposed again unless somebody asks for it.
    ProposalClosed => "ProposalClosed",
    /// The remote did not take the commit: a rule, a limit or a protection of its own.
    PushRejected => "PushRejected",
    /// The credentials may read the repository, and not write to it.
    ReadOnly => "ReadOnly",
    // a webhook
    /// The Secret with the token, or its key, does not exist.
    TokenNotFound => "TokenNotFound",
    /// A Receiver names an object that does not exist; the others still fire.
    ResourceNotFound => "ResourceNotFound",
    /// An older Receiver is called at the same path.
    PathTaken => "PathTaken",
    // the platform's own kinds
    /// A Tenant names a namespace that an older Tenant has.
    NamespaceTaken => "NamespaceTaken",
    /// A Tenant names a namespace that was there before, and that nobody has had adopted.
    NamespaceNotAdopted => "NamespaceNotAdopted",
    /// What a Tenant says could not be made.
    OnboardingFailed => "OnboardingFailed",
    /// What was made of a Tenant that is deleted is being taken away, or waits for a confirmation.
    TenantLeaving => "TenantLeaving",
    /// A Tenant names a Project that does not exist.
    ProjectNotFound => "ProjectNotFound",
    /// There is no component at the path of a ClusterPlugin.
    PluginNotFound => "PluginNotFound",
    /// A component does not have the digest that its ClusterPlugin names.
    DigestMismatch => "DigestMismatch",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_reason_is_a_word_of_its_own_that_the_api_server_takes() {
        let words: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(words.len(), Reason::ALL.len());
        assert_eq!(
            Reason::named("NamespaceTaken"),
            Some(Reason::NamespaceTaken)
        );
        assert_eq!(Reason::named("Sunday"), None);
        for word in words {
            assert!(word.starts_with(|c: char| c.is_ascii_uppercase()), "{word}");
            assert!(word.chars().all(|c| c.is_ascii_alphanumeric()), "{word}");
        }
        assert!(Reason::ALL.iter().all(|reason| reason.doc().ends_with('.')));
    }
}

//! What is sent to be applied: a manifest that policy has seen.
//!
//! There is no way to make one of bytes or of a value that somebody has changed since.

use reeve_core::admit::AdmittedManifest;
use reeve_core::plan::Planned;

/// The bytes of a manifest that may be sent.
pub(super) struct Body(Vec<u8>);

impl Body {
    /// The object as git has it.
    pub(super) fn of(object: &Planned) -> Self {
        Self(object.manifest().to_string().into_bytes())
    }

    /// The object as `spec.ignore` and WriteBacks leave it, which policy was asked about again.
    pub(super) fn altered(admitted: &AdmittedManifest) -> Self {
        Self(admitted.manifest().to_string().into_bytes())
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

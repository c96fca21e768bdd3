//! How a change is written down: a PATCH, but for its body. It sends nothing.

/// A PATCH, but for its body.
#[derive(Debug, Clone, Copy)]
pub(in crate::cluster) struct Patch<'a> {
    pub(in crate::cluster) format: Format,
    pub(in crate::cluster) manager: &'a str,
    pub(in crate::cluster) dry_run: bool,
    pub(in crate::cluster) subresource: Option<&'a str>,
}

/// What the body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cluster) enum Format {
    /// Server-side apply; field conflicts are won.
    Apply,
    /// A JSON merge patch.
    Merge,
    /// A JSON patch.
    Json,
}

impl<'a> Patch<'a> {
    /// A change of some fields of the object itself.
    pub(in crate::cluster) fn merge(manager: &'a str) -> Self {
        Self {
            format: Format::Merge,
            manager,
            dry_run: false,
            subresource: None,
        }
    }
}

impl Format {
    pub(super) fn mime(self) -> &'static str {
        match self {
            Self::Apply => "application/apply-patch+yaml",
            Self::Merge => "application/merge-patch+json",
            Self::Json => "application/json-patch+json",
        }
    }
}

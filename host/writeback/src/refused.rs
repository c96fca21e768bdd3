//! Why something is not written: a closed list, in words.
//!
//! Messages hold no value of a field. Whose turn it is then, the caller knows from the reason.

use std::fmt;

use reeve_kustomize::Id;

/// A change that cannot be expressed in the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The object.
    pub object: Option<Box<Id>>,
    /// The field, as `spec.replicas`; empty for the object as a whole.
    pub field: String,
    /// Why.
    pub reason: Reason,
}

/// Why something is not written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Secrets are never written in the clear.
    #[error("is a Secret, and Secrets are never written to git in the clear")]
    Secret,
    /// The live object is another one than the applied one.
    #[error("another kind, name or namespace makes it another object")]
    Identity,
    /// No object, or more than one, of this name comes out of the files.
    #[error("the files do not give this object, or give it more than once")]
    Absent,
    /// The object is in the files already.
    #[error("the files give this object already")]
    Present,
    /// What was applied is not what the files give.
    #[error(
        "what was applied is not what the files give: a variable, a plugin or a newer commit replaced it"
    )]
    Replaced,
    /// A generator puts a digest of the content into the name.
    #[error("is generated with a digest in its name: other content makes it another object")]
    Hashed,
    /// The file has other users, and no overlay of its own takes a patch.
    #[error("{file} is used by {by} too")]
    Shared {
        /// The file.
        file: String,
        /// Who else uses it.
        by: String,
    },
    /// The file is none of those that may be written.
    #[error("{file} lies outside of what may be written")]
    Outside {
        /// The file.
        file: String,
    },
    /// The value is made of others after all patches.
    #[error("the value is computed by {by}")]
    Computed {
        /// What computes it.
        by: String,
    },
    /// Whatever sets the value sets other values with it, or there are several places.
    #[error("no place sets this value and nothing else")]
    NotUnique,
    /// The file is written in a way that cannot be edited safely.
    #[error("{why}")]
    Unwritable {
        /// File, field and what stands against it.
        why: String,
    },
    /// There is no kustomization file that could list a patch.
    #[error("there is no kustomization file that could take a patch")]
    NoOverlay,
    /// Nothing that was tried makes the files give the value.
    #[error("no place in the files gives this value")]
    NoPlace,
    /// A name would become an unsafe path.
    #[error("{why}")]
    Name {
        /// Which part, and what is wrong with it.
        why: String,
    },
    /// Another file stands where the new one would.
    #[error("{file} is there already and holds something else")]
    Occupied {
        /// The file.
        file: String,
    },
    /// Somebody else has written the new object to a file already.
    #[error("is in {file} already, where {by} keeps it")]
    Elsewhere {
        /// The file.
        file: String,
        /// Who keeps it there.
        by: String,
    },
    /// The kustomization changes whatever is added to it.
    #[error(
        "the kustomization would change the object: it sets names, labels or other fields of all"
    )]
    Transformed,
    /// The files cannot be built.
    #[error("the files cannot be built: {why}")]
    Build {
        /// The engine's words.
        why: String,
    },
    /// There is too much to look at.
    #[error("there are more than {limit} {what}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much there may be.
        limit: usize,
    },
}

impl Reason {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Secret => "keep it out of the rules, or commit it encrypted",
            Self::Identity => "write it as a new object",
            Self::Absent | Self::Build { .. } => "look at what the repository builds now",
            Self::Present => "write it as a change",
            Self::Replaced => "change the variable or what the plugin reads",
            Self::Hashed => "change the generator by hand, or set disableNameSuffixHash",
            Self::Shared { .. } => "change it by hand for all of them, or give each an overlay",
            Self::Outside { .. } => "change it by hand, or let more be written",
            Self::Computed { .. } => "change what it is computed from",
            Self::NotUnique => "change it by hand, or change all that come from the same place",
            Self::Unwritable { .. } => "edit this file by hand",
            Self::NoOverlay => "add a kustomization.yaml to the directory",
            Self::NoPlace => "change it by hand",
            Self::Name { .. } => "choose another template, or keep the object out of the rules",
            Self::Occupied { .. } => "move that file, or choose another template",
            Self::Elsewhere { .. } => "keep it out of the rules of one of the two",
            Self::Transformed => "let new objects go to a directory without such a kustomization",
            Self::Limit { .. } => "write fewer changes at a time",
        }
    }

    /// The refusal of a field of an object.
    pub(crate) fn of(self, object: Option<Id>, field: impl Into<String>) -> Refused {
        Refused {
            object: object.map(Box::new),
            field: field.into(),
            reason: self,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        write!(f, "{}; {}", self.reason, self.reason.hint())
    }
}

impl std::error::Error for Refused {}

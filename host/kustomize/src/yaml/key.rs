//! What a scalar is where it is the key of a mapping.
//!
//! The readers disagree about that, too: see [`Typing`]. In which order keys are written is in `yaml/keys.rs`.

use std::borrow::Cow;

use super::scalar::{Scalar, Tag, Typing, number};

impl Scalar {
    /// Whether it may be a key of a mapping that lies so deep, 1 for a document itself.
    pub(super) fn may_be_key(&self, typing: Typing, depth: usize) -> bool {
        match typing {
            // What kustomize reads an object into has text for keys at its top, whatever they look like.
            Typing::Manifest => self.tag == Tag::Str || depth == 1,
            Typing::Config => true,
            // OPA has words of its own for decimals and booleans, which nobody would look for.
            Typing::Data => matches!(self.tag, Tag::Str | Tag::Int),
        }
    }

    /// What it becomes in JSON, as a key.
    pub(super) fn as_key(&self, typing: Typing) -> Cow<'_, str> {
        let text = Cow::Borrowed(self.text.as_str());
        match self.tag {
            Tag::Int if typing != Typing::Manifest => {
                number(&self.text).map_or(text, |number| Cow::Owned(number.to_string()))
            }
            _ => text,
        }
    }
}

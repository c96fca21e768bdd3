//! Signatures as somebody told them: a status, or whoever asks what a policy would say.
//!
//! Whoever may write a status may say anything in it. What is told is only read here, in the words that `Display` writes; it
//! deliberately isn't believed: that nothing relies on it is for those who ask.

use std::str::FromStr;

use reeve_api::condition;
use reeve_api::source::GitRepository;

use super::{Mode, Signature, Signed};

/// The signatures that a status tells of what it names, if it says that they are what the spec asks for.
pub fn told(object: &GitRepository) -> Option<Vec<Signature>> {
    let (asked, status) = (object.spec.verify.as_ref()?, object.status.as_ref()?);
    let told = condition::find(&status.conditions, condition::Type::SourceVerified)?;
    let holds = status.source_verification_mode.as_deref() == Some(Mode::from(asked.mode).as_str())
        && condition::is_true(&status.conditions, condition::Type::SourceVerified)
        && told.observed_generation == object.metadata.generation;
    if !holds {
        return None;
    }
    let lines = told.message.lines().skip(1);
    lines.map(signature).collect()
}

/// A line of what `Verified` displays.
fn signature(line: &str) -> Option<Signature> {
    let (object, rest) = line.strip_prefix("\t- ")?.split_once(" '")?;
    // Names of tags may hold quotes, fingerprints don't.
    let (name, key) = rest.strip_suffix('\'')?.rsplit_once("' with key '")?;
    Some(Signature {
        object: kind(object)?,
        name: name.to_owned(),
        key: key.to_owned(),
    })
}

fn kind(word: &str) -> Option<Signed> {
    let mut kinds = [Signed::Commit, Signed::Tag].into_iter();
    kinds.find(|kind| kind.as_str() == word)
}

/// It is not written as one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a signature is written commit=<fingerprint> or tag=<fingerprint>")]
pub struct NotASignature;

impl FromStr for Signature {
    type Err = NotASignature;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (object, key) = text.split_once('=').ok_or(NotASignature)?;
        if key.is_empty() {
            return Err(NotASignature);
        }
        Ok(Self {
            object: kind(object).ok_or(NotASignature)?,
            name: String::new(),
            key: key.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verified;
    use super::*;
    use serde_json::json;

    fn object(message: &str, generation: i64) -> GitRepository {
        serde_json::from_value(json!({
            "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository",
            "metadata": {"name": "web", "namespace": "acme", "generation": generation},
            "spec": {
                "interval": "1m", "url": "https://git.example/acme/web",
                "verify": {"mode": "TagAndHEAD", "secretRef": {"name": "keys"}},
            },
            "status": {
                "sourceVerificationMode": "TagAndHEAD",
                "conditions": [{
                    "type": "SourceVerified", "status": "True", "reason": "Succeeded",
                    "message": message, "observedGeneration": 2,
                    "lastTransitionTime": "2026-01-01T00:00:00Z",
                }],
            },
        }))
        .unwrap()
    }

    #[test]
    fn what_a_status_tells_of_signatures_is_read_as_it_was_written() {
        let signed = |object, name: &str, key: &str| Signature {
            object,
            name: name.to_owned(),
            key: key.to_owned(),
        };
        let verified = Verified {
            mode: Mode::TagAndHead,
            signed: vec![
                signed(Signed::Tag, "v1' with key 'me'@2ca07c", "SHA256:abc"),
                signed(Signed::Commit, "3c1b3b", "0123ABCD"),
            ],
        };
        let message = verified.to_string();
        assert_eq!(told(&object(&message, 2)), Some(verified.signed));
        // Of another generation, or not in these words: nothing is told.
        assert_eq!(told(&object(&message, 3)), None);
        for other in [
            message.replace("tag", "branch"),
            message.replace("\t- ", "- "),
            format!("{message}\nand so on"),
        ] {
            assert_eq!(told(&object(&other, 2)), None, "{other}");
        }
    }

    #[test]
    fn a_signature_that_is_given_by_hand_names_its_object_and_its_key() {
        let given: Signature = "tag=SHA256:abc=".parse().unwrap();
        assert_eq!(
            (given.object, given.key.as_str()),
            (Signed::Tag, "SHA256:abc=")
        );
        for text in ["", "commit", "commit=", "branch=SHA256:abc", "SHA256:abc"] {
            assert_eq!(text.parse::<Signature>(), Err(NotASignature), "{text}");
        }
    }
}

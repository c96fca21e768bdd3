//! What was built, put down as small as it can be: so the builds of thousands of Kustomizations lie in a few MiB.
//!
//! As values a build takes 150 bytes for each beside its text; here it is that text, and a longer one compressed, of which a tenth
//! is left. Whoever asks for it gets a bundle of his own, which takes less than building it. Which builds are kept is [`super`]'s
//! to say, what text stands for a bundle `core::bundle`'s.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use reeve_core::bundle::{Bundle, Outline, Rendered};

/// Below this, compressing saves less than it costs.
const WORTH: usize = 4 << 10;
/// Reading more than this is not for a thread that others' answers come to.
const LONG: usize = 256 << 10;

/// A bundle that is kept. Prints nothing of it.
pub(crate) struct Packed {
    outline: Outline,
    text: Text,
}

enum Text {
    Plain(Box<[u8]>),
    /// The length is the text's own.
    Deflated(Box<[u8]>, usize),
}

impl Packed {
    /// Nothing where it could not be read back as it is.
    pub(super) fn of(bundle: &Bundle<Rendered>) -> Option<Self> {
        let (outline, text) = bundle.put_down()?;
        let text = match text.len() < WORTH {
            true => Text::Plain(text.into()),
            false => Text::Deflated(deflated(&text)?.into(), text.len()),
        };
        Some(Self { outline, text })
    }

    /// What was packed.
    pub(crate) fn bundle(&self) -> Option<Bundle<Rendered>> {
        match &self.text {
            Text::Plain(text) => self.outline.read(text),
            Text::Deflated(packed, length) => {
                let mut text = Vec::with_capacity(*length);
                // It was written here, so it is as long as it was.
                let mut reader = DeflateDecoder::new(&**packed);
                reader.read_to_end(&mut text).ok()?;
                self.outline.read(&text)
            }
        }
    }

    /// Whether reading it takes so long that a thread should be had for that.
    pub(super) fn is_long(&self) -> bool {
        matches!(self.text, Text::Deflated(_, length) if length > LONG)
    }

    /// Bytes that it takes in memory.
    pub(super) fn weight(&self) -> usize {
        let text = match &self.text {
            Text::Plain(text) | Text::Deflated(text, _) => text.len(),
        };
        size_of::<Self>() + text + self.outline.size()
    }
}

fn deflated(text: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).ok()?;
    encoder.finish().ok()
}

#[cfg(test)]
pub(super) mod tests {
    use reeve_core::bundle::shown;
    use reeve_core::render::{Rendering, Size, render};
    use reeve_kustomize::{MemoryTree, Remotes, Stop};
    use serde_json::{Value, json};

    use super::*;

    /// What a build makes of these objects.
    pub(in crate::renders) fn bundle(objects: &[Value]) -> Bundle<Rendered> {
        let manifests: Vec<String> = objects.iter().map(Value::to_string).collect();
        let named = manifests.iter().enumerate();
        let named: Vec<(String, &str)> = named
            .map(|(at, manifest)| (format!("{at:02}.yaml"), manifest.as_str()))
            .collect();
        let files = named
            .iter()
            .map(|(name, manifest)| (name.as_str(), *manifest));
        let tree: MemoryTree = files.collect();
        let spec = super::super::tests::spec("web", "");
        let (remotes, stop) = (Remotes::default(), Stop::default());
        let made = render(&tree, &remotes, &spec, None, Size::Any, &stop).unwrap();
        let Rendering::Bundle(bundle) = made else {
            panic!("it is one");
        };
        bundle.under(&shown(&manifests))
    }

    fn map(length: usize) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "x".repeat(length)}})
    }

    #[test]
    fn what_is_packed_comes_back_as_it_was_and_takes_no_more_than_its_text() {
        for (length, most) in [
            (10, 600),
            (WORTH - 200, WORTH + 400),
            (WORTH, 600),
            (1 << 20, 40_000),
        ] {
            let bundle = bundle(&[map(length)]);
            let packed = Packed::of(&bundle).unwrap();
            assert!(packed.bundle().unwrap() == bundle, "{length}");
            assert!(packed.weight() < most, "{length}: {}", packed.weight());
            assert_eq!(packed.is_long(), length > LONG, "{length}");
        }
    }

    #[test]
    fn what_must_not_be_told_of_it_is_covered_when_it_comes_back() {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "stringData": {"a": "not to be told"}});
        let bundle = bundle(&[secret]);
        let read = Packed::of(&bundle).unwrap().bundle().unwrap();
        assert!(read.secret() == bundle.secret() && !read.secret().is_nothing());
    }
}

//! Functions of kustomizations that lie in registries: fetched by what pins them, as nobody in particular, and kept.
//!
//! A build does not wait for a registry while it holds a place: it says what it lacks (`functions`), that is fetched here, and
//! it builds again. What is kept is kept up to a bound over all; whoever was not asked for longest goes first. Which addresses
//! are reached is `git::Egress`'s to say, as for the plugins that a tenant fetches.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::git::Egress;
use crate::oci::{self, Access, Login, NotAReference, Reference, digest_of};
use crate::places::Places;

/// The largest component of a function, in bytes.
const LARGEST: usize = 32 << 20;
/// Bytes of all that are kept.
const KEPT: usize = 64 << 20;
/// How many are fetched at once, each for another tenant.
const PLACES: usize = 4;
/// How long one may take.
const LONGEST: Duration = Duration::from_secs(30);

/// An image, and what pins it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Image {
    /// `oci://HOST/NAME@sha256:…`, or a tag where `sha256` is there.
    pub(crate) reference: String,
    /// The digest of the component itself, in hexadecimal.
    pub(crate) sha256: Option<String>,
}

/// Why one was not fetched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// It names nothing.
    #[error(transparent)]
    Reference(#[from] NotAReference),
    /// The registry, or what lies there.
    #[error(transparent)]
    Registry(#[from] oci::Error),
    /// Something else lies there.
    #[error("it is {0}, not what wasm.sha256 says")]
    Other(String),
    /// Others were first.
    #[error("other functions are still being fetched")]
    Busy,
}

impl Error {
    /// Whether it may pass without a commit.
    pub(crate) fn passes(&self) -> bool {
        matches!(self, Self::Registry(_) | Self::Busy)
    }
}

/// The way to registries.
pub(crate) struct Way {
    pub(crate) egress: Arc<Egress>,
    /// Who we are there.
    pub(crate) login: Option<Login>,
    /// Whether a registry on this machine is spoken to over http.
    pub(crate) plain: bool,
}

/// What was fetched.
pub(crate) struct Images {
    places: Places,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    all: BTreeMap<Image, (Arc<[u8]>, u64)>,
    size: usize,
    /// Counts what was asked for.
    asked: u64,
}

impl Images {
    pub(crate) fn new() -> Self {
        Self {
            places: Places::new(PLACES),
            kept: Mutex::default(),
        }
    }

    /// The component, from what is kept or else from its registry, for the tenant `whose`.
    pub(crate) async fn get(
        &self,
        image: &Image,
        whose: &str,
        way: Way,
        deadline: Instant,
    ) -> Result<Arc<[u8]>, Error> {
        if let Some(bytes) = self.kept().get(image) {
            return Ok(bytes);
        }
        let place = self.places.take(whose);
        let place = tokio::time::timeout_at(deadline.into(), place).await;
        let _place = place.ok().flatten().ok_or(Error::Busy)?;
        // Whoever held the place before may have fetched it.
        if let Some(bytes) = self.kept().get(image) {
            return Ok(bytes);
        }
        let bytes = fetch(image, way, deadline).await?;
        self.kept().put(image.clone(), Arc::clone(&bytes));
        Ok(bytes)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn get(&mut self, image: &Image) -> Option<Arc<[u8]>> {
        self.asked += 1;
        let (bytes, asked) = self.all.get_mut(image)?;
        *asked = self.asked;
        Some(Arc::clone(bytes))
    }

    fn put(&mut self, image: Image, bytes: Arc<[u8]>) {
        self.asked += 1;
        self.size += bytes.len();
        if let Some((old, _)) = self.all.insert(image, (bytes, self.asked)) {
            self.size -= old.len();
        }
        while self.size > KEPT {
            let oldest = self.all.iter().min_by_key(|(_, (_, asked))| *asked);
            let Some(image) = oldest.map(|(image, _)| image.clone()) else {
                return;
            };
            let gone = self.all.remove(&image);
            self.size -= gone.map_or(0, |(bytes, _)| bytes.len());
        }
    }
}

/// Fetches the component, and holds it against what pins it.
pub(crate) async fn fetch(image: &Image, way: Way, deadline: Instant) -> Result<Arc<[u8]>, Error> {
    let reference: Reference = image.reference.parse()?;
    let access = Access {
        egress: way.egress,
        login: way.login,
        plain: way.plain && reference.is_local(),
        deadline: deadline.min(Instant::now() + LONGEST),
    };
    let pulled = oci::pull(&reference, &access, LARGEST).await?;
    let digest = digest_of(&pulled.component);
    let wanted = |pin: &String| digest.strip_prefix("sha256:") == Some(&*pin.to_ascii_lowercase());
    match image.sha256.as_ref().is_none_or(wanted) {
        true => Ok(pulled.component.into()),
        false => Err(Error::Other(digest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(n: usize) -> Image {
        Image {
            reference: format!("oci://registry.example/f{n}:1"),
            sha256: None,
        }
    }

    #[test]
    fn what_was_not_asked_for_longest_is_forgotten_first_and_no_more_is_kept_than_may_be() {
        let mut kept = Kept::default();
        let third: Arc<[u8]> = vec![0; KEPT / 3].into();
        for n in 0..3 {
            kept.put(image(n), Arc::clone(&third));
        }
        assert!(kept.get(&image(0)).is_some());
        kept.put(image(3), Arc::clone(&third));
        let there: Vec<bool> = (0..4).map(|n| kept.get(&image(n)).is_some()).collect();
        assert_eq!(there, [true, false, true, true]);
        kept.put(image(3), Arc::clone(&third));
        assert_eq!(kept.size, KEPT / 3 * 3, "the same again takes no more");
        kept.put(image(4), vec![0; KEPT + 1].into());
        assert_eq!((kept.size, kept.all.len()), (0, 0));
    }

    #[test]
    fn the_same_name_with_another_pin_is_another_image() {
        let mut kept = Kept::default();
        kept.put(image(1), Arc::from(*b"one"));
        let other = Image {
            sha256: Some("0".repeat(64)),
            ..image(1)
        };
        assert!(kept.get(&other).is_none());
    }
}

//! How much memory it takes to put the objects of a pack together, known before any is.
//!
//! Differences are applied from what stands by itself down. An object is held while what differs from it is made, and if several
//! differ from it, until the last of these is made with all below it: a chain in which each link has a branch is held whole. What
//! differs from an object that is named, and not pointed at, may belong anywhere; then all that are differences count. What it
//! deliberately doesn't: apply a difference.

use flate2::{Decompress, FlushDecompress};
use gix::odb::pack::data::entry::Header;
use gix::odb::pack::data::input::Entry;

use crate::git::Limits;

/// More than may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heavy {
    /// An object is larger than one may be.
    Object,
    /// So many differences to differences may be below each other.
    Depth(u16),
    /// More is held at once.
    Held,
    /// All objects are larger together.
    All,
    /// A difference cannot be read.
    Torn,
}

/// Weighs objects, one after the other in the order of the pack.
pub(super) struct Scale {
    seen: Vec<Seen>,
    most: Most,
    /// Bytes of all objects, and of those that are differences.
    all: u64,
    differing: u64,
    largest: u64,
    /// Whether one differs from an object that is only named.
    is_loose: bool,
    inflate: Decompress,
}

struct Most {
    object: u64,
    held: u64,
    all: u64,
}

/// An object of the pack.
struct Seen {
    /// Where it begins.
    at: u64,
    /// Which one it differs from, itself if it stands by itself.
    base: u32,
    size: u32,
    depth: u16,
    /// How many differ from it: none, one, or several.
    below: Below,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Below {
    None,
    One,
    Several,
}

/// As deep as git itself makes them when it is asked for the deepest.
const DEEPEST: u16 = 4_095;
/// A difference begins with two sizes, of ten bytes at most.
const SIZES: usize = 20;

impl Scale {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            seen: Vec::new(),
            most: Most {
                // What is larger is no length of a slice here.
                object: limits.object_bytes.min(u64::from(u32::MAX)),
                held: limits.unpacking_bytes,
                all: limits.unpacked_bytes,
            },
            all: 0,
            differing: 0,
            largest: 0,
            is_loose: false,
            inflate: Decompress::new(true),
        }
    }

    /// One more object.
    pub(super) fn put(&mut self, entry: &Entry) -> Result<(), Heavy> {
        let own = u32::try_from(self.seen.len()).map_err(|_| Heavy::All)?;
        let base = match entry.header {
            Header::OfsDelta { base_distance } => {
                let at = entry.pack_offset.checked_sub(base_distance);
                let at = at.ok_or(Heavy::Torn)?;
                let base = self.seen.binary_search_by_key(&at, |seen| seen.at);
                Some(base.map_err(|_| Heavy::Torn)?)
            }
            Header::RefDelta { .. } => {
                self.is_loose = true;
                None
            }
            _ => None,
        };
        let size = match entry.header.is_delta() {
            true => self.size_of(entry)?,
            false => entry.decompressed_size,
        };
        if size.max(entry.decompressed_size) > self.most.object {
            return Err(Heavy::Object);
        }
        self.all = self.all.saturating_add(size);
        if self.all > self.most.all {
            return Err(Heavy::All);
        }
        if entry.header.is_delta() {
            self.differing = self.differing.saturating_add(size);
        }
        self.largest = self.largest.max(size);
        let depth = match base.and_then(|base| self.seen.get_mut(base)) {
            Some(base) => {
                base.below = match base.below {
                    Below::None => Below::One,
                    Below::One | Below::Several => Below::Several,
                };
                base.depth.saturating_add(1)
            }
            None => 0,
        };
        if depth > DEEPEST {
            return Err(Heavy::Depth(DEEPEST));
        }
        self.seen.push(Seen {
            at: entry.pack_offset,
            base: base
                .and_then(|base| u32::try_from(base).ok())
                .unwrap_or(own),
            size: u32::try_from(size).map_err(|_| Heavy::Object)?,
            depth,
            below: Below::None,
        });
        Ok(())
    }

    /// The bytes that are held at once when all of them are put together.
    pub(super) fn weight(self) -> Result<u64, Heavy> {
        let weight = match self.is_loose {
            true => self.largest.saturating_add(self.differing),
            false => self.held(),
        };
        match weight > self.most.held {
            true => Err(Heavy::Held),
            false => Ok(weight),
        }
    }

    fn held(&self) -> u64 {
        let mut heaviest = 0;
        // What is held for all below an object: by those of what it differs from, and of that, that have several below them.
        let mut held: Vec<u64> = Vec::with_capacity(self.seen.len());
        for seen in &self.seen {
            // What an object differs from comes before it.
            let base = usize::try_from(seen.base).ok().filter(|_| seen.depth > 0);
            let base = base.and_then(|base| self.seen.get(base).zip(held.get(base)));
            let (above, beside) = base.map_or((0, 0), |(base, held)| {
                let is_held = base.below == Below::Several;
                (*held, if is_held { 0 } else { u64::from(base.size) })
            });
            let size = u64::from(seen.size);
            heaviest = heaviest.max(above.saturating_add(beside).saturating_add(size));
            held.push(match seen.below {
                Below::Several => above.saturating_add(size),
                Below::None | Below::One => above,
            });
        }
        heaviest
    }

    /// How large the object is that a difference makes.
    fn size_of(&mut self, entry: &Entry) -> Result<u64, Heavy> {
        let packed = entry.compressed.as_deref().ok_or(Heavy::Torn)?;
        let mut sizes = [0; SIZES];
        self.inflate.reset(true);
        let inflated = self
            .inflate
            .decompress(packed, &mut sizes, FlushDecompress::None);
        inflated.map_err(|_| Heavy::Torn)?;
        let length = usize::try_from(self.inflate.total_out()).unwrap_or_default();
        let mut bytes = sizes.get(..length).unwrap_or_default().iter().copied();
        // The first is that of what it differs from.
        let two = [number(&mut bytes), number(&mut bytes)];
        let [Some(_), Some(size)] = two else {
            return Err(Heavy::Torn);
        };
        Ok(size)
    }
}

/// A number in bytes of seven bits, the lowest first.
fn number(bytes: &mut impl Iterator<Item = u8>) -> Option<u64> {
    let mut value = 0;
    for shift in (0..u64::BITS).step_by(7) {
        let byte = bytes.next()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::*;

    fn limits() -> Limits {
        Limits {
            object_bytes: 1_000,
            unpacking_bytes: 3_000,
            unpacked_bytes: 100_000,
            ..Limits::default()
        }
    }

    fn entry(header: Header, at: u64, content: &[u8]) -> Entry {
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(content).unwrap();
        let compressed = packed.finish().unwrap();
        Entry {
            header,
            header_size: 2,
            pack_offset: at,
            compressed_size: compressed.len() as u64,
            compressed: Some(compressed),
            crc32: None,
            decompressed_size: content.len() as u64,
            trailer: None,
        }
    }

    /// A difference that makes 900 bytes.
    fn differs(at: u64, base: u64) -> Entry {
        let base_distance = at - base;
        entry(Header::OfsDelta { base_distance }, at, &SAYS_900)
    }

    /// Twice 900, and what would follow.
    const SAYS_900: [u8; 6] = [0x84, 0x07, 0x84, 0x07, 1, b'x'];

    fn weighed(entries: impl IntoIterator<Item = Entry>) -> Result<u64, Heavy> {
        let mut scale = Scale::new(&limits());
        for entry in entries {
            scale.put(&entry)?;
        }
        scale.weight()
    }

    fn root() -> Entry {
        entry(Header::Blob, 12, &[0; 900])
    }

    #[test]
    fn a_line_is_held_two_at_a_time_and_one_with_branches_as_a_whole() {
        let line = (2..40).map(|n| differs(n * 12, (n - 1) * 12));
        assert_eq!(weighed([root()].into_iter().chain(line)), Ok(1_800));
        // Everything differs from the first.
        let star = (2..40).map(|n| differs(n * 12, 12));
        assert_eq!(weighed([root()].into_iter().chain(star)), Ok(1_800));
        // Beside each of the line lies another that differs from the same.
        let comb = |links: u64| {
            let links = (1..=links).flat_map(|n| {
                let base = 24 * (n - 1) + 12;
                [differs(24 * n, base), differs(24 * n + 12, base)]
            });
            weighed([root()].into_iter().chain(links))
        };
        assert_eq!((comb(1), comb(2)), (Ok(1_800), Ok(2_700)));
        assert_eq!(comb(3), Err(Heavy::Held));
    }

    #[test]
    fn what_differs_from_what_is_only_named_counts_with_all_that_differ() {
        let base_id = gix::ObjectId::null(gix::hash::Kind::Sha1);
        let named = |n: u64| entry(Header::RefDelta { base_id }, 12 * n, &SAYS_900);
        assert_eq!(weighed([root(), named(2)]), Ok(1_800));
        assert_eq!(weighed([root(), named(2), differs(36, 24)]), Ok(2_700));
        let many = [root(), named(2), named(3), differs(48, 12)];
        assert_eq!(weighed(many), Err(Heavy::Held));
    }

    #[test]
    fn what_is_too_large_too_deep_or_torn_is_refused_as_it_comes() {
        let large = entry(Header::Blob, 12, &[0; 1_001]);
        assert_eq!(weighed([large]), Err(Heavy::Object));
        let base_distance = 12;
        let says = |content: &[u8]| entry(Header::OfsDelta { base_distance }, 24, content);
        // A few bytes that make 2000.
        let makes = says(&[0x84, 0x07, 0xd0, 0x0f]);
        assert_eq!(weighed([root(), makes]), Err(Heavy::Object));
        assert_eq!(weighed([root(), says(&[0x84, 0x07])]), Err(Heavy::Torn));
        assert_eq!(weighed([root(), says(&[0xff; 30])]), Err(Heavy::Torn));
        assert_eq!(weighed([root(), differs(36, 24)]), Err(Heavy::Torn));
        let tiny = |n: u64| entry(Header::OfsDelta { base_distance }, 12 * n, &[1, 1, 1, b'x']);
        let first = || entry(Header::Blob, 12, b"x");
        let deep = |links: u64| weighed([first()].into_iter().chain((2..2 + links).map(tiny)));
        assert_eq!(deep(4_095), Ok(2));
        assert_eq!(deep(4_096), Err(Heavy::Depth(4_095)));
        let many = (1..=112).map(|n| entry(Header::Blob, 12 * n, &[0; 900]));
        assert_eq!(weighed(many), Err(Heavy::All));
    }
}

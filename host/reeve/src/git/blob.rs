//! The content of a file, read from its pack piece by piece: a large one is never in memory as a whole.
//!
//! Only what stands in its pack by itself can be read like this. A difference to something else has to be put together
//! first, which [`Snapshot`](super::Snapshot) does for both kinds when it is asked for the whole. What it deliberately
//! doesn't: check the content against its id; that was done when the pack came.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom};
use std::path::Path;

use flate2::bufread::ZlibDecoder;
use gix::odb::pack::data;
use gix::odb::pack::index;
use gix::{ObjectId, hash};

/// The content of `id` and its length, if one of the packs in `packs` holds it by itself.
///
/// # Errors
/// When a pack cannot be read.
pub(super) fn stream(
    packs: &Path,
    hash: hash::Kind,
    id: ObjectId,
) -> io::Result<Option<(u64, impl Read + use<>)>> {
    for entry in std::fs::read_dir(packs)? {
        let path = entry?.path();
        if path.extension().is_none_or(|kind| kind != "idx") {
            continue;
        }
        let index =
            index::File::at(&path, hash).map_err(|why| io::Error::other(why.to_string()))?;
        let Some(at) = index.lookup(id) else { continue };
        let offset = index.pack_offset_at_index(at);
        let mut pack = File::open(path.with_extension("pack"))?;
        pack.seek(SeekFrom::Start(offset))?;
        let mut pack = BufReader::with_capacity(64 << 10, pack);
        let entry = data::Entry::from_read(&mut pack, offset, hash.len_in_bytes())?;
        if !matches!(entry.header, data::entry::Header::Blob) {
            return Ok(None);
        }
        let size = entry.decompressed_size;
        return Ok(Some((size, ZlibDecoder::new(pack).take(size))));
    }
    Ok(None)
}

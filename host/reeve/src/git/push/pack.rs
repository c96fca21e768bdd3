//! Objects as a pack: each as a whole, none left out, nothing told as a difference to what only a server has.
//!
//! What it deliberately doesn't: compare objects. A commit of ours changes few files, and what a difference would save is
//! less than one round trip.

use std::io::{self, Write as _};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use gix::hash;
use gix::objs::Kind;
use gix::odb::pack::data::entry::Header;
use gix::odb::pack::data::{Version, header};

use crate::git::commit::Object;
use crate::git::wire::in_bytes;
use crate::git::{Cause, commit};

/// The most bytes that one commit of ours may take, unpacked and packed.
pub(in crate::git) const MOST: usize = 16 << 20;

/// The pack that holds `objects`.
pub(super) fn write(objects: &[Object], hash: hash::Kind) -> Result<Vec<u8>, commit::Error> {
    let large = || commit::Error::TooMuch {
        what: "what changes is larger",
        cap: in_bytes(u64::try_from(MOST).unwrap_or(u64::MAX)),
    };
    let unpacked = objects
        .iter()
        .try_fold(0_usize, |sum, object| sum.checked_add(object.data.len()));
    unpacked.filter(|sum| *sum <= MOST).ok_or_else(large)?;
    let mut pack = entries(objects).map_err(|_| Cause::Internal)?;
    let mut digest = gix::hash::hasher(hash);
    digest.update(&pack);
    let digest = digest.try_finalize().map_err(|_| Cause::Internal)?;
    pack.extend_from_slice(digest.as_slice());
    // What doesn't compress grows a little.
    if pack.len() > MOST {
        return Err(large());
    }
    Ok(pack)
}

fn entries(objects: &[Object]) -> io::Result<Vec<u8>> {
    let count = u32::try_from(objects.len()).map_err(io::Error::other)?;
    let mut pack = header::encode(Version::V2, count).to_vec();
    for object in objects {
        let kind = match object.kind {
            Kind::Commit => Header::Commit,
            Kind::Tree => Header::Tree,
            Kind::Blob => Header::Blob,
            Kind::Tag => Header::Tag,
        };
        let length = u64::try_from(object.data.len()).map_err(io::Error::other)?;
        kind.write_to(length, &mut pack)?;
        let mut packed = ZlibEncoder::new(&mut pack, Compression::default());
        packed.write_all(&object.data)?;
        packed.finish()?;
    }
    Ok(pack)
}

#[cfg(test)]
mod tests {
    use gix::ObjectId;

    use super::*;

    fn object(data: Vec<u8>) -> Object {
        let id = gix::objs::compute_hash(hash::Kind::Sha1, Kind::Blob, &data);
        Object {
            id: id.unwrap(),
            kind: Kind::Blob,
            data,
        }
    }

    #[test]
    fn a_pack_holds_each_object_and_ends_with_its_own_digest() {
        for (kind, length) in [(hash::Kind::Sha1, 20), (hash::Kind::Sha256, 32)] {
            let pack = write(&[object(b"a".to_vec()), object(vec![b'b'; 5000])], kind).unwrap();
            let (body, digest) = pack.split_at(pack.len() - length);
            assert_eq!(&body[..12], b"PACK\0\0\0\x02\0\0\0\x02");
            let mut hasher = gix::hash::hasher(kind);
            hasher.update(body);
            assert_eq!(
                ObjectId::from_bytes_or_panic(digest),
                hasher.try_finalize().unwrap()
            );
        }
    }

    #[test]
    fn a_commit_that_is_too_large_is_not_packed() {
        let refused = write(
            &[object(vec![0; MOST]), object(vec![0; 1])],
            hash::Kind::Sha1,
        );
        let told = refused.unwrap_err().to_string();
        assert_eq!(
            told,
            "what changes is larger than the 16 MiB that one commit may have"
        );
    }
}

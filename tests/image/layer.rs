//! A layer: files as a tar that is the same whoever makes it, compressed.

use std::io::Write as _;

use anyhow::Context as _;
use flate2::{Compression, GzBuilder};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

use super::files::{Files, Node};

/// A compressed layer, and the digest of what is in it.
pub(super) struct Layer {
    pub(super) compressed: Vec<u8>,
    /// Of the tar itself, as the image's config wants it.
    pub(super) diff_id: String,
}

/// Packs files.
pub(super) fn pack(files: &Files, epoch: u32) -> anyhow::Result<Layer> {
    let mut tar = Builder::new(Vec::new());
    for (path, node) in files.iter() {
        let (mode, owner, kind, content): (_, _, _, &[u8]) = match node {
            Node::Directory { mode, owner } => (*mode, *owner, EntryType::Directory, &[]),
            Node::File { mode, content } => (*mode, 0, EntryType::Regular, content),
        };
        let mut header = header(mode, owner, epoch, kind);
        header.set_size(
            content
                .len()
                .try_into()
                .context("a file is not that large")?,
        );
        let name = match kind {
            EntryType::Directory => format!("{path}/"),
            _ => path.to_owned(),
        };
        tar.append_data(&mut header, name, content)
            .with_context(|| format!("packing {path}"))?;
    }
    let tar = tar.into_inner().context("ending the tar")?;
    // No name and no time in its head.
    let mut gzip = GzBuilder::new().write(Vec::new(), Compression::new(6));
    gzip.write_all(&tar).context("compressing")?;
    Ok(Layer {
        compressed: gzip.finish().context("compressing")?,
        diff_id: digest(&tar),
    })
}

/// A head with numbers only.
pub(super) fn header(mode: u32, owner: u32, epoch: u32, kind: EntryType) -> Header {
    let mut header = Header::new_gnu();
    header.set_mode(mode);
    header.set_uid(owner.into());
    header.set_gid(owner.into());
    header.set_mtime(epoch.into());
    header.set_entry_type(kind);
    header
}

/// As OCI writes it.
pub(super) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_are_the_same_layer_and_others_are_another() {
        let files = |content: &[u8]| Files::default().with("a/b", content).expect("a path");
        let packed = |content: &[u8], epoch| pack(&files(content), epoch).expect("it is packed");
        let (one, same) = (packed(b"x", 1), packed(b"x", 1));
        assert_eq!(one.compressed, same.compressed);
        assert_eq!(one.diff_id, same.diff_id);
        assert_ne!(one.diff_id, packed(b"y", 1).diff_id);
        assert_ne!(one.diff_id, packed(b"x", 2).diff_id);
    }

    #[test]
    fn what_is_packed_belongs_to_numbers() {
        let files = Files::default().with("a/b", b"x").expect("a path");
        let layer = pack(&files, 7).expect("it is packed");
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&*layer.compressed));
        let mut seen = Vec::new();
        for entry in archive.entries().expect("it is a tar") {
            let entry = entry.expect("an entry is readable");
            let header = entry.header();
            assert_eq!(header.uid().expect("a number"), 0);
            assert_eq!(header.mtime().expect("a number"), 7);
            assert_eq!(header.username().expect("it is text"), Some(""));
            seen.push(entry.path().expect("a path").display().to_string());
        }
        assert_eq!(seen, ["a/", "a/b"]);
    }
}

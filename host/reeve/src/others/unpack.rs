//! A tar.gz, opened: every entry is judged by its name and kind, and contents are laid one after another into one file.
//!
//! Whoever makes archives is not trusted with more than what is in them: no entry's name reaches the file system, one that
//! leads elsewhere or reads as another path refuses the whole, links are left out as in a commit, and bytes, entries and nesting
//! are bounded before they are held. Long names are read by us, since the library would hold one of any length. What it
//! deliberately doesn't: keep modes, owners or times, which no build reads.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::Instant;

use flate2::read::MultiGzDecoder;
use sha2::{Digest as _, Sha256};
use tar::{Entry, EntryType, PaxExtensions};

use super::tree::Node;
use super::{Archive, Error, Limits, blank};
use crate::disk::Writing;
use crate::git::{LONGEST_PATH, hostile_name};

/// Of a link.
const LINK: &str =
    "is a link: artifacts hold none, as in Flux; put a copy there or name what it leads to";
/// The largest entry that says how the next one is called.
const LONGEST_SAID: u64 = 64 << 10;
/// How much is copied at a time.
const CHUNK: usize = 64 << 10;

/// Opens `packed`, whose bytes are known to be the right ones, as far as there is room for it.
pub(super) fn unpack(
    mut packed: File,
    dir: &Path,
    limits: &Limits,
    deadline: Instant,
    writing: &mut Writing,
) -> Result<Archive, Error> {
    packed
        .seek(SeekFrom::Start(0))
        .map_err(|source| Error::Disk {
            doing: "read",
            source,
        })?;
    let plain = Bounded {
        inner: MultiGzDecoder::new(BufReader::new(packed)),
        left: limits.content_bytes,
        deadline,
    };
    let mut archive = tar::Archive::new(plain);
    let mut opened = Opened {
        limits,
        writing,
        contents: blank(dir)?,
        at: 0,
        entries: BTreeMap::new(),
        left_out: BTreeMap::new(),
        paths: 0,
        said: None,
    };
    let unreadable = |why| unreadable(why, limits);
    let entries = archive.entries().map_err(unreadable)?.raw(true);
    for entry in entries {
        opened.take(&mut entry.map_err(unreadable)?)?;
    }
    let (at, most) = (opened.at, limits.file_bytes);
    let Opened {
        contents,
        entries,
        left_out,
        writing,
        ..
    } = opened;
    let lying = writing.lies(at);
    Ok(Archive::new(contents, entries, left_out, (at, most), lying))
}

/// Bytes of which only so many may come, and in time.
struct Bounded<R> {
    inner: R,
    left: u64,
    deadline: Instant,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if Instant::now() >= self.deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let read = self.inner.read(buffer)?;
        let left = self.left.checked_sub(read as u64);
        self.left = left.ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(read)
    }
}

fn unreadable(why: io::Error, limits: &Limits) -> Error {
    match why.kind() {
        io::ErrorKind::FileTooLarge => Error::TooMuch {
            what: "its files have more bytes together",
            cap: limits.content_bytes,
        },
        io::ErrorKind::TimedOut => Error::Late {
            within: super::LONGEST,
        },
        _ => Error::Unreadable { source: why },
    }
}

/// What was opened so far.
struct Opened<'l> {
    limits: &'l Limits,
    writing: &'l mut Writing,
    contents: File,
    /// How many bytes are in it.
    at: u64,
    entries: BTreeMap<String, Node>,
    left_out: BTreeMap<String, &'static str>,
    /// Bytes of all their paths.
    paths: usize,
    /// How the next entry is called, if an entry of its own says so.
    said: Option<Vec<u8>>,
}

impl Opened<'_> {
    fn take<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> Result<(), Error> {
        let kind = entry.header().entry_type();
        match kind {
            EntryType::GNULongName => {
                let mut said = self.said_by(entry)?;
                if let Some(end) = said.iter().position(|byte| *byte == 0) {
                    said.truncate(end);
                }
                self.said = Some(said);
                return Ok(());
            }
            EntryType::XHeader => {
                let said = self.said_by(entry)?;
                if let Some(name) = name_in(&said)? {
                    self.said = Some(name);
                }
                return Ok(());
            }
            // Where a link leads, and what is true of all entries: nobody asks.
            EntryType::GNULongLink | EntryType::XGlobalHeader => return Ok(()),
            _ => {}
        }
        let name = match self.said.take() {
            Some(said) => said,
            None => entry.path_bytes().into_owned(),
        };
        let Some(path) = clean(&name)? else {
            return Ok(());
        };
        match kind {
            EntryType::Regular => {
                self.place(&path)?;
                let node = self.copy(entry)?;
                self.put(path, node)
            }
            EntryType::Directory => match self.entries.get(&path) {
                Some(Node::Dir) => Ok(()),
                _ => {
                    self.place(&path)?;
                    self.put(path, Node::Dir)
                }
            },
            EntryType::Symlink | EntryType::Link => {
                self.place(&path)?;
                self.holds(&path)?;
                self.left_out.insert(path, LINK);
                Ok(())
            }
            _ => Err(hostile(&path, "it is neither a file nor a directory")),
        }
    }

    /// What an entry says of the next one.
    fn said_by<R: Read>(&self, entry: &mut Entry<'_, R>) -> Result<Vec<u8>, Error> {
        if entry.size() > LONGEST_SAID {
            return Err(Error::TooMuch {
                what: "a name in it has more bytes",
                cap: LONGEST_SAID,
            });
        }
        let mut said = Vec::new();
        let read = entry.read_to_end(&mut said);
        read.map_err(|why| unreadable(why, self.limits))?;
        Ok(said)
    }

    /// Sees that nothing lies at `path`, and that all directories above it are there.
    fn place(&mut self, path: &str) -> Result<(), Error> {
        if path.matches('/').count() >= self.limits.depth {
            return Err(Error::TooMuch {
                what: "its directories are nested deeper",
                cap: self.limits.depth as u64,
            });
        }
        if self.entries.contains_key(path) || self.left_out.contains_key(path) {
            return Err(hostile(path, "it is there twice"));
        }
        for (end, _) in path.match_indices('/') {
            let dir = path.get(..end).unwrap_or_default();
            if self.left_out.contains_key(dir) {
                return Err(hostile(path, "it lies behind a link"));
            }
            match self.entries.get(dir) {
                Some(Node::Dir) => {}
                Some(Node::File { .. }) => return Err(hostile(path, "it lies within a file")),
                None => self.put(dir.to_owned(), Node::Dir)?,
            }
        }
        self.room()
    }

    fn put(&mut self, path: String, node: Node) -> Result<(), Error> {
        self.room()?;
        self.holds(&path)?;
        self.entries.insert(path, node);
        Ok(())
    }

    /// One path more is kept.
    fn holds(&mut self, path: &str) -> Result<(), Error> {
        self.paths = self.paths.saturating_add(path.len());
        match self.paths <= self.limits.path_bytes {
            true => Ok(()),
            false => Err(Error::TooMuch {
                what: "the paths in it have more bytes together",
                cap: self.limits.path_bytes as u64,
            }),
        }
    }

    fn room(&self) -> Result<(), Error> {
        match self.entries.len() + self.left_out.len() < self.limits.entries {
            true => Ok(()),
            false => Err(Error::TooMuch {
                what: "it has more entries",
                cap: self.limits.entries as u64,
            }),
        }
    }

    fn copy<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> Result<Node, Error> {
        let (at, mut hash, mut buffer) = (self.at, Sha256::new(), vec![0; CHUNK]);
        let mut size = 0_u64;
        loop {
            let read = entry.read(&mut buffer);
            let read = read.map_err(|why| unreadable(why, self.limits))?;
            let Some(chunk) = buffer.get(..read).filter(|chunk| !chunk.is_empty()) else {
                break;
            };
            let room = self.writing.more(read as u64);
            room.map_err(|source| Error::Quota { source })?;
            hash.update(chunk);
            self.contents
                .write_all(chunk)
                .map_err(|source| Error::Disk {
                    doing: "written",
                    source,
                })?;
            size += read as u64;
        }
        if size != entry.size() {
            let source = io::ErrorKind::UnexpectedEof.into();
            return Err(Error::Unreadable { source });
        }
        self.at += size;
        Ok(Node::File {
            at,
            size,
            mark: hash.finalize().into(),
        })
    }
}

/// The name in an extended header, if one is there. Sizes said elsewhere than in the header are read by some and not by others.
fn name_in(said: &[u8]) -> Result<Option<Vec<u8>>, Error> {
    let mut name = None;
    for extension in PaxExtensions::new(said) {
        let extension = extension.map_err(|source| Error::Unreadable { source })?;
        let value = extension.value_bytes();
        match extension.key_bytes() {
            b"path" => name = Some(value.to_owned()),
            b"size" => return Err(hostile("", "it says its size in an extended header")),
            key if key.starts_with(b"GNU.sparse.") => {
                return Err(hostile("", "it is a sparse file"));
            }
            _ => {}
        }
    }
    Ok(name)
}

/// The path of an entry; none: it is the root.
fn clean(name: &[u8]) -> Result<Option<String>, Error> {
    let Ok(text) = std::str::from_utf8(name) else {
        return Err(hostile(
            &String::from_utf8_lossy(name),
            "its name is not UTF-8",
        ));
    };
    if text.starts_with('/') {
        return Err(hostile(text, "it is absolute"));
    }
    let mut path = text.strip_suffix('/').unwrap_or(text);
    while let Some(rest) = path.strip_prefix("./") {
        path = rest;
    }
    if matches!(path, "" | ".") {
        return Ok(None);
    }
    if path.len() > LONGEST_PATH {
        return Err(Error::TooMuch {
            what: "a path in it has more bytes",
            cap: LONGEST_PATH as u64,
        });
    }
    let mut parts = path.split('/');
    match parts.find_map(|part| hostile_name(part.as_bytes())) {
        Some(why) => Err(hostile(text, why)),
        None => Ok(Some(path.to_owned())),
    }
}

fn hostile(path: &str, why: &'static str) -> Error {
    // Enough to recognise it by.
    let path = path.chars().take(200).collect();
    Error::Hostile { path, why }
}

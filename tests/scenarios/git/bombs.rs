//! A server that sends packs which no git makes: a few kilobytes that would take any amount of memory.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use reeve::git::Limits;
use reeve_api::reason::Reason;
use reeve_tests::scenario;
use tokio::net::TcpListener;

use super::{Bench, files, main, plain, remote};

const COMMIT: u8 = 1;
const TREE: u8 = 2;
const BLOB: u8 = 3;
const AT_OFFSET: u8 = 6;
const NAMED: u8 = 7;

/// A pack, and what the branch is at.
struct Pack {
    bytes: Vec<u8>,
    objects: u32,
    tip: String,
}

/// An object that was put into a pack.
struct Put {
    at: usize,
    id: Vec<u8>,
}

/// Where a difference says what it differs from.
#[derive(Clone, Copy)]
enum Told {
    Offset,
    Name,
}

impl Pack {
    fn new() -> Self {
        Self {
            bytes: b"PACK\0\0\0\x02\0\0\0\0".to_vec(),
            objects: 0,
            tip: String::new(),
        }
    }

    fn entry(&mut self, kind: u8, size: usize, before: &[u8], content: &[u8]) -> usize {
        let at = self.bytes.len();
        let mut left = size >> 4;
        let mut byte = (kind << 4) | (size & 15) as u8;
        while left > 0 {
            self.bytes.push(byte | 0x80);
            byte = (left & 0x7f) as u8;
            left >>= 7;
        }
        self.bytes.push(byte);
        self.bytes.extend_from_slice(before);
        let mut packed = ZlibEncoder::new(&mut self.bytes, Compression::fast());
        packed.write_all(content).expect("memory takes all");
        packed.finish().expect("memory takes all");
        self.objects += 1;
        at
    }

    fn put(&mut self, kind: u8, content: &[u8]) -> Put {
        let at = self.entry(kind, content.len(), &[], content);
        let id = id(kind, content);
        Put { at, id }
    }

    /// A blob that differs from another of this size in its last bytes alone.
    fn differ(&mut self, from: &Put, told: Told, size: usize, tail: &[u8]) -> Put {
        let mut content = [number(size), number(size)].concat();
        let mut offset = 0;
        while offset < size - tail.len() {
            let length = (size - tail.len() - offset).min(0xff_ffff);
            content.push(0xff);
            content.extend_from_slice(&(offset as u32).to_le_bytes());
            content.extend((length as u32).to_le_bytes().into_iter().take(3));
            offset += length;
        }
        content.push(tail.len() as u8);
        content.extend_from_slice(tail);
        let (kind, before) = match told {
            Told::Offset => (AT_OFFSET, back(self.bytes.len() - from.at)),
            Told::Name => (NAMED, from.id.clone()),
        };
        let at = self.entry(kind, content.len(), &before, &content);
        // Only what is told by its name needs one.
        let id = match told {
            Told::Offset => Vec::new(),
            Told::Name => {
                let mut whole = vec![0; size - tail.len()];
                whole.extend_from_slice(tail);
                id(BLOB, &whole)
            }
        };
        Put { at, id }
    }

    /// With a commit of this tree, which is what the branch is at.
    fn commit(mut self, tree: &Put) -> Self {
        let who = "a <a@example.com> 1700000000 +0000";
        let tree = hex::encode(&tree.id);
        let text = format!("tree {tree}\nauthor {who}\ncommitter {who}\n\nx\n");
        self.tip = hex::encode(self.put(COMMIT, text.as_bytes()).id);
        let count = self.objects.to_be_bytes();
        drop(self.bytes.splice(8..12, count));
        let sum = digest(&SHA1_FOR_LEGACY_USE_ONLY, &self.bytes);
        self.bytes.extend_from_slice(sum.as_ref());
        self
    }
}

fn id(kind: u8, content: &[u8]) -> Vec<u8> {
    let kind = match kind {
        COMMIT => "commit",
        TREE => "tree",
        _ => "blob",
    };
    let whole = [format!("{kind} {}\0", content.len()).as_bytes(), content].concat();
    digest(&SHA1_FOR_LEGACY_USE_ONLY, &whole).as_ref().to_vec()
}

/// Seven bits a byte, the lowest first.
fn number(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// How far back in a pack: seven bits a byte, the highest first, none said twice.
fn back(mut distance: usize) -> Vec<u8> {
    let mut bytes = vec![(distance & 0x7f) as u8];
    distance >>= 7;
    while distance > 0 {
        distance -= 1;
        bytes.push((distance & 0x7f) as u8 | 0x80);
        distance >>= 7;
    }
    bytes.reverse();
    bytes
}

fn tree(entries: &[(&str, &str, &Put)]) -> Vec<u8> {
    let lines = entries.iter().map(|(mode, name, put)| {
        let begin = format!("{mode} {name}\0");
        [begin.as_bytes(), put.id.as_slice()].concat()
    });
    lines.collect::<Vec<_>>().concat()
}

/// One file, and beside it so many blobs of this size, each a difference to the one before. With branches, another differs from
/// each of them, too.
fn chain(levels: usize, size: usize, told: Told, branches: bool) -> Pack {
    let mut pack = Pack::new();
    let mut last = pack.put(BLOB, &vec![0; size]);
    for level in 0..levels {
        if branches {
            pack.differ(&last, told, size, format!("leaf{level:06}").as_bytes());
        }
        last = pack.differ(&last, told, size, format!("next{level:06}").as_bytes());
    }
    let file = pack.put(BLOB, b"kind: Test\n");
    let root = pack.put(TREE, &tree(&[("100644", "app.yaml", &file)]));
    pack.commit(&root)
}

/// Directories of such names within each other, and this many files in the last.
fn nested(dirs: usize, name: usize, count: usize) -> Pack {
    let mut pack = Pack::new();
    let file = pack.put(BLOB, b"");
    let names: Vec<String> = (0..count).map(|n| format!("{n:06}")).collect();
    let entries: Vec<_> = names
        .iter()
        .map(|name| ("100644", name.as_str(), &file))
        .collect();
    let mut last = pack.put(TREE, &tree(&entries));
    let name = "n".repeat(name);
    for _ in 0..dirs {
        last = pack.put(TREE, &tree(&[("40000", name.as_str(), &last)]));
    }
    pack.commit(&last)
}

/// So many directories that are one and the same, with ignore rules as large as they may be.
fn ruled(dirs: usize) -> Pack {
    let mut pack = Pack::new();
    let rules = pack.put(BLOB, &vec![b'#'; 256 << 10]);
    let dir = pack.put(TREE, &tree(&[("100644", ".sourceignore", &rules)]));
    let names: Vec<String> = (0..dirs).map(|n| format!("{n:06}")).collect();
    let entries: Vec<_> = names
        .iter()
        .map(|name| ("40000", name.as_str(), &dir))
        .collect();
    let root = pack.put(TREE, &tree(&entries));
    pack.commit(&root)
}

type Packs = Arc<BTreeMap<&'static str, Pack>>;

/// A line of git's protocol.
fn line(content: &[u8]) -> Vec<u8> {
    let begin = format!("{:04x}", content.len() + 4);
    [begin.as_bytes(), content].concat()
}

async fn answer(State(packs): State<Packs>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body: Bytes = axum::body::to_bytes(body, 1 << 20)
        .await
        .unwrap_or_default();
    let name = parts.uri.path().split('/').nth(1).unwrap_or_default();
    let Some(pack) = packs.get(name) else {
        return axum::http::StatusCode::NOT_FOUND.into_response();
    };
    let has = |what: &[u8]| body.windows(what.len()).any(|part| part == what);
    let mut said = Vec::new();
    let kind = match parts.method == "GET" {
        true => {
            said.extend(line(b"# service=git-upload-pack\n"));
            said.extend_from_slice(b"0000");
            for able in [
                "version 2",
                "ls-refs",
                "fetch=shallow",
                "object-format=sha1",
            ] {
                said.extend(line(format!("{able}\n").as_bytes()));
            }
            "application/x-git-upload-pack-advertisement"
        }
        false if has(b"command=ls-refs") => {
            said.extend(line(format!("{} refs/heads/main\n", pack.tip).as_bytes()));
            "application/x-git-upload-pack-result"
        }
        false => {
            if has(b"deepen") {
                said.extend(line(b"shallow-info\n"));
                said.extend(line(format!("shallow {}\n", pack.tip).as_bytes()));
                said.extend_from_slice(b"0001");
            }
            said.extend(line(b"packfile\n"));
            for part in pack.bytes.chunks(60_000) {
                said.extend(line(&[&b"\x01"[..], part].concat()));
            }
            "application/x-git-upload-pack-result"
        }
    };
    said.extend_from_slice(b"0000");
    ([(CONTENT_TYPE, kind)], said).into_response()
}

/// Serves packs under their names for as long as the runtime is there; the URL of all.
async fn serve(packs: BTreeMap<&'static str, Pack>) -> anyhow::Result<String> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    let app = Router::new().fallback(answer).with_state(Arc::new(packs));
    tokio::spawn(async move { axum::serve(listener, app).await.ok() });
    Ok(format!("http://127.0.0.1:{port}"))
}

const LARGE: usize = 16 << 20;
const SMALL: usize = 100_000;

fn tight(set: fn(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    set(&mut limits);
    limits
}

/// Packs of next to nothing that are large once they are unpacked.
fn packs() -> BTreeMap<&'static str, Pack> {
    BTreeMap::from([
        ("branches", chain(40, LARGE, Told::Offset, true)),
        ("named", chain(40, SMALL, Told::Name, false)),
        ("deep", chain(5_000, 40, Told::Offset, false)),
        ("line", chain(40, SMALL, Told::Offset, false)),
    ])
}

#[test]
fn a_pack_whose_objects_would_fill_the_memory_is_refused_while_others_are_fetched() {
    scenario(async {
        let bench = Bench::new()?;
        bench.repo("app.git")?;
        let server = plain(&bench).await?;
        let own = remote(&server.url("app.git"), &[]);
        let packs = packs();
        assert!(packs.values().all(|pack| pack.bytes.len() < 600_000));
        let url = serve(packs).await?;
        let branch = main();
        let memory = "putting the pack's objects together takes more memory than the";
        for (name, limits, told) in [
            ("branches", Limits::default(), format!("{memory} 512 MiB")),
            (
                "named",
                tight(|l| l.unpacking_bytes = 1 << 20),
                format!("{memory} 1 MiB"),
            ),
            (
                "deep",
                Limits::default(),
                "differences to differences deeper than the 4095".to_owned(),
            ),
            (
                "line",
                tight(|l| l.unpacked_bytes = 1 << 20),
                "the pack has more bytes unpacked than the 1 MiB".to_owned(),
            ),
            (
                "line",
                tight(|l| l.object_bytes = 50_000),
                "an object in the pack has more bytes than the 50000 bytes".to_owned(),
            ),
        ] {
            let hit = Bench {
                limits,
                ..Bench::new()?
            };
            let evil = remote(&format!("{url}/{name}"), &[]);
            let (refused, fetched) = tokio::join!(hit.failure(&evil), bench.fetch(&own, &branch));
            assert_eq!(refused.reason, Reason::GitOperationFailed, "{refused}");
            let told = format!("{told} that are accepted");
            assert!(refused.message.ends_with(&told), "{name}: {refused}");
            assert_eq!(files(&fetched?), ["app.yaml"]);
        }
        // What only looks like one is taken: a long line is held two at a time, and a name may come before what it names.
        for name in ["line", "named"] {
            let bench = Bench {
                limits: tight(|l| l.unpacking_bytes = 5 << 20),
                ..Bench::new()?
            };
            let taken = remote(&format!("{url}/{name}"), &[]);
            let taken = bench.fetch(&taken, &branch).await?;
            assert_eq!(files(&taken), ["app.yaml"], "{name}");
        }
        Ok(())
    });
}

#[test]
fn a_tree_whose_listing_would_fill_the_memory_is_refused_and_the_limit_is_named() {
    scenario(async {
        let bench = Bench::new()?;
        let packs = BTreeMap::from([
            ("name", nested(1, 100_000, 10)),
            ("path", nested(20, 250, 1)),
            ("paths", nested(15, 250, 20_000)),
            ("rules", ruled(20)),
            ("fits", nested(15, 250, 10)),
        ]);
        let url = serve(packs).await?;
        let of = |name: &str| remote(&format!("{url}/{name}"), &[]);
        for (name, told) in [
            ("name", "which is refused: it is longer than 255 bytes"),
            (
                "path",
                "a path in the commit has more bytes than the 4 KiB that are accepted",
            ),
            (
                "paths",
                "the paths in the commit have more bytes together than the 64 MiB that are accepted",
            ),
            (
                "rules",
                "the .sourceignore files of the commit have more bytes together than the 4 MiB that are accepted",
            ),
        ] {
            let refused = bench.failure(&of(name)).await;
            assert!(refused.message.ends_with(told), "{name}: {refused}");
            assert!(refused.message.len() < 1_000, "{name}: {refused}");
        }
        assert_eq!(files(&bench.fetch(&of("fits"), &main()).await?).len(), 10);
        Ok(())
    });
}

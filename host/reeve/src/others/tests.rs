//! Archives as others make them, and as nobody should.

use std::fs::File;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use reeve_core::failure::chain;
use reeve_kustomize::{Kind, Tree as _};
use tar::{Builder, EntryType, Header};

use super::unpack::unpack;
use super::*;

type Tar = Builder<GzEncoder<File>>;
/// What makes an archive.
type Fill<'f> = &'f dyn Fn(&mut Tar);

fn soon() -> std::time::Instant {
    std::time::Instant::now() + Duration::from_secs(60)
}

fn small() -> Limits {
    Limits {
        content_bytes: 64 << 10,
        file_bytes: 100,
        entries: 12,
        depth: 4,
        ..Limits::default()
    }
}

/// An entry under exactly this name, as no builder would write it.
fn entry(tar: &mut Tar, name: &[u8], kind: EntryType, content: &[u8]) {
    let mut header = Header::new_ustar();
    let field = header.as_mut_bytes().get_mut(..name.len()).unwrap();
    field.copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    header.set_cksum();
    tar.append(&header, content).unwrap();
}

fn packed(fill: impl FnOnce(&mut Tar)) -> File {
    let file = tempfile::tempfile().unwrap();
    let mut tar = Builder::new(GzEncoder::new(file, Compression::fast()));
    fill(&mut tar);
    tar.into_inner().unwrap().finish().unwrap()
}

fn opened(limits: &Limits, fill: impl FnOnce(&mut Tar)) -> Result<Archive, Error> {
    let dir = tempfile::tempdir().unwrap();
    let mut writing = Disk::default().write(None, false, None);
    unpack(packed(fill), dir.path(), limits, soon(), &mut writing)
}

fn text(archive: &Archive, path: &str) -> String {
    String::from_utf8(archive.read(path).unwrap().to_vec()).unwrap()
}

#[test]
fn what_is_in_an_archive_is_read_by_its_path() {
    let long = format!("deep/{}/b.yaml", "x".repeat(120));
    let archive = opened(&small(), |tar| {
        entry(tar, b"./", EntryType::Directory, b"");
        entry(tar, b"./a.yaml", EntryType::Regular, b"one");
        entry(tar, b"empty/", EntryType::Directory, b"");
        let mut header = Header::new_gnu();
        header.set_size(3);
        tar.append_data(&mut header, &long, &b"two"[..]).unwrap();
        let said = [("path", b"deep/named.yaml".as_slice())];
        tar.append_pax_extensions(said).unwrap();
        entry(tar, b"short", EntryType::Regular, b"three");
    });
    let archive = archive.unwrap();
    assert_eq!(text(&archive, "a.yaml"), "one");
    assert_eq!(text(&archive, &long), "two");
    assert_eq!(text(&archive, "deep/named.yaml"), "three");
    assert_eq!(archive.list(""), ["a.yaml", "deep", "empty"]);
    assert_eq!(archive.kind("empty"), Some(Kind::Dir));
    assert_eq!(archive.kind("short"), None);
    assert_eq!(archive.bytes(), 11);
    assert_ne!(archive.mark("a.yaml"), archive.mark(&long));
    assert!(archive.read("deep").is_err() && archive.read("b.yaml").is_err());
}

#[test]
fn an_archive_with_an_entry_that_nobody_means_well_with_is_refused_as_a_whole() {
    let regular = EntryType::Regular;
    let rows: [(&[u8], EntryType, &str); 13] = [
        (b"../a.yaml", regular, "it is relative"),
        (b"a/../../etc/passwd", regular, "it is relative"),
        (b"a/./b", regular, "it is relative"),
        (b"/etc/passwd", regular, "it is absolute"),
        (b"a//b", regular, "it is empty"),
        (b"..\\a.yaml", regular, "a backslash"),
        (b".git/config", regular, "as .git"),
        (b"GIT~1/config", regular, "as .git"),
        (b"a\nb", regular, "a control character"),
        (b"caf\xe9", regular, "not UTF-8"),
        (b"here/x", regular, "within a file"),
        (b"here", regular, "there twice"),
        (b"null", EntryType::Char, "neither a file nor a directory"),
    ];
    for (name, kind, says) in rows {
        let refused = opened(&small(), |tar| {
            entry(tar, b"here", regular, b"fine");
            entry(tar, name, kind, b"");
        });
        let why = refused.unwrap_err();
        assert!(chain(&why).contains(says), "{name:?}: {}", chain(&why));
        assert!(matches!(why, Error::Hostile { .. }), "{why:?}");
    }
    // A name that another entry says is judged as well.
    for (key, value, says) in [
        ("path", "../a.yaml", "it is relative"),
        ("size", "7", "its size"),
        ("GNU.sparse.major", "1", "sparse"),
    ] {
        let refused = opened(&small(), |tar| {
            tar.append_pax_extensions([(key, value.as_bytes())])
                .unwrap();
            entry(tar, b"fine", regular, b"x");
        });
        let why = chain(&refused.unwrap_err());
        assert!(why.contains(says), "{key}: {why}");
    }
}

#[test]
fn links_are_not_there_and_nothing_is_behind_them() {
    for kind in [EntryType::Symlink, EntryType::Link] {
        let archive = opened(&small(), |tar| {
            entry(tar, b"link", kind, b"");
            entry(tar, b"a.yaml", EntryType::Regular, b"one");
        });
        let archive = archive.unwrap();
        assert_eq!(archive.list(""), ["a.yaml"]);
        assert_eq!(archive.kind("link"), None);
        assert!(
            archive
                .left_out("link/a")
                .is_some_and(|why| why.contains("link"))
        );
        let behind = opened(&small(), |tar| {
            entry(tar, b"link", kind, b"");
            entry(tar, b"link/a.yaml", EntryType::Regular, b"one");
        });
        assert!(chain(&behind.unwrap_err()).contains("behind a link"));
    }
}

#[test]
fn bytes_entries_names_and_nesting_have_bounds_and_each_is_named() {
    let many = |tar: &mut Tar| {
        for n in 0..13 {
            entry(tar, format!("{n}").as_bytes(), EntryType::Regular, b"");
        }
    };
    let bomb = |tar: &mut Tar| entry(tar, b"a", EntryType::Regular, &vec![0; 80 << 10]);
    let skipped = |tar: &mut Tar| entry(tar, b"a", EntryType::XGlobalHeader, &vec![0; 80 << 10]);
    let named = |tar: &mut Tar| entry(tar, b"a", EntryType::GNULongName, &vec![b'x'; 65 << 10]);
    let deep = |tar: &mut Tar| entry(tar, b"a/b/c/d/e", EntryType::Regular, b"");
    let wide = Limits {
        content_bytes: 1 << 20,
        ..small()
    };
    let long = |tar: &mut Tar| {
        let path = vec!["x".repeat(200); 22].join("/");
        entry(tar, b"a", EntryType::GNULongName, path.as_bytes());
        entry(tar, b"a", EntryType::Regular, b"");
    };
    let odd = |tar: &mut Tar| {
        entry(tar, b"a", EntryType::GNULongName, &[b'x'; 256]);
        entry(tar, b"a", EntryType::Regular, b"");
    };
    let paths = |tar: &mut Tar| entry(tar, b"abcd/efgh/ijkl", EntryType::Regular, b"");
    let few = Limits {
        path_bytes: 20,
        ..small()
    };
    let rows: [(&str, Limits, Fill<'_>); 8] = [
        ("a path in it has more bytes than the 4096", small(), &long),
        ("it is longer than 255 bytes", small(), &odd),
        ("more bytes together than the 20", few, &paths),
        ("more entries than the 12", small(), &many),
        ("more bytes together than the 65536", small(), &bomb),
        ("more bytes together than the 65536", small(), &skipped),
        ("a name in it has more bytes than the 65536", wide, &named),
        ("nested deeper than the 4", small(), &deep),
    ];
    for (says, limits, fill) in rows {
        let why = opened(&limits, |tar| fill(tar)).unwrap_err();
        assert!(why.to_string().contains(says), "{why}");
    }
    let large = opened(&small(), |tar| {
        entry(tar, b"a", EntryType::Regular, &[0; 101]);
    });
    let why = large.unwrap().read("a").unwrap_err();
    assert!(why.to_string().contains("more than the 100"), "{why}");
}

#[test]
fn what_is_no_archive_or_ends_early_or_takes_too_long_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut plain = tempfile::tempfile().unwrap();
    plain
        .write_all(b"apiVersion: v1\nkind: ConfigMap\n")
        .unwrap();
    let torn = packed(|tar| {
        let noise: Vec<u8> = (0..9_000_u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        entry(tar, b"a", EntryType::Regular, &noise);
    });
    torn.set_len(torn.metadata().unwrap().len() / 2).unwrap();
    let mut writing = Disk::default().write(None, false, None);
    for file in [plain, torn] {
        let why = unpack(file, dir.path(), &small(), soon(), &mut writing).unwrap_err();
        assert!(matches!(why, Error::Unreadable { .. }), "{why:?}");
    }
    let fine = packed(|tar| entry(tar, b"a", EntryType::Regular, b"x"));
    let now = std::time::Instant::now();
    let late = unpack(fine, dir.path(), &small(), now, &mut writing).unwrap_err();
    assert!(matches!(late, Error::Late { .. }), "{late:?}");
}

fn source(name: &str) -> SourceRef {
    SourceRef {
        kind: reeve_api::kustomization::SourceKind::Bucket,
        namespace: "acme".parse().unwrap(),
        name: name.parse().unwrap(),
    }
}

fn held(digest: Digest, archive: &Archive, tenant: &str) -> Held {
    Held {
        digest,
        archive: archive.clone(),
        tenant: tenant.to_owned(),
        asked: 0,
        at: Instant::now(),
    }
}

fn acme(allowed: u64) -> Account {
    Account {
        tenant: "acme".to_owned(),
        allowed: Some(allowed),
    }
}

#[test]
fn an_archive_is_on_its_tenants_account_while_it_is_read_and_stopped_where_that_has_no_room() {
    let (disk, dir) = (Disk::default(), tempfile::tempdir().unwrap());
    let open = |replaced: Option<Thing>| {
        let file = packed(|tar| entry(tar, b"a", EntryType::Regular, &[1; 80]));
        let mut writing = disk.write(Some(&acme(100)), false, replaced);
        unpack(file, dir.path(), &small(), soon(), &mut writing)
    };
    let first = open(None).unwrap();
    assert_eq!(disk.used("acme"), 80);
    let why = open(None).unwrap_err();
    assert!(matches!(why, Error::Quota { .. }), "{why:?}");
    let told = Explained::of(&why);
    assert_eq!(told.reason, reeve_api::reason::Reason::StorageQuotaExceeded);
    assert!(
        chain(&why).contains("tenant acme may have 100 bytes"),
        "{}",
        chain(&why)
    );
    // The next one of the same source takes its place.
    let next = open(Some(first.thing())).unwrap();
    drop(first);
    assert_eq!(disk.used("acme"), 80);
    drop(next);
    assert_eq!(disk.used("acme"), 0);
}

#[test]
fn what_nobody_asks_for_any_more_makes_room_and_what_is_read_does_not() {
    let dir = tempfile::tempdir().unwrap();
    let others = Others::open(dir.path().to_owned(), Hosts::default(), Disk::default()).unwrap();
    let open = |tenant: &str| {
        let account = Account {
            tenant: tenant.to_owned(),
            allowed: None,
        };
        let file = packed(|tar| entry(tar, b"a", EntryType::Regular, &[1; 80]));
        let mut writing = others.disk.write(Some(&account), false, None);
        unpack(file, dir.path(), &small(), soon(), &mut writing).unwrap()
    };
    let read = open("acme");
    others.kept().put(
        source("read"),
        held(Digest::of(b"1"), &read, "acme"),
        1 << 20,
    );
    for (name, tenant) in [("idle", "acme"), ("theirs", "other")] {
        let archive = open(tenant);
        others.kept().put(
            source(name),
            held(Digest::of(b"1"), &archive, tenant),
            1 << 20,
        );
    }
    let later = Instant::now() + SPARED + Duration::from_secs(1);
    assert!(
        !others.kept().make_room("acme", Instant::now()),
        "it was asked for just now"
    );
    assert!(others.kept().make_room("acme", later));
    assert!(
        !others.kept().make_room("acme", later),
        "the other one is read"
    );
    assert_eq!(
        (others.disk.used("acme"), others.disk.used("other")),
        (80, 80)
    );
    assert!(
        others
            .kept()
            .get(&source("idle"), &Digest::of(b"1"))
            .is_none()
    );
    assert!(
        others
            .kept()
            .get(&source("read"), &Digest::of(b"1"))
            .is_some()
    );
}

#[test]
fn who_has_many_throws_out_its_own_and_nobody_elses() {
    let archive = opened(&small(), |tar| {
        entry(tar, b"a", EntryType::Regular, &[1; 40]);
    });
    let (archive, one) = (archive.unwrap(), Digest::of(b"1"));
    let mut kept = Kept::default();
    kept.put(source("small"), held(one, &archive, "other"), 130);
    for name in ["a", "b", "c", "d"] {
        kept.put(source(name), held(one, &archive, "acme"), 130);
    }
    let there: Vec<_> = kept
        .all
        .keys()
        .map(|source| source.name.to_string())
        .collect();
    assert_eq!(there, ["c", "d", "small"]);
}

#[test]
fn the_newest_of_each_source_is_kept_up_to_a_bound_over_all() {
    let archive = opened(&small(), |tar| {
        entry(tar, b"a", EntryType::Regular, &[1; 40]);
    });
    let archive = archive.unwrap();
    let (one, two) = (Digest::of(b"1"), Digest::of(b"2"));
    let mut kept = Kept::default();
    for name in ["a", "b"] {
        kept.put(source(name), held(one, &archive, "acme"), 100);
    }
    assert!(kept.get(&source("a"), &two).is_none());
    assert!(kept.get(&source("a"), &one).is_some());
    kept.put(source("c"), held(one, &archive, "acme"), 100);
    assert!(
        kept.get(&source("b"), &one).is_none(),
        "asked for longest ago"
    );
    kept.put(source("a"), held(two, &archive, "acme"), 100);
    assert!(kept.get(&source("a"), &one).is_none());
    assert_eq!((kept.size, kept.all.len()), (80, 2));
    kept.remove(&source("a"));
    assert_eq!(kept.size, 40);
}

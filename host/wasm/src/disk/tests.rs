//! What is not whole, ours and for this very thing is not there.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use super::*;

const A: &str = "sha256:aa";
const B: &str = "sha256:bb";

fn disk(directory: &Path) -> Disk {
    Disk::open(directory, &Engine::default(), 1 << 20).expect("it opens")
}

fn text(file: Option<File>) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    file?.read_to_end(&mut bytes).expect("it is readable");
    bytes.truncate(bytes.len() - TAG);
    Some(bytes)
}

fn directory() -> (tempfile::TempDir, PathBuf) {
    let parent = tempfile::tempdir().expect("a directory");
    let directory = parent.path().join("plugins");
    (parent, directory)
}

#[test]
fn what_was_put_is_there_for_whoever_has_the_directory() {
    let (_parent, directory) = directory();
    let (one, two) = (disk(&directory), disk(&directory));
    one.put(A, b"code").expect("it is kept");
    assert_eq!(text(two.get(A)).as_deref(), Some(b"code".as_slice()));
    assert_eq!(text(one.get(B)), None);
    two.put(A, b"other").expect("it is kept");
    assert_eq!(text(one.get(A)).as_deref(), Some(b"other".as_slice()));
}

#[test]
fn a_single_changed_or_missing_bit_makes_it_worthless() {
    let (_parent, directory) = directory();
    let disk = disk(&directory);
    disk.put(A, b"code").expect("it is kept");
    let path = disk.path(A);
    let whole = fs::read(&path).expect("it is there");
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        fs::write(&path, flipped).expect("it is ours");
        assert_eq!(text(disk.get(A)), None, "bit {bit}");
        assert!(!path.exists(), "bit {bit}: it is thrown away");
    }
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).expect("it is ours");
        assert_eq!(text(disk.get(A)), None, "{length} bytes");
    }
    let longer = [whole.as_slice(), b"x"].concat();
    fs::write(&path, longer).expect("it is ours");
    assert_eq!(text(disk.get(A)), None);
}

#[test]
fn an_entry_is_for_its_component_its_engine_and_its_key() {
    let (_parent, directory) = directory();
    let ours = disk(&directory);
    ours.put(A, b"code").expect("it is kept");
    // Of another component.
    fs::copy(ours.path(A), ours.path(B)).expect("a copy");
    assert_eq!(text(ours.get(B)), None);
    // For another version or other settings.
    let mut config = wasmtime::Config::new();
    config.consume_fuel(true);
    let other = Engine::new(&config).expect("an engine");
    let other = Disk::open(&directory, &other, 1 << 20).expect("it opens");
    assert_eq!(text(other.get(A)), None);
    fs::copy(ours.path(A), other.path(A)).expect("a copy");
    assert_eq!(text(other.get(A)), None);
    // Of another directory.
    let (_parent, elsewhere) = self::directory();
    let foreign = disk(&elsewhere);
    fs::copy(ours.path(A), foreign.path(A)).expect("a copy");
    assert_eq!(text(foreign.get(A)), None);
    // A link to what would be right.
    symlink(ours.path(A), ours.path(B)).expect("a link");
    assert_eq!(text(ours.get(B)), None);
    assert_eq!(text(ours.get(A)).as_deref(), Some(b"code".as_slice()));
}

#[test]
fn a_directory_or_a_key_that_is_not_ours_alone_is_not_used() {
    let refused = |directory: &Path| {
        let told = Disk::open(directory, &Engine::default(), 1 << 20);
        let told = told.expect_err("it is not used").to_string();
        let left = fs::read_dir(directory).map_or(0, |all| {
            all.filter_map(Result::ok)
                .filter(|entry| entry.file_name() != "key")
                .count()
        });
        assert_eq!(left, 0, "{told}: something is left behind");
        told
    };
    let mode = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    let (_parent, open) = directory();
    fs::create_dir(&open).expect("a directory");
    mode(&open, 0o755);
    assert!(refused(&open).contains("the directory is open to others (mode 755)"));
    let (_parent, real) = directory();
    disk(&real);
    let link = real.with_file_name("link");
    symlink(&real, &link).expect("a link");
    assert!(refused(&link).contains("the directory is a link"));
    mode(&real.join("key"), 0o640);
    assert!(refused(&real).contains("its key is open to others (mode 640)"));
    mode(&real.join("key"), 0o600);
    fs::write(real.join("key"), "torn").expect("it is ours");
    assert!(refused(&real).contains("its key is damaged"));
    let key = real.join("key");
    fs::rename(&key, real.with_file_name("key")).expect("it is ours");
    symlink(real.with_file_name("key"), &key).expect("a link");
    refused(&real);
    assert!(Disk::open(Path::new("/nowhere/at/all"), &Engine::default(), 1).is_err());
}

#[test]
fn many_that_come_at_once_agree_on_one_key() {
    let (_parent, directory) = directory();
    let keys: Vec<[u8; 32]> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| disk(&directory).key))
            .collect();
        all.into_iter()
            .map(|one| one.join().expect("no panic"))
            .collect()
    });
    assert!(keys.windows(2).all(|two| two[0] == two[1]));
}

#[test]
fn the_least_recently_used_goes_when_there_is_no_room() {
    let (_parent, directory) = directory();
    let disk = Disk::open(&directory, &Engine::default(), 1000).expect("it opens");
    let used = |digest: &str, seconds: u64| {
        let file = open(&disk.path(digest)).expect("it is there");
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        file.set_modified(time).expect("it is ours");
    };
    for (digest, seconds) in [("sha256:1", 10), ("sha256:2", 20), ("sha256:3", 30)] {
        disk.put(digest, &[0; 250]).expect("it is kept");
        used(digest, seconds);
    }
    assert!(disk.get("sha256:1").is_some(), "it is used once more");
    disk.put("sha256:4", &[0; 250]).expect("it is kept");
    let kept: Vec<bool> = (1..=4)
        .map(|i| disk.path(&format!("sha256:{i}")).exists())
        .collect();
    assert_eq!(kept, [true, false, true, true]);
    disk.put("sha256:5", &[0; 1001]).expect("it is no error");
    assert!(disk.get("sha256:5").is_none());
}

#[test]
fn what_somebody_left_half_written_goes_when_it_is_old() {
    let (_parent, directory) = directory();
    let disk = disk(&directory);
    for (name, age) in [("new-1-0-f", 7200), ("new-1-1-f", 60)] {
        let file = File::create(directory.join(name)).expect("it is ours");
        file.set_modified(SystemTime::now() - Duration::from_secs(age))
            .expect("it is ours");
    }
    disk.put(A, b"code").expect("it is kept");
    assert!(!directory.join("new-1-0-f").exists());
    assert!(directory.join("new-1-1-f").exists());
}

//! Rust: `wasm32-unknown-unknown`, whose standard library imports nothing, with wit-bindgen.
//!
//! Three ways, as `plugins/build.sh` takes them: the toolchain has the target's standard library; rustup can bring it;
//! Debian's own Rust builds it from source.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Project, encode, tool};
use crate::cli::plugin::{read, unreadable};
use crate::cli::ui::{CommandError, Ui};

const TARGET: &str = "wasm32-unknown-unknown";

pub(super) fn build(project: &Project<'_>, ui: &mut Ui) -> Result<Vec<u8>, CommandError> {
    let mut command = toolchain()?;
    let target = project.directory.join("target");
    command
        .args(["build", "--quiet", "--release", "--target", TARGET])
        .current_dir(project.directory)
        .env("CARGO_TARGET_DIR", &target)
        .env("RUSTFLAGS", remapped(project.directory));
    tool::run(&mut command, ui)?;
    let module = newest(&target.join(TARGET).join("release"))?;
    encode::component(&read(&module)?, None)
}

/// Cargo, set up for the target, and what of its arguments must come first.
fn toolchain() -> Result<Command, CommandError> {
    let sysroot = tool::ask("rustc", &["--print", "sysroot"]).map(PathBuf::from);
    let has = |root: &PathBuf| root.join("lib/rustlib").join(TARGET).join("lib").is_dir();
    if sysroot.as_ref().is_some_and(has) {
        return Ok(Command::new("cargo"));
    }
    if let Some(debian) = debian(sysroot.as_deref()) {
        return Ok(debian);
    }
    let hint = match tool::find("rustup", &[]) {
        Some(_) => format!("`rustup target add {TARGET}`"),
        None => format!(
            "`rustup target add {TARGET}`, or on Debian `apt-get install --no-install-recommends rustc-web cargo-web rust-web-src lld`"
        ),
    };
    let message = match sysroot {
        Some(_) => format!("this Rust has no standard library for {TARGET}"),
        None => "there is no rustc here".to_owned(),
    };
    Err(CommandError::new(message).hint(hint))
}

/// Debian's Rust for the web, which brings the standard library as source.
fn debian(sysroot: Option<&Path>) -> Option<Command> {
    tool::ask("dpkg", &["-L", "rust-web-src"])?;
    let file = |package: &str, end: &str| {
        let files = tool::ask("dpkg", &["-L", package])?;
        files
            .lines()
            .find(|line| line.ends_with(end))
            .map(PathBuf::from)
    };
    let rustc = file("rustc-web", "/bin/rustc")?;
    let mut command = Command::new(file("cargo-web", "/bin/cargo")?);
    command
        .env("RUSTC", rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        .env(
            "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER",
            linker(sysroot)?,
        )
        .args(["-Zbuild-std=std,panic_abort"]);
    Some(command)
}

/// rustup's toolchain brings a linker for wasm, Debian has one in a package of its own.
fn linker(sysroot: Option<&Path>) -> Option<PathBuf> {
    let hosts = sysroot.and_then(|root| root.join("lib/rustlib").read_dir().ok());
    let hosts = hosts.into_iter().flatten().filter_map(Result::ok);
    let places: Vec<PathBuf> = hosts.map(|host| host.path().join("bin")).collect();
    tool::find("rust-lld", &places).or_else(|| tool::find("wasm-ld", &[]))
}

/// Paths of this machine would make another digest elsewhere.
fn remapped(directory: &Path) -> OsString {
    let home = std::env::var_os("HOME").unwrap_or_default();
    let cargo = std::env::var_os("CARGO_HOME")
        .map_or_else(|| Path::new(&home).join(".cargo"), PathBuf::from);
    let mut flags = std::env::var_os("RUSTFLAGS").unwrap_or_default();
    for (from, to) in [(directory, "/plugin"), (cargo.as_path(), "/cargo")] {
        flags.push(" --remap-path-prefix=");
        flags.push(from);
        flags.push(format!("={to}"));
    }
    flags
}

/// The module that was built: the newest in the directory, since a renamed plugin leaves its old one there.
fn newest(directory: &Path) -> Result<PathBuf, CommandError> {
    let entries = std::fs::read_dir(directory).map_err(|why| unreadable(directory, &why))?;
    let modules = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        let time = path.metadata().ok()?.modified().ok()?;
        path.extension()
            .is_some_and(|end| end == "wasm")
            .then_some((time, path))
    });
    modules.max().map(|(_, path)| path).ok_or_else(|| {
        CommandError::new("cargo built no module")
            .hint("Cargo.toml needs `[lib]` with `crate-type = [\"cdylib\"]`")
    })
}

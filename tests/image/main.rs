//! `make image`: an OCI image of the program and the shipped plugins, without a container engine.
//!
//! The same inputs give the same bytes: times are one time, owners are numbers, names are sorted, and what compresses is in
//! Cargo.lock. It deliberately knows no registry and pushes nothing; any tool that speaks OCI does.

#![expect(
    clippy::indexing_slicing,
    reason = "of JSON only, where what is not there is null"
)]

mod files;
mod layer;
mod layout;
mod packages;
mod sbom;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::Parser;

use layout::{About, Layout};

/// Make an OCI image of reeve, with its SBOM
///
/// Writes `oci/` (an image layout), `reeve.tar` (the same in one file, which container engines load too) and
/// `sbom.cdx.json`.
#[derive(Parser)]
struct Args {
    /// The program
    #[arg(long)]
    binary: PathBuf,
    /// The directory with the shipped plugins
    #[arg(long)]
    plugins: PathBuf,
    /// Where to write; what is there of an earlier image is replaced
    #[arg(long)]
    into: PathBuf,
    /// The commit that it is built from
    #[arg(long)]
    revision: String,
    /// The version, which is the tag too
    #[arg(long, default_value = env!("CARGO_PKG_VERSION"))]
    version: String,
    /// Seconds since 1970 that everything in it is said to be from
    #[arg(long, env = "SOURCE_DATE_EPOCH", default_value_t = 0)]
    epoch: u32,
    /// Fail if its layers are larger than this together
    #[arg(long, default_value_t = u64::MAX)]
    most_bytes: u64,
}

fn main() -> ExitCode {
    match make(&Args::parse()) {
        Ok(said) => {
            // Whoever does not listen has the files all the same.
            let _closed = writeln!(std::io::stdout(), "{said}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            let _closed = writeln!(std::io::stderr(), "image: {why:#}");
            ExitCode::FAILURE
        }
    }
}

fn make(args: &Args) -> anyhow::Result<String> {
    let libraries = files::libraries(&args.binary)?;
    let (base, own) = (files::base(&libraries)?, files::own(args)?);
    let sbom = sbom::written(&args.version, &base, packages::of(&libraries)?)?;
    let mut layout = Layout::begin(&args.into)?;
    let own = own.with("usr/share/reeve/sbom.cdx.json", &sbom)?;
    for (files, what) in [
        (base, "what the program is linked to, and authorities"),
        (own, "reeve and its plugins"),
    ] {
        layout.layer(&files, args.epoch, what)?;
    }
    let size = layout.size();
    ensure!(
        size <= args.most_bytes,
        "its layers take {size} bytes together, and may take {}",
        args.most_bytes
    );
    let about = About {
        version: &args.version,
        revision: &args.revision,
        epoch: args.epoch,
    };
    let digest = layout.finish(&about)?;
    std::fs::write(args.into.join("sbom.cdx.json"), &sbom).context("writing the SBOM")?;
    Ok(format!(
        "reeve:{} {digest} {size} bytes in {}",
        args.version,
        args.into.display()
    ))
}

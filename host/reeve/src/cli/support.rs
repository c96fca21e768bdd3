//! `reeve support`: what somebody who helps needs to see, and nothing that they must not.
//!
//! A bundle is read with the rights of whoever asks, scrubbed (`core::scrub`) and written to a file that only they can read. What
//! could not be read is named in it and is no failure. What it deliberately doesn't: read a Secret, or send anything.

mod bundle;
mod gather;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use reeve_api::name::NamespaceName;

use self::bundle::Bundle;
use super::connection::ConnectionArgs;
use super::provide_tls;
use super::text::counted;
use super::ui::{CommandError, Sign, Ui};
use crate::clock::Clock;
use crate::observe::Requests;

/// Help those who help you
#[derive(Args)]
pub(super) struct SupportArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Bundle(BundleArgs),
}

/// Write what is needed to find a fault into one file
///
/// Versions, the controller's flags, all objects of the kinds with their statuses, events, Leases, nodes, and logs and metrics of the
/// controller's pods; read with your own rights. Secrets are never read, and what looks secret elsewhere is taken out: private keys,
/// tokens, logins in addresses, values that are named like a password. Look through it all the same before you give it away: what
/// looks like any other word stays. `contents.json` in it lists the files, what was taken out of each and what could not be read.
///
/// Exits 0 when the file was written, also where something could not be read, and 1 when it was not.
///
/// Example: `reeve support bundle -o bundle.tar.gz`
#[derive(Args)]
struct BundleArgs {
    /// The file, which must not be there yet; without, one in this directory that is called by the time
    #[arg(short, long, value_name = "FILE.tar.gz")]
    output: Option<PathBuf>,
    /// Only objects and events of this namespace, beside those of no namespace; without, of all
    #[arg(short, long, value_name = "NS")]
    namespace: Option<NamespaceName>,
    #[command(flatten)]
    connection: ConnectionArgs,
}

pub(super) fn run(args: &SupportArgs, ui: &mut Ui) -> Result<(), CommandError> {
    let Verb::Bundle(args) = &args.verb;
    provide_tls();
    let now = Clock::system().now();
    let path = args.output.clone().unwrap_or_else(|| called(now));
    // Before anything is read: who has to wait should not do so for nothing.
    let file = bundle::create(&path)?;
    let written = collect(args, ui, now).and_then(|bundle| {
        bundle.write(file, now, &path)?;
        Ok(bundle)
    });
    let bundle = match written {
        Ok(bundle) => bundle,
        Err(why) => {
            // Half of one helps nobody, and the next try would find it there.
            let _gone = std::fs::remove_file(&path);
            return Err(why);
        }
    };
    tell(&bundle, ui);
    ui.step(Sign::Done, &format!("{} is written", path.display()));
    Ok(())
}

fn collect(args: &BundleArgs, ui: &mut Ui, now: Timestamp) -> Result<Bundle, CommandError> {
    let runtime = crate::cli::runtime()
        .map_err(|why| CommandError::of("starting the runtime failed", &why))?;
    runtime.block_on(async {
        let cluster = args.connection.connect(Requests::default()).await?;
        let namespace = args.namespace.as_ref().map(NamespaceName::as_str);
        Ok(gather::all(&cluster, namespace, now, ui).await)
    })
}

fn called(now: Timestamp) -> PathBuf {
    format!("reeve-support-{}.tar.gz", now.strftime("%Y%m%dT%H%M%SZ")).into()
}

/// What is in it, what was taken out, and what is missing.
fn tell(bundle: &Bundle, ui: &mut Ui) {
    for file in bundle.files() {
        let masked = file
            .masked
            .each()
            .map(|(sort, times)| format!("{times} {}", sort.as_str()));
        let masked: Vec<String> = masked.collect();
        let size = counted(file.bytes.len(), "byte", "bytes");
        match masked.is_empty() {
            true => ui.line(&format!("  {}: {size}", file.path)),
            false => {
                let masked = masked.join(", ");
                ui.line(&format!("  {}: {size}; taken out: {masked}", file.path));
            }
        }
    }
    for missing in bundle.missing() {
        ui.step(
            Sign::Waiting,
            &format!("not read: {}: {}", missing.what, missing.why),
        );
    }
}

//! `make bench`: what is promised in numbers, measured as ratios in one run.
//!
//! `bench push` is the whole road on a real cluster, `bench forge` the same from a real Gitea, `bench render` the engine beside the real kustomize,
//! `bench plugins` the sandbox, `bench policies` the rules beside OPA, `bench neighbours` what bad plugins cost others,
//! `bench drift` what changes by hand come to, `bench fair` what a tenant whose everything hangs or fails costs others,
//! `bench tenants` what many at once wait, `bench shards` what three replicas make of them, `bench onboard` what it takes to onboard a hundred by one object each,
//! `bench fetch` fetches beside git's, `bench writeback` a change on the cluster to its commit; without a name all run. `bench onboard` and
//! `bench fair` fail when what they measure is not as promised (`promise`), once all that was asked for is measured; of the others who
//! reads the table judges.

mod drift;
mod fair;
mod fetch;
mod floor;
mod forge;
mod judged;
mod neighbours;
mod onboard;
mod plugins;
mod policies;
mod promise;
mod push;
mod render;
mod shards;
mod spread;
mod tenants;
mod usage;
mod writeback;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use reeve_tests::scenario;

/// Measure what reeve promises, beside what others need for it
#[derive(Parser)]
struct Args {
    /// What to measure, all without a name
    what: Vec<What>,
    /// How many tenants there are at once
    #[arg(long, default_value_t = 300)]
    tenants: usize,
    /// How many objects a WriteBack watches
    #[arg(long, default_value_t = 10_000)]
    objects: usize,
    /// Measure one build: the program, the directory, the file for the output
    #[arg(long, hide = true, num_args = 3)]
    one: Vec<PathBuf>,
    /// Measure one start with the compiled plugins in this directory
    #[arg(long, hide = true)]
    warm: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// From a push to the applied object
    Push,
    /// From a push at a real Gitea, told by its webhook and fetched over ssh, to the applied object
    Forge,
    /// `reeve build` beside `kustomize build`
    Render,
    /// What a plugin's call costs, and a start with many of them
    Plugins,
    /// What policies cost, beside OPA
    Policies,
    /// What a tenant waits longer beside others whose plugins never end
    Neighbours,
    /// From a change by hand to the object as it was
    Drift,
    /// What a tenant waits longer beside one with 500 Kustomizations that hang or fail
    Fair,
    /// What many tenants at once wait, and what that costs
    Tenants,
    /// Many tenants, three replicas that share them, and the end of one
    Shards,
    /// From a hundred Tenants to all of them delivered
    Onboard,
    /// A fetch beside `git fetch`: first, after a change, and after none
    Fetch,
    /// From a change on the cluster to its commit, and what many watched objects cost
    Writeback,
}

fn main() -> ExitCode {
    match bench(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            // Nobody is left to report a failed write to.
            drop(writeln!(std::io::stderr(), "{why:?}"));
            ExitCode::FAILURE
        }
    }
}

fn bench(args: &Args) -> anyhow::Result<()> {
    if let [program, directory, out] = args.one.as_slice() {
        return usage::one(program, directory, out);
    }
    if let Some(cache) = &args.warm {
        return plugins::warm(cache);
    }
    let mut promised = Vec::new();
    let wanted = |what| args.what.is_empty() || args.what.contains(&what);
    if wanted(What::Render) {
        render::bench()?;
    }
    if wanted(What::Plugins) {
        plugins::bench()?;
    }
    if wanted(What::Policies) {
        policies::bench()?;
        judged::bench()?;
    }
    if wanted(What::Fetch) {
        scenario::runtime().block_on(fetch::bench())?;
    }
    if wanted(What::Push) {
        scenario::runtime().block_on(push::bench())?;
    }
    if wanted(What::Forge) {
        scenario::runtime().block_on(forge::bench())?;
    }
    if wanted(What::Neighbours) {
        scenario::runtime().block_on(neighbours::bench())?;
    }
    if wanted(What::Tenants) {
        scenario::runtime().block_on(tenants::bench(args.tenants))?;
    }
    if wanted(What::Shards) {
        scenario::runtime().block_on(shards::bench(args.tenants))?;
    }
    if wanted(What::Onboard) {
        promised.push(scenario::runtime().block_on(onboard::bench()));
    }
    if wanted(What::Drift) {
        scenario::runtime().block_on(drift::bench())?;
    }
    if wanted(What::Fair) {
        promised.push(scenario::runtime().block_on(fair::bench()));
    }
    if wanted(What::Writeback) {
        scenario::runtime().block_on(writeback::bench(args.objects))?;
    }
    promised.into_iter().collect()
}

//! `make demo`: the whole story on a real cluster, told step by step.
//!
//! What a step claims is read from the API server by a watch that looked before the deed and saw that
//! it was not so. With `--once` the exit code is the verdict; without it the cluster stays until Ctrl-C.

mod chapters;
mod scene;
mod sights;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use reeve_tests::Plane;
use reeve_tests::scenario;
use reeve_tests::story::Story;
use tokio::signal::unix::{SignalKind, signal};

/// Play the story of one tenant on a real cluster, and say of each step whether it was seen to be true.
#[derive(Parser)]
struct Args {
    /// End when the story does: 0 when all of it was seen to be true
    #[arg(long)]
    once: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut story = Story::new(io::stdout(), io::stdout().is_terminal());
    let told = scenario::runtime().block_on(async {
        tokio::select! {
            told = tell(&mut story, args.once) => told,
            // Everything of the estate is dropped, and so ended, on the way out.
            stopped = told_to_stop() => { stopped?; Ok(Ending::Stopped) }
        }
    });
    match told {
        Ok(Ending::Told) => ExitCode::SUCCESS,
        Ok(Ending::Stopped) if args.once => ExitCode::from(130),
        Ok(Ending::Stopped) => ExitCode::SUCCESS,
        Err(why) => {
            let chain: Vec<String> = why.chain().map(ToString::to_string).collect();
            story.line(&format!("\n{}", chain.join("\n\n")));
            ExitCode::FAILURE
        }
    }
}

/// Ctrl-C, or a supervisor that ends us.
async fn told_to_stop() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        stopped = tokio::signal::ctrl_c() => Ok(stopped?),
        _ = terminate.recv() => Ok(()),
    }
}

enum Ending {
    Told,
    Stopped,
}

async fn tell(story: &mut Story, once: bool) -> anyhow::Result<Ending> {
    let plane = story
        .stage(
            "a Kubernetes control plane with two nodes starts",
            Plane::start(),
        )
        .await?;
    let told = async {
        let scene = chapters::curtain(story, &plane).await?;
        chapters::all(story, &scene).await.map(|()| scene)
    };
    // Held until the end: with it go the git host and the controller.
    let _scene = match told.await {
        Ok(scene) => scene,
        Err(why) => {
            return Err(match keep_logs(&plane) {
                Ok(kept) => why.context(format!(
                    "The story broke off. Logs are in {}",
                    kept.display()
                )),
                Err(lost) => why.context(format!(
                    "The story broke off, and its logs could not be kept: {lost:#}"
                )),
            });
        }
    };
    story.line(&format!(
        "\nAll of it was seen to be true, in {:.1} s.",
        story.took().as_secs_f64()
    ));
    if once {
        return Ok(Ending::Told);
    }
    story.line(&format!(
        "\nThe cluster goes on until Ctrl-C:\n\n  export KUBECONFIG={}",
        plane.kubeconfig().display()
    ));
    story.line(&format!(
        "  kubectl get all,gitrepositories,kustomizations,receivers -A\n\nLogs: {}",
        plane.logs().display()
    ));
    std::future::pending().await
}

/// The estate's directory goes with it; the logs of a failure should not.
fn keep_logs(plane: &Plane) -> anyhow::Result<PathBuf> {
    let kept = reeve_tests::root().join("target/demo-logs");
    std::fs::create_dir_all(&kept)?;
    for entry in std::fs::read_dir(plane.logs())? {
        let entry = entry?;
        std::fs::copy(entry.path(), kept.join(entry.file_name()))?;
    }
    Ok(kept)
}

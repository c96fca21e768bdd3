//! `reeve policy replay`: what a change of a policy would do to what was rendered last, before it does.
//!
//! The controller judges, since it alone knows what was rendered: a Policy that is a question is made, its pages are read
//! and it is deleted, whatever happens (`stage`). What is asked is `draft`'s, how it is told `told`'s.

mod draft;
mod stage;
mod told;

use std::time::Duration;

use clap::{Args, ValueEnum};
use reeve_api::name::{NamespaceName, PolicyName};
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::draft::Draft;
use self::stage::Stage;
use self::told::Answer;
use super::{UNSAID, counted, json};
use crate::cli::connection::ConnectionArgs;
use crate::cli::provide_tls;
use crate::cli::ui::{CommandError, Ui};
use crate::observe::Requests;

/// Say what a change of a policy would do, without putting it in force
///
/// The controller asks the changed rules about every Kustomization in scope as it was rendered last: as it was applied, or
/// as a policy denied it since. Told is what would be denied, freed or warned of that is not now. No Kustomization is
/// carried out for it. A Kustomization of which nobody knows what was rendered last is told as not judged.
///
/// Exits 0 when nothing would be denied that is not now, 1 when something would, and 2 when it could not be said.
///
/// Examples: `reeve policy replay --source ./pods --policy pods`,
/// `reeve policy replay --source my-branch --policy pods -o markdown`
#[derive(Args)]
pub(super) struct ReplayArgs {
    /// The changed rules: a directory, or a revision of the Policy's own source: a branch, a whole commit, or refs/tags/v1
    #[arg(long, value_name = "DIR|REV")]
    source: String,
    /// The Policy that they would stand in for, with its scope, parameters and ratchet. Without it, rules in a directory are
    /// asked about everybody, and compared with none
    #[arg(long, value_name = "NAME")]
    policy: Option<PolicyName>,
    #[command(flatten)]
    connection: ConnectionArgs,
    /// The controller's own namespace, in which a Policy's source lies that names no other
    #[arg(long, value_name = "NS", default_value = "reeve-system")]
    controller_namespace: NamespaceName,
    /// Seconds that it may take
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u64,
    /// How to print it
    #[arg(short = 'o', long, value_name = "FORM", value_enum, default_value_t = Form::Table)]
    form: Form,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people
    Table,
    Json,
    /// For what shows results of static analysis, such as GitHub
    Sarif,
    /// For a pull request
    Markdown,
}

pub(super) fn run(args: &ReplayArgs, ui: &mut Ui) -> Result<(), CommandError> {
    let answer = answer(args, ui).map_err(|why| why.exits(UNSAID))?;
    let text = match args.form {
        Form::Table => Ok(answer.table()),
        Form::Json => json(&answer),
        Form::Sarif => json(&answer.sarif()),
        Form::Markdown => Ok(answer.markdown()),
    };
    let printed = text.and_then(|text| ui.data(text.as_bytes()));
    printed.map_err(|why| why.exits(UNSAID))?;
    match answer.denied() {
        0 => Ok(()),
        denied => {
            let who = counted(denied, "Kustomization", "Kustomizations");
            Err(CommandError::new(format!("{who} would be denied anew")))
        }
    }
}

fn answer(args: &ReplayArgs, ui: &mut Ui) -> Result<Answer, CommandError> {
    provide_tls();
    let runtime = crate::cli::runtime()
        .map_err(|why| CommandError::of("starting the runtime failed", &why))?;
    runtime.block_on(asked(args, ui))
}

async fn asked(args: &ReplayArgs, ui: &mut Ui) -> Result<Answer, CommandError> {
    let cluster = args.connection.connect(Requests::default()).await?;
    let draft = Draft::of(args, &cluster).await?;
    // From here on a signal ends what is asked, not what is tidied up.
    let mut stop = Stop::listen()?;
    let stage = Stage::new(&cluster, &draft);
    let patience = Duration::from_secs(args.timeout);
    let ended = match stage.set().await {
        Ok(()) => tokio::select! {
            biased;
            () = stop.told() => Err(CommandError::new("it was broken off")),
            ended = tokio::time::timeout(patience, stage.pages(ui)) => {
                ended.unwrap_or_else(|_| Err(late(patience)))
            }
        },
        Err(why) => Err(why),
    };
    ui.progress("");
    match (ended, stage.clear().await) {
        (Err(why), _) | (Ok(_), Err(why)) => Err(why),
        (Ok(pages), Ok(())) => Ok(draft.answer(pages)),
    }
}

fn late(patience: Duration) -> CommandError {
    let why = format!("the controller did not answer within {patience:?}");
    CommandError::new(why).hint("is it running, and of this version? --timeout gives it longer")
}

/// Ctrl-C, and being told to end.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn listen() -> Result<Self, CommandError> {
        let failed = |why: std::io::Error| CommandError::of("listening for signals failed", &why);
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
        })
    }

    async fn told(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

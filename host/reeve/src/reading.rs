//! Policies are read in a process of their own first, which may be stopped.
//!
//! Rego can be written that ends whatever reads it, or keeps it busy, or takes all memory; what is known of that is refused
//! before anything is parsed (`core::rego`), and this is for the rest. A process of this very program reads the rules, asks
//! them their first question and runs their tests (`fit`); only what it has come through is loaded by the controller. It has
//! so much memory and processor time for each policy, is stopped when it is late or nobody waits any more, and answers for
//! one policy after the other while there are some, since starting it takes longer than reading most of them. What it said
//! is remembered by digest. It deliberately judges nothing: what a loaded policy may take is `core::rego`'s.
//!
//! ```text
//! two at a time  |= a =|= b =|= c …           |= e =|
//!                |= hangs … a second …|   gives its place to others, gives way to everything, and goes on
//! four that hang                      |… until it has used up its processor time|
//! ```

mod fit;
mod lane;
mod memo;
mod wire;

use std::collections::BTreeMap;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use reeve_api::policy::TestResults;
use reeve_wasm::process::{End, Ended, Program, Rights, serve};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

pub(crate) use fit::listed;
use lane::{Lane, Silent};
use memo::Memo;
use wire::{Question, Said};

/// What one process may take, and how long it is waited for.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Memory of the process, and processor time for each policy.
    pub rights: Rights,
    /// How long an answer may take by the clock, once the policy has its turn.
    pub patience: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            rights: Rights {
                memory: 1 << 30,
                time: Duration::from_secs(8),
                gives_way: false,
            },
            patience: Duration::from_secs(12),
        }
    }
}

/// For whom a policy is read: whoever asks the webhook may be anybody, and keeps nobody else waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// Runs: two at a time, and four more that take long.
    Runs,
    /// The admission webhook: one at a time.
    Admission,
}

/// The rules of a policy, their data, tests and parameters.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// What errors call it.
    pub name: &'a str,
    /// Its files by their path below its directory.
    pub files: &'a BTreeMap<String, Vec<u8>>,
    /// An object.
    pub parameters: &'a Value,
}

/// Why a policy is not to be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// It was read, and is no policy, or its tests fail.
    #[error("{0}")]
    Unfit(String),
    /// It ended its reader, and would do so again.
    #[error("{0}")]
    Harmful(String),
    /// Its reader did not come to an end, for a reason that may pass.
    #[error("{0}")]
    Interrupted(String),
}

/// Reads policies in processes.
#[derive(Debug)]
pub struct Reader {
    bounds: Bounds,
    runs: Lane,
    admission: Lane,
    memo: Memo<Said>,
    /// What was late when it was read last.
    late: Memo<()>,
}

impl Reader {
    /// In processes of this very program.
    pub fn own() -> io::Result<Self> {
        Ok(Self::new(
            &Program::own("read-policies")?,
            Bounds::default(),
        ))
    }

    /// In processes of `program`, which calls [`read_policies`].
    pub fn new(program: &Program, bounds: Bounds) -> Self {
        let mut gives_way = bounds;
        gives_way.rights.gives_way = true;
        Self {
            bounds,
            runs: Lane::new(program.clone(), bounds, 2, 4),
            admission: Lane::new(program.clone(), gives_way, 1, 0),
            memo: Memo::default(),
            late: Memo::default(),
        }
    }

    /// How the policy's tests ended, if it has some; else why it is not to be loaded. Whoever stops waiting stops the process.
    pub async fn read(
        &self,
        rules: Rules<'_>,
        share: Share,
    ) -> Result<Option<TestResults>, Unread> {
        let question = Question::encode(rules);
        let digest = <[u8; 32]>::from(Sha256::digest(&question));
        if let Some(known) = self.memo.get(&digest) {
            return known.result();
        }
        let lane = match share {
            Share::Runs => &self.runs,
            Share::Admission => &self.admission,
        };
        let takes_long = self.late.get(&digest).is_some();
        let said = match lane.ask(&question, takes_long).await {
            Ok(said) => said,
            Err(silent) => {
                if matches!(silent, Silent::Late) {
                    self.late.put(digest, ());
                }
                self.explained(rules.name, &silent)?
            }
        };
        self.memo.put(digest, said.clone());
        said.result()
    }

    /// What it means that there was no answer: it is the policy's fault, or nobody's.
    fn explained(&self, name: &str, silent: &Silent) -> Result<Said, Unread> {
        let Bounds { rights, patience } = self.bounds;
        let takes = |what: String| format!("reading it and running its tests takes {what}");
        let interrupted = |why: String| {
            tracing::warn!(policy = name, why, "a policy was not read");
            Err(Unread::Interrupted(why))
        };
        let ended = match silent {
            Silent::Late => {
                return interrupted(takes(format!("longer than {patience:?}")));
            }
            Silent::Unstarted(why) => {
                return interrupted(format!("its reader does not start: {why}"));
            }
            Silent::Ended(ended) => ended,
        };
        let words = ended.last_words();
        tracing::warn!(policy = name, how = %ended, words, "a policy's reader ended without an answer");
        let why = match ended.how {
            End::Time => takes(format!("more than {:?} of processor time", rights.time)),
            End::Memory => takes(format!("more than {} MiB of memory", rights.memory >> 20)),
            End::Stack => takes("more than the stack of its reader".to_owned()),
            End::Crashed => format!("its reader crashed on it ({ended})"),
            End::Killed | End::Garbled => return interrupted(unclear(ended)),
        };
        Ok(Said::Harmful(why))
    }
}

fn unclear(ended: &Ended) -> String {
    match ended.how {
        End::Killed => {
            "its reader was killed, most likely because the machine's memory ran out".to_owned()
        }
        _ => format!("its reader cannot be understood ({ended})"),
    }
}

/// Reads policies on standard input, and ends with the process that asks for it. To be called first thing, before there are
/// threads.
#[must_use]
pub fn read_policies() -> ExitCode {
    serve(|question| {
        let said = match Question::decode(question) {
            Some(question) => fit::fit(&question),
            None => Said::Unfit("nothing was asked".to_owned()),
        };
        said.encode()
    })
}

#[cfg(test)]
mod tests;

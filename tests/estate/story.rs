//! A story told step by step, each step seen to be true on the API server.
//!
//! A step that could not have failed proves nothing, so every sight is looked at before the deed, and
//! a sight that is there already is an error. A step that must write nothing is held to the same
//! stock as one that writes: the steps around it show that the comparison can fail.

use std::fmt;
use std::future::Future;
use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use futures::future::{join_all, try_join_all};

use crate::sight::{Seen, Sight, View};
use crate::wait::PATIENCE;

/// Tells a story on a terminal, or into a file.
pub struct Story {
    out: Box<dyn Write + Send>,
    colours: bool,
    patience: Duration,
    begun: Instant,
}

/// A step that was not seen to be true.
#[derive(Debug)]
pub struct Failed {
    /// The step.
    pub step: String,
    /// What was expected.
    pub expected: String,
    /// What was last seen instead.
    pub last_seen: String,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "step \"{}\"\n  expected:  {}\n  last seen: {}",
            self.step, self.expected, self.last_seen
        )
    }
}

impl std::error::Error for Failed {}

impl Story {
    /// A story told to `out`.
    pub fn new(out: impl Write + Send + 'static, colours: bool) -> Self {
        Self {
            out: Box::new(out),
            colours,
            patience: PATIENCE,
            begun: Instant::now(),
        }
    }

    /// As long as this each step waits for its sights.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// How long ago the story began.
    #[must_use]
    pub fn took(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Does something that only sets the stage: nothing is claimed but that it worked.
    pub async fn stage<T>(
        &mut self,
        name: &str,
        deed: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        let begun = Instant::now();
        let done = deed.await.with_context(|| format!("step \"{name}\""));
        self.verdict(done.is_ok(), name, begun.elapsed());
        done
    }

    /// Does `deed` and waits until every sight is seen. Each must be false before.
    pub async fn step<T>(
        &mut self,
        name: &str,
        sights: Vec<Sight>,
        deed: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<(T, Vec<Seen>)> {
        let begun = Instant::now();
        let done = self.play(name, sights, deed).await;
        self.verdict(done.is_ok(), name, begun.elapsed());
        done
    }

    async fn play<T>(
        &self,
        name: &str,
        sights: Vec<Sight>,
        deed: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<(T, Vec<Seen>)> {
        let mut views = try_join_all(sights.into_iter().map(Sight::open)).await?;
        not_yet(name, &views)?;
        let done = deed.await.with_context(|| format!("step \"{name}\""))?;
        let end = Instant::now() + self.patience;
        let looks = views.iter_mut().map(|view| async move {
            let seen = view
                .seen(end.saturating_duration_since(Instant::now()))
                .await;
            seen.map_err(|last_seen| (view.what().to_owned(), last_seen))
        });
        let (seen, missing): (Vec<_>, Vec<_>) =
            join_all(looks).await.into_iter().partition(Result::is_ok);
        let missing: Vec<(String, String)> = missing.into_iter().filter_map(Result::err).collect();
        if missing.is_empty() {
            return Ok((done, seen.into_iter().filter_map(Result::ok).collect()));
        }
        let (expected, last_seen): (Vec<String>, Vec<String>) = missing.into_iter().unzip();
        Err(failed(
            name,
            expected.join("\n             "),
            last_seen.join("\n             "),
        )
        .into())
    }

    fn verdict(&mut self, good: bool, name: &str, took: Duration) {
        let mark = if good {
            self.paint("32", "✔")
        } else {
            self.paint("31", "✗")
        };
        let took = self.paint("2", &format!("{:>6} ms", took.as_millis()));
        self.line(&format!("{mark} {took}  {name}"));
    }

    /// Shows something under the step just told.
    pub fn note(&mut self, text: &str) {
        for line in text.lines() {
            let line = self.paint("2", line);
            self.line(&format!("             {line}"));
        }
    }

    /// Writes one line as it is.
    pub fn line(&mut self, text: &str) {
        // A closed terminal is no reason to fail: the story is judged by its exit code.
        drop(writeln!(self.out, "{text}").and_then(|()| self.out.flush()));
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colours {
            format!("\u{1b}[{colour}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// A sight that is there before the deed would be seen whatever the deed does.
fn not_yet(name: &str, views: &[View]) -> Result<(), Failed> {
    let already = views
        .iter()
        .find_map(|view| Some((view.what(), view.now().ok()?)));
    match already {
        None => Ok(()),
        Some((what, says)) => Err(failed(
            name,
            format!("not yet: {what}"),
            format!("it holds before anything was done ({says}), so this step proves nothing"),
        )),
    }
}

fn failed(step: &str, expected: String, last_seen: String) -> Failed {
    Failed {
        step: step.to_owned(),
        expected,
        last_seen,
    }
}

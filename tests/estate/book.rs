//! The book in `docs/`, as tests read it: its pages in their order, and the commands in them.
//!
//! A block that is marked `sh` is run by a scenario; one that needs what no test has (a container engine, a forge, an address of the
//! reader's) is marked `console` and is not, and the line before it says why. That links lead somewhere and references are up to date is asked of the files
//! alone. Making HTML of it is mdBook's.

use std::path::PathBuf;

use anyhow::Context as _;

/// A page of the book.
pub struct Page {
    /// Its file, below `docs/src`.
    pub file: String,
    /// Its Markdown.
    pub text: String,
}

/// Where the pages lie.
#[must_use]
pub fn directory() -> PathBuf {
    crate::root().join("docs/src")
}

/// The pages in the order of the summary.
pub fn pages() -> anyhow::Result<Vec<Page>> {
    let summary = std::fs::read_to_string(directory().join("SUMMARY.md"))?;
    let page = |file: &str| {
        let text = std::fs::read_to_string(directory().join(file));
        let (file, text) = (file.to_owned(), text.with_context(|| file.to_owned())?);
        Ok(Page { file, text })
    };
    links(&summary).map(page).collect()
}

impl Page {
    /// The blocks of commands, each as it would be pasted into a shell.
    #[must_use]
    pub fn commands(&self) -> Vec<String> {
        let (mut blocks, mut open) = (Vec::new(), None);
        for line in self.text.lines() {
            match (&mut open, line) {
                (None, "```sh") => open = Some(String::new()),
                (Some(_), "```") => blocks.extend(open.take()),
                (Some(block), _) => {
                    block.push_str(line);
                    block.push('\n');
                }
                (None, _) => {}
            }
        }
        blocks
    }
}

/// What Markdown links to, code left out.
pub fn links(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    let lines = text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        is_code ^= fence;
        !fence && !is_code
    });
    lines.flat_map(|line| {
        // In a line, what stands between backquotes is every second part.
        let plain = line.split('`').step_by(2);
        // A link's text may be code itself: then its target begins the part behind it.
        plain.flat_map(|part| {
            let targets = part.split("](").skip(1);
            targets.filter_map(|rest| rest.split(')').next())
        })
    })
}

#[cfg(test)]
mod tests;

//! What a policy says about itself in the `# METADATA` comment in front of its package, in the first file that has one.
//!
//! regorus drops comments, so the block is read here: the lines after `# METADATA` up to the first that is no comment,
//! their `# ` taken off, are YAML. It deliberately reads no block but the package's.

use serde_json::Value;

use super::{Error, Place};

/// What a policy says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The rule in one sentence.
    pub title: String,
    /// Why there is this rule.
    pub description: String,
    /// What to do when it objects.
    pub hint: Option<String>,
    /// How much harm it prevents.
    pub severity: Severity,
    /// Where to read more.
    pub links: Vec<String>,
}

/// How much harm a policy prevents, in the words of policy reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
    /// Another tenant's or the platform's.
    Critical,
}

impl Severity {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let all = [
            Self::Info,
            Self::Low,
            Self::Medium,
            Self::High,
            Self::Critical,
        ];
        all.into_iter().find(|severity| severity.as_str() == text)
    }
}

/// Reads the block in front of `package` in the first of its files that has one; a policy without title and
/// description is refused.
pub(super) fn of_package<'a>(
    files: impl Iterator<Item = &'a (String, String)>,
) -> Result<Metadata, Error> {
    let mut without = "";
    for (file, source) in files {
        match block(source) {
            Some((line, yaml)) => return read(file, line, &yaml),
            None if without.is_empty() => without = file,
            None => {}
        }
    }
    let why = "there is no METADATA comment in front of the package";
    Err(refused(without, 0, why))
}

fn read(file: &str, line: u64, yaml: &str) -> Result<Metadata, Error> {
    let documents = reeve_kustomize::parse_yaml(yaml.as_bytes(), file).map_err(|error| {
        let inner = error.place().line.map_or(0, u64::from);
        refused(
            file,
            line + inner,
            &format!("METADATA is not YAML: {}", error.why()),
        )
    })?;
    let [document] = documents.as_slice() else {
        return Err(refused(file, line, "METADATA is not one YAML document"));
    };
    let text = |pointer: &str| {
        let text = document
            .pointer(pointer)
            .and_then(Value::as_str)
            .map(str::trim);
        text.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let required = |pointer: &str| {
        let why = format!("METADATA has no {}", pointer.trim_start_matches('/'));
        text(pointer).ok_or_else(|| refused(file, line, &why))
    };
    let severity = match text("/custom/severity") {
        None => Severity::Medium,
        Some(word) => Severity::parse(&word).ok_or_else(|| {
            refused(
                file,
                line,
                "custom.severity is none of critical, high, medium, low, info",
            )
        })?,
    };
    Ok(Metadata {
        title: required("/title")?,
        description: required("/description")?,
        hint: text("/custom/hint"),
        severity,
        links: links(document),
    })
}

/// A resource is a link, or an object with one and a description.
fn links(document: &Value) -> Vec<String> {
    let resources = document.get("related_resources").and_then(Value::as_array);
    let links = resources
        .into_iter()
        .flatten()
        .filter_map(|one| one.as_str().or_else(|| one.get("ref")?.as_str()));
    links.map(str::to_owned).collect()
}

/// The line of `# METADATA`, from 1, and the YAML below it.
fn block(source: &str) -> Option<(u64, String)> {
    let mut lines = (1..)
        .zip(source.lines())
        .take_while(|(_, line)| !line.starts_with("package"));
    let (start, _) = lines.find(|(_, line)| line.trim_end() == "# METADATA")?;
    let comments = lines.map_while(|(_, line)| line.strip_prefix('#'));
    let yaml: Vec<&str> = comments
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    Some((start, yaml.join("\n")))
}

fn refused(file: &str, line: u64, why: &str) -> Error {
    let place = Place {
        file: file.to_owned(),
        line,
        column: 0,
    };
    Error::Compile {
        place,
        why: why.to_owned(),
    }
}

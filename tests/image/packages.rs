//! Which packages of the builder's system the libraries are from: scanners know packages by name and version, and no files.
//!
//! By dpkg, where the machine has it; where it has not, the bill names the files alone. It deliberately guesses nothing: with dpkg a
//! library that is of no package is an error.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

const FORMAT: &str = "--showformat=${Package}\t${Version}\t${source:Package}\t${Architecture}";

/// The system and the packages, as components of the bill; none where there is nothing to name, or nobody to ask.
pub(super) fn of(libraries: &[String]) -> anyhow::Result<Vec<Value>> {
    if libraries.is_empty() || asked(&["--version"])?.is_none() {
        return Ok(Vec::new());
    }
    let system = std::fs::read_to_string("/etc/os-release").context("/etc/os-release")?;
    let system = System::of(&system);
    let mut packages = BTreeMap::new();
    for library in libraries {
        let owner = owner(library)?;
        let shown = asked(&["--show", FORMAT, &owner])?;
        let shown = shown.with_context(|| format!("dpkg shows nothing of {owner}"))?;
        let package = system.package(&shown);
        packages.insert(owner.clone(), package.with_context(|| owner)?);
    }
    let whole = std::iter::once(system.component());
    Ok(whole.chain(packages.into_values()).collect())
}

/// What `/etc/os-release` says of the system.
struct System {
    id: String,
    version: String,
}

impl System {
    fn of(release: &str) -> Self {
        let said = |field: &str| {
            let mut lines = release.lines();
            let value = lines.find_map(|line| line.strip_prefix(field)?.strip_prefix('='));
            value.unwrap_or_default().trim_matches('"').to_owned()
        };
        Self {
            id: said("ID"),
            version: said("VERSION_ID"),
        }
    }

    fn component(&self) -> Value {
        json!({
            "type": "operating-system", "bom-ref": format!("os:{}", self.id), "name": self.id,
            "version": self.version,
        })
    }

    /// A line of dpkg's, as a component.
    fn package(&self, shown: &str) -> anyhow::Result<Value> {
        let fields: Vec<&str> = shown.trim_end().split('\t').collect();
        let [name, version, source, architecture] = fields[..] else {
            anyhow::bail!("dpkg shows {shown:?}");
        };
        let purl = format!(
            "pkg:deb/{}/{}@{}?arch={}&distro={}-{}&upstream={}",
            escaped(&self.id),
            escaped(name),
            escaped(version),
            escaped(architecture),
            escaped(&self.id),
            escaped(&self.version),
            escaped(source),
        );
        Ok(json!({
            "type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl,
        }))
    }
}

/// The package that a library is of.
fn owner(library: &str) -> anyhow::Result<String> {
    let real = std::fs::canonicalize(library).with_context(|| library.to_owned())?;
    let real = real.display().to_string();
    for path in [library, real.as_str()].into_iter().flat_map(spelled) {
        if let Some(told) = asked(&["--search", &path])?
            && let Some(owner) = searched(&told)
        {
            return Ok(owner);
        }
    }
    anyhow::bail!("{library} is of no package: nobody who reads the bill finds what is known of it")
}

/// A path as dpkg may know it: `/lib` is `/usr/lib` on most systems, and packages say either.
fn spelled(path: &str) -> [String; 2] {
    let other = match path.strip_prefix("/usr") {
        Some(rest) => rest.to_owned(),
        None => format!("/usr{path}"),
    };
    [path.to_owned(), other]
}

/// The package of the first line that names one: `libc6:amd64: /lib/…`.
fn searched(told: &str) -> Option<String> {
    let mut lines = told.lines().filter(|line| !line.starts_with("diversion "));
    let (owners, _) = lines.next()?.split_once(": ")?;
    owners.split(", ").next().map(str::to_owned)
}

/// What dpkg answers; None: it knows nothing of that, or is not there.
fn asked(args: &[&str]) -> anyhow::Result<Option<String>> {
    let mut command = Command::new("dpkg-query");
    command.args(args).env("LC_ALL", "C").stdin(Stdio::null());
    let out = match command.output() {
        Err(why) if why.kind() == ErrorKind::NotFound => return Ok(None),
        out => out.context("dpkg-query cannot be run")?,
    };
    if !out.status.success() {
        return Ok(None);
    }
    let told = String::from_utf8(out.stdout).context("what dpkg says")?;
    ensure!(!told.is_empty(), "dpkg-query says nothing");
    Ok(Some(told))
}

/// As package URLs have it.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_named_as_scanners_look_for_it() {
        let system = System::of("PRETTY_NAME=\"Debian 12\"\nID=debian\nVERSION_ID=\"12\"\n");
        let shown = "libc6\t2.36-9+deb12u14\tglibc\tamd64";
        let package = system.package(shown).expect("four fields");
        assert_eq!(package["version"], "2.36-9+deb12u14");
        assert_eq!(
            package["purl"],
            "pkg:deb/debian/libc6@2.36-9%2Bdeb12u14?arch=amd64&distro=debian-12&upstream=glibc"
        );
        assert_eq!(system.component()["version"], "12");
        assert!(system.package("libc6").is_err());
    }

    #[test]
    fn the_owner_of_a_file_is_found_however_its_path_is_spelled() {
        assert_eq!(spelled("/lib/x/c.so"), ["/lib/x/c.so", "/usr/lib/x/c.so"]);
        assert_eq!(spelled("/usr/lib/c.so"), ["/usr/lib/c.so", "/lib/c.so"]);
        let told = "diversion by usr-is-merged from: /lib\nlibc6:amd64, libc6:i386: /lib/c.so\n";
        assert_eq!(searched(told).as_deref(), Some("libc6:amd64"));
        assert_eq!(searched(""), None);
    }
}

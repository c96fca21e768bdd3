//! What has to be so before reeve is installed: the version of the API server, and clocks that agree.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::Finding;
use crate::clock::Clock;
use crate::cluster::Cluster;

/// The oldest version of Kubernetes that reeve runs on; the chart says the same.
const OLDEST: (u64, u64) = (1, 29);
/// The oldest that has what fences the landlord.
const FENCED: (u64, u64) = (1, 30);
/// Clocks may differ by this.
const APART: SignedDuration = SignedDuration::from_secs(30);

pub(super) async fn look(cluster: &Cluster) -> Vec<Finding> {
    let mut found: Vec<Finding> = match cluster.version().await {
        Ok(told) => std::iter::once(version(&told))
            .chain(fence(&told))
            .collect(),
        Err(why) => vec![Finding::unasked(
            "asking the API server for its version",
            &why,
        )],
    };
    let clock = match cluster.date().await {
        Ok(date) => clock(Clock::system().now(), date.as_deref()),
        Err(why) => Finding::unasked("asking the API server for its time", &why),
    };
    found.push(clock);
    found
}

fn read(told: &Value) -> (&str, Result<semver::Version, semver::Error>) {
    let text = told.get("gitVersion").and_then(Value::as_str);
    let text = text.unwrap_or_default().trim_start_matches('v');
    (text, semver::Version::parse(text))
}

fn version(told: &Value) -> Finding {
    let (major, minor) = OLDEST;
    let wanted = format!(">={major}.{minor}.0-0");
    let (text, version) = read(told);
    match version {
        Ok(found) if (found.major, found.minor) >= OLDEST => {
            Finding::passed(format!("Kubernetes {text} {wanted}"))
        }
        Ok(_) => Finding::failed(
            format!("Kubernetes {text} is not {wanted}"),
            "upgrade the cluster's control plane",
        ),
        Err(_) => Finding::failed(
            format!("the API server says that its version is {text:?}"),
            "check --kubeconfig and --context: is this a Kubernetes API server?",
        ),
    }
}

/// What a version that is new enough has no landlord for.
fn fence(told: &Value) -> Option<Finding> {
    let (text, version) = read(told);
    let found = version.ok().map(|found| (found.major, found.minor))?;
    (OLDEST..FENCED).contains(&found).then(|| {
        Finding::skipped(format!(
            "Kubernetes {text} has no ValidatingAdmissionPolicy of v1 (1.30 has): the chart leaves the landlord out, and tenants are onboarded by hand"
        ))
    })
}

fn clock(now: Timestamp, date: Option<&str>) -> Finding {
    let Some(date) = date else {
        return Finding::skipped("the API server does not say what time it is");
    };
    let Ok(there) = jiff::fmt::rfc2822::parse(date) else {
        return Finding::skipped(format!("the API server's time cannot be read: {date:?}"));
    };
    let apart = now.duration_since(there.timestamp());
    if apart.abs() <= APART {
        return Finding::passed("your clock agrees with the API server's");
    }
    let seconds = apart.abs().as_secs();
    let way = match apart.is_positive() {
        true => "ahead of",
        false => "behind",
    };
    Finding::failed(
        format!("your clock is {seconds} s {way} the API server's"),
        "have both set by a time server: tokens, certificates and signatures are good for a time only",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Outcome;
    use super::*;

    #[test]
    fn a_version_that_the_chart_does_not_take_fails() {
        for (version_there, want) in [
            ("v1.36.2", Outcome::Passed),
            ("v1.29.0-eks-1a2b", Outcome::Passed),
            ("v1.30.4+k3s1", Outcome::Passed),
            ("v2.0.0", Outcome::Passed),
            ("v1.28.15", Outcome::Failed),
            ("nginx", Outcome::Failed),
        ] {
            let found = version(&json!({"gitVersion": version_there}));
            assert_eq!(found.outcome, want, "{version_there}");
        }
        assert_eq!(version(&json!({})).outcome, Outcome::Failed);
    }

    #[test]
    fn a_version_that_has_no_fence_for_the_landlord_is_told() {
        for (version_there, told) in [
            ("v1.28.15", false),
            ("v1.29.14", true),
            ("v1.30.0", false),
            ("v2.0.0", false),
            ("nginx", false),
        ] {
            let found = fence(&json!({"gitVersion": version_there}));
            assert_eq!(found.is_some(), told, "{version_there}");
        }
        let helpers = "/../../charts/reeve/templates/_helpers.tpl";
        let helpers = [env!("CARGO_MANIFEST_DIR"), helpers].concat();
        let (major, minor) = FENCED;
        let asks = format!("semverCompare \">={major}.{minor}.0-0\"");
        let helpers = std::fs::read_to_string(helpers).unwrap();
        assert!(helpers.contains(&asks), "the chart says another version");
    }

    #[test]
    fn the_oldest_version_is_the_charts() {
        let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/../../charts/reeve/Chart.yaml");
        let chart = std::fs::read_to_string(chart).unwrap();
        let (major, minor) = OLDEST;
        let line = format!("kubeVersion: \">={major}.{minor}.0-0\"");
        assert!(chart.contains(&line), "{chart}");
    }

    #[test]
    fn clocks_may_differ_by_half_a_minute() {
        let now: Timestamp = "2026-11-22T18:10:31Z".parse().unwrap();
        for (date, want) in [
            (Some("Sun, 22 Nov 2026 18:10:31 GMT"), Outcome::Passed),
            (Some("Sun, 22 Nov 2026 18:10:02 GMT"), Outcome::Passed),
            (Some("Sun, 22 Nov 2026 18:09:31 GMT"), Outcome::Failed),
            (Some("Sun, 22 Nov 2026 18:11:31 GMT"), Outcome::Failed),
            (Some("soon"), Outcome::Skipped),
            (None, Outcome::Skipped),
        ] {
            assert_eq!(clock(now, date).outcome, want, "{date:?}");
        }
        let ahead = clock(now, Some("Sun, 22 Nov 2026 18:09:31 GMT"));
        assert_eq!(
            ahead.message,
            "your clock is 60 s ahead of the API server's"
        );
    }
}

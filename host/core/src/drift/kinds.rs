//! Which kinds the controller watches with its own rights: all of a kind at once, and nothing but metadata.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// A kind that is watched in the whole cluster, written `Deployment.apps` or `ConfigMap`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct WatchedKind {
    group: String,
    kind: String,
}

/// A kind that cannot be watched so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KindError {
    /// Nobody but their owners may watch them.
    #[error(
        "Secrets are never watched with the controller's rights: whoever may watch them may read them. They are watched \
         as the tenant's account, without being named here"
    )]
    Secret,
    /// It is no kind.
    #[error("{0:?} is no kind: write Deployment.apps, or ConfigMap for one of the core group")]
    Malformed(String),
}

/// What most people apply.
const USUAL: [(&str, &str); 19] = [
    ("apps", "DaemonSet"),
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("autoscaling", "HorizontalPodAutoscaler"),
    ("batch", "CronJob"),
    ("batch", "Job"),
    ("networking.k8s.io", "Ingress"),
    ("networking.k8s.io", "NetworkPolicy"),
    ("policy", "PodDisruptionBudget"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    ("rbac.authorization.k8s.io", "Role"),
    ("rbac.authorization.k8s.io", "RoleBinding"),
    ("", "ConfigMap"),
    ("", "LimitRange"),
    ("", "PersistentVolumeClaim"),
    ("", "ResourceQuota"),
    ("", "Service"),
    ("", "ServiceAccount"),
];

impl WatchedKind {
    /// What is watched when nobody says otherwise.
    pub fn usual() -> impl Iterator<Item = Self> {
        USUAL.into_iter().map(|(group, kind)| Self {
            group: group.to_owned(),
            kind: kind.to_owned(),
        })
    }
}

impl fmt::Display for WatchedKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.group.as_str() {
            "" => f.write_str(&self.kind),
            group => write!(f, "{}.{group}", self.kind),
        }
    }
}

impl FromStr for WatchedKind {
    type Err = KindError;

    fn from_str(text: &str) -> Result<Self, KindError> {
        let (kind, group) = text.split_once('.').unwrap_or((text, ""));
        let is_kind = kind.starts_with(|c: char| c.is_ascii_uppercase())
            && kind.len() <= 63
            && kind.chars().all(|c| c.is_ascii_alphanumeric());
        let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
        let is_group = group.len() <= 253 && group.chars().all(letter);
        if !is_kind || !is_group || text.ends_with('.') {
            return Err(KindError::Malformed(text.chars().take(300).collect()));
        }
        if (kind, group) == ("Secret", "") {
            return Err(KindError::Secret);
        }
        Ok(Self {
            group: group.to_owned(),
            kind: kind.to_owned(),
        })
    }
}

/// All of them.
#[derive(Debug, Clone, Default)]
pub struct WatchedKinds(BTreeSet<WatchedKind>);

impl WatchedKinds {
    /// Whether all of a kind is watched.
    pub fn have(&self, group: &str, kind: &str) -> bool {
        let mut kinds = self.0.iter();
        kinds.any(|one| one.group == group && one.kind == kind)
    }
}

impl FromIterator<WatchedKind> for WatchedKinds {
    fn from_iter<I: IntoIterator<Item = WatchedKind>>(kinds: I) -> Self {
        Self(kinds.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_read_as_it_is_written_and_a_secret_is_refused() {
        for kind in WatchedKind::usual() {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        assert_eq!("Secret".parse::<WatchedKind>(), Err(KindError::Secret));
        let sealed = "Secret.example.com".parse::<WatchedKind>();
        assert!(sealed.is_ok(), "another's kind of that name is none");
        for text in ["", "configmaps", "Config Map", "ConfigMap.", "A.B", "a/b"] {
            let why = text.parse::<WatchedKind>().unwrap_err();
            assert_eq!(why, KindError::Malformed(text.to_owned()));
        }
    }

    #[test]
    fn a_kind_is_one_of_them_in_its_own_group_only() {
        let kinds: WatchedKinds = WatchedKind::usual().collect();
        assert!(kinds.have("apps", "Deployment") && kinds.have("", "ConfigMap"));
        assert!(!kinds.have("", "Deployment") && !kinds.have("", "Secret"));
    }
}

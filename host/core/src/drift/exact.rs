//! Which object it is, and after which change: the state that the API server compares before it writes.

use serde_json::Value;

use super::text;

/// A state of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exact {
    /// Which object it is: another of its name has another.
    pub uid: String,
    /// After which change.
    pub version: String,
}

/// The uid of an object in the little that is kept of each: Kubernetes' are all UUIDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Uid([u8; 16]);

impl Uid {
    /// That of an object; None: it is none that could be told again as it was.
    pub(super) fn of(meta: &Value) -> Option<Self> {
        let said = text(meta, "uid");
        let digits: String = said.chars().filter(|c| *c != '-').collect();
        let number = u128::from_str_radix(&digits, 16).ok()?;
        let uid = Self(number.to_be_bytes());
        (uid.told() == said).then_some(uid)
    }

    /// As it is written.
    pub(super) fn told(self) -> String {
        let all = u128::from_be_bytes(self.0);
        let part = |from: u32, digits: u32| (all >> (from * 4)) & ((1_u128 << (digits * 4)) - 1);
        let (a, b, c) = (part(24, 8), part(20, 4), part(16, 4));
        let (d, e) = (part(12, 4), part(0, 12));
        format!("{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_uid_is_told_as_it_was_read_or_not_at_all() {
        let uid = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9";
        let of = |uid: &str| Uid::of(&json!({"uid": uid})).map(Uid::told);
        assert_eq!(of(uid).as_deref(), Some(uid));
        let upper = uid.to_uppercase();
        for other in [
            "",
            "1",
            "+1",
            &upper,
            &uid.replace('-', ""),
            &format!("{uid}0"),
        ] {
            assert_eq!(of(other), None, "{other}");
        }
        assert_eq!(Uid::of(&json!({})), None);
    }
}

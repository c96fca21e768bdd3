//! The metrics of the landlord: whether it acts, and how many Tenants stand how. By no Tenant's name: there may be many, and
//! each says in its status why it waits.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

/// How many Tenants stand how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    /// What they say is made and kept.
    pub onboarded: usize,
    /// It is not, or not yet as they say it now.
    pub waiting: usize,
    /// They are being deleted.
    pub leaving: usize,
}

/// What is counted of it.
#[derive(Debug, Default)]
pub(super) struct Landlords {
    leader: Gauge,
    tenants: Family<StateLabels, Gauge>,
}

impl Landlords {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "reeve_landlord_leader",
            "1 while this process is the landlord that acts",
            self.leader.clone(),
        );
        registry.register(
            "reeve_landlord_tenants",
            "Tenants by whether what they say is made, as the landlord that acts sees them",
            self.tenants.clone(),
        );
    }

    /// Who does not act any more knows nothing of Tenants.
    pub(super) fn lead(&self, acting: bool) {
        self.leader.set(i64::from(acting));
        if !acting {
            self.tenants.clear();
        }
    }

    pub(super) fn stand(&self, standing: Standing) {
        for (state, number) in [
            ("onboarded", standing.onboarded),
            ("waiting", standing.waiting),
            ("leaving", standing.leaving),
        ] {
            let counted = self.tenants.get_or_create(&StateLabels { state });
            counted.set(i64::try_from(number).unwrap_or(i64::MAX));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::observe::{Metrics, Standing};

    #[test]
    fn a_landlord_that_stands_by_tells_of_no_tenants() {
        let metrics = Metrics::new();
        metrics.lead_as_landlord(true);
        metrics.tenants_stand(Standing {
            onboarded: 3,
            waiting: 1,
            leaving: 0,
        });
        let told = metrics.encode().unwrap();
        for line in [
            "reeve_landlord_leader 1",
            r#"reeve_landlord_tenants{state="onboarded"} 3"#,
            r#"reeve_landlord_tenants{state="waiting"} 1"#,
            r#"reeve_landlord_tenants{state="leaving"} 0"#,
        ] {
            assert!(told.lines().any(|one| one == line), "no {line} in {told}");
        }
        metrics.lead_as_landlord(false);
        let told = metrics.encode().unwrap();
        assert!(told.contains("reeve_landlord_leader 0"), "{told}");
        assert!(!told.contains("reeve_landlord_tenants{"), "{told}");
    }
}

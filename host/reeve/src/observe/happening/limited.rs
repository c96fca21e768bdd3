//! A tenant has used up what it may use. By tenant and limit, never by object: the condition on it says the rest.

use tracing::debug;

use super::Happening;
use crate::observe::metric::{LimitLabels, Metrics};

/// A limit of a tenant was reached.
#[derive(Debug, Clone, Copy)]
pub struct Limited<'a> {
    /// Whose.
    pub tenant: &'a str,
    /// Which, as `spec.limits` of a Tenant names it.
    pub limit: &'static str,
}

impl Happening for Limited<'_> {
    fn log(&self) {
        debug!(tenant = self.tenant, limit = self.limit, "limit reached");
    }

    fn count(&self, m: &Metrics) {
        let (tenant, limit) = (self.tenant.to_owned(), self.limit);
        m.limited
            .get_or_create(&LimitLabels { tenant, limit })
            .inc();
    }
}

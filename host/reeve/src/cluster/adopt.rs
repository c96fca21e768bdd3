//! Looking which objects applying a plan would take over from others. Writes nothing.

use futures::StreamExt as _;
use reeve_core::adoption::{Foreign, changed};
use reeve_core::plan::{Admitted, Plan, Planned, left_alone};

use super::applied::{Applied, ApplyError};
use super::compare;
use super::error::{Failures, ObjectError};
use super::refusal::Attempt;
use super::tenant_client::TenantClient;
use super::until::Until;

impl TenantClient {
    /// The objects that are there and do not bear our labels, in the order in which they would be applied.
    pub async fn survey(
        &self,
        plan: &Plan<Admitted>,
        until: &Until,
    ) -> Result<Vec<Foreign>, ApplyError> {
        let looking: Vec<_> = plan
            .steady()
            .map(|object| self.is_foreign(object))
            .collect();
        let found = futures::stream::iter(looking)
            .buffered(self.concurrency)
            .collect::<Vec<_>>();
        let done = Applied::default();
        let found = until.hold(found).await;
        let found = found.map_err(|cut| cut.after(Applied::default()))?;
        let (mut foreign, mut failed) = (Vec::new(), Vec::new());
        for one in found {
            match one {
                Ok(one) => foreign.extend(one),
                Err(why) => failed.push(why),
            }
        }
        match Failures::of(failed) {
            Some(failures) => Err(ApplyError::Refused { failures, done }),
            None => Ok(foreign),
        }
    }

    async fn is_foreign(&self, object: &Planned) -> Result<Option<Foreign>, ObjectError> {
        let wanted = object.manifest();
        // A kind that nobody serves yet has no objects.
        let Some(at) = self.locate(object.id(), Some(object.version())).await? else {
            return Ok(None);
        };
        let Some(live) = self.read(&at).await? else {
            return Ok(None);
        };
        let stays = left_alone(&live) || compare::only_if_absent(wanted);
        if stays || self.owns(&live) {
            return Ok(None);
        }
        let dry = self.dry_run(&at, wanted.to_string().into_bytes()).await;
        let dry = dry.map_err(|why| self.failed(&at, Attempt::DryRun, why))?;
        Ok(Some(Foreign {
            id: object.id().clone(),
            fields: changed(&live, &dry),
        }))
    }
}

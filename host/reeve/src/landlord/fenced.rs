//! Nothing is begun before the API server holds the landlord to its fence.
//!
//! Helm makes policies last, and an installation may end before: then the account has its rights and nothing that keeps it to the
//! namespaces of tenants. It is asked again and again, and said why it waits. It deliberately goes by what the API server does and
//! not by which objects there are: a policy is in force some time after it was made.

use std::time::Duration;

use reeve_api::name::ObjectName;
use reeve_core::failure::chain;
use tokio_util::sync::CancellationToken;

use super::Landlord;

/// How often it is asked.
const AGAIN: Duration = Duration::from_secs(1);

/// Waits until the fence of that name stands. False: it was told to stop before.
pub(crate) async fn fenced(
    landlord: &Landlord,
    fence: &ObjectName,
    stop: &CancellationToken,
) -> bool {
    let mut told = None;
    loop {
        let asked = tokio::select! {
            () = stop.cancelled() => return false,
            asked = landlord.cluster.is_fenced(fence, &landlord.terms.home) => asked,
        };
        let why = match asked {
            Ok(true) => return true,
            Ok(false) => "the API server lets this account do what only the fence refuses; install the chart again, whole".to_owned(),
            Err(why) => format!("whether it is fenced cannot be known: {}", chain(&why)),
        };
        if told.as_ref() != Some(&why) {
            tracing::warn!(%fence, error = %why, "the landlord makes nothing yet");
            told = Some(why);
        }
        tokio::select! {
            () = stop.cancelled() => return false,
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
}

//! Whether what a source has in store is archived by now: whoever builds from it may begin before that, and writes nothing before.
//!
//! What it deliberately doesn't: archive, or say what becomes of what never is; whoever has the other half does.

use tokio::sync::watch;

/// One half, of whoever builds.
#[derive(Clone, Default)]
pub(crate) struct Archived(Option<watch::Receiver<bool>>);

/// The other half, of whoever archives. Dropped without a word, it never will be.
pub(crate) struct Archiving(watch::Sender<bool>);

impl Archived {
    /// It is, or somebody else has done it.
    pub(crate) fn already() -> Self {
        Self(None)
    }

    /// It is about to be.
    pub(crate) fn soon() -> (Archiving, Self) {
        let (tell, told) = watch::channel(false);
        (Archiving(tell), Self(Some(told)))
    }

    /// Waits until that is known. False: it never will be.
    pub(crate) async fn wait(&self) -> bool {
        let Some(told) = &self.0 else { return true };
        let mut told = told.clone();
        told.wait_for(|is| *is).await.is_ok()
    }
}

impl Archiving {
    /// Whether those who have the other half wait for this.
    pub(crate) fn is_awaited_by(&self, archived: &Archived) -> bool {
        let told = archived.0.as_ref();
        told.is_some_and(|told| told.same_channel(&self.0.subscribe()))
    }

    /// It is.
    pub(crate) fn done(self) {
        self.0.send_replace(true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_waits_learns_that_it_is_archived_or_never_will_be() {
        assert!(Archived::already().wait().await);

        let (archiving, archived) = Archived::soon();
        let (done, waited) = (async { archiving.done() }, archived.wait());
        let ((), is) = tokio::join!(done, waited);
        assert!(is);
        assert!(archived.clone().wait().await, "also who asks later");

        let (archiving, archived) = Archived::soon();
        let (failed, waited) = (async { drop(archiving) }, archived.wait());
        let ((), is) = tokio::join!(failed, waited);
        assert!(!is);
    }

    #[test]
    fn one_knows_its_other_half() {
        let ((one, of_one), (_other, of_other)) = (Archived::soon(), Archived::soon());
        assert!(one.is_awaited_by(&of_one) && one.is_awaited_by(&of_one.clone()));
        assert!(!one.is_awaited_by(&of_other) && !one.is_awaited_by(&Archived::already()));
    }
}

//! The memory in which packs are put together, and large objects held: there is so much of it, and each tenant has its turn.
//!
//! How long a pack takes is up to whoever sends it, and a small one may take all there is for a minute. So each tenant has one in
//! each of two rooms at a time, and its next waits behind those of others; and what takes little waits for nothing that takes much:
//! it has a room of its own. What it deliberately doesn't: know how much a pack takes; `weight` does.

use std::sync::LazyLock;

use crate::places::{Place, Places};

/// What takes less asks for none of it.
const LIGHT: u64 = 16 << 20;
/// What takes more is in the room for what is heavy.
const MIDDLING: u64 = 64 << 20;
/// The mebibytes of the one and of the other room: this process has memory for both. The other has room for the heaviest pack
/// there may be.
const ROOM: u32 = 256;
const HEAVY_ROOM: u32 = 512;

/// That of this process.
pub(super) static MEMORY: LazyLock<Memory> = LazyLock::new(Memory::new);

/// All there is.
pub(super) struct Memory {
    middling: Places,
    heavy: Places,
}

impl Memory {
    fn new() -> Self {
        let room = |mebibytes: u32| Places::sharing(mebibytes as usize, 1);
        Self {
            middling: room(ROOM),
            heavy: room(HEAVY_ROOM),
        }
    }

    /// So many bytes for a tenant, once they are free and it is its turn; none where that is too little to count.
    pub(super) async fn take(&self, whose: &str, bytes: u64) -> Option<Place> {
        let mebibytes = u32::try_from(bytes.div_ceil(1 << 20)).unwrap_or(u32::MAX);
        if bytes <= LIGHT {
            return None;
        }
        if bytes <= MIDDLING {
            return self.middling.take_many(whose, mebibytes.min(ROOM)).await;
        }
        let mebibytes = mebibytes.min(HEAVY_ROOM);
        self.heavy.take_many(whose, mebibytes).await
    }

    /// The mebibytes that are taken.
    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        (ROOM + HEAVY_ROOM) as usize - self.middling.free() - self.heavy.free()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    const MEBIBYTE: u64 = 1 << 20;
    const SOON: Duration = Duration::from_millis(20);
    const LATE: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn what_takes_little_does_not_wait_for_what_takes_all() {
        let memory = Memory::new();
        let _heaviest = memory.take("evil", 512 * MEBIBYTE).await;
        assert_eq!(memory.taken(), 512);
        for whose in ["acme", "shop"] {
            let next = memory.take(whose, 64 * MEBIBYTE);
            assert!(tokio::time::timeout(LATE, next).await.is_ok(), "{whose}");
        }
        let light = tokio::time::timeout(LATE, memory.take("evil", 16 * MEBIBYTE));
        assert!(matches!(light.await, Ok(None)));
    }

    #[tokio::test]
    async fn a_tenant_whose_packs_take_all_has_the_next_behind_those_of_others() {
        let memory = Arc::new(Memory::new());
        let take = |whose: &'static str, mebibytes: u64| {
            let memory = Arc::clone(&memory);
            tokio::spawn(async move { memory.take(whose, mebibytes * MEBIBYTE).await })
        };
        let first = memory.take("evil", 512 * MEBIBYTE).await;
        let mut again = take("evil", 512);
        tokio::task::yield_now().await;
        let others = take("acme", 300);
        tokio::task::yield_now().await;
        drop(first);
        let others = tokio::time::timeout(LATE, others).await;
        assert!(matches!(&others, Ok(Ok(Some(_)))), "it came later");
        assert!(tokio::time::timeout(SOON, &mut again).await.is_err());
        drop(others);
        let again = tokio::time::timeout(LATE, again).await;
        assert!(matches!(&again, Ok(Ok(Some(_)))));
    }

    #[tokio::test]
    async fn no_tenant_takes_the_room_for_what_takes_little_with_many() {
        let memory = Memory::new();
        let _one = memory.take("evil", 64 * MEBIBYTE).await;
        let more = tokio::time::timeout(SOON, memory.take("evil", 20 * MEBIBYTE));
        assert!(more.await.is_err());
        assert_eq!(memory.taken(), 64);
    }
}

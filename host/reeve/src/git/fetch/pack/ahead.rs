//! What comes of a large object waits on the disk until all of it may be there: a server that sends it slowly, or never ends it,
//! has no memory of ours meanwhile.
//!
//! A ring in a file without a name, as long as one object may be. What it deliberately doesn't: know where an object ends; it reads
//! on until the largest would have.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;

use super::CHUNK;

/// What has come and was not asked for yet.
pub(super) struct Ahead {
    file: File,
    room: u64,
    /// Bytes that were written, and bytes that were read again, since it began.
    came: u64,
    went: u64,
    has_ended: bool,
}

impl Ahead {
    /// A ring of so many bytes, at least one, in a file.
    pub(super) fn of(file: File, room: u64) -> Self {
        Self {
            file,
            room: room.max(1),
            came: 0,
            went: 0,
            has_ended: false,
        }
    }

    /// Bytes that wait.
    pub(super) fn left(&self) -> u64 {
        self.came.saturating_sub(self.went)
    }

    /// Whether no more come.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Reads on until so many bytes wait, as far as there is room, or no more come.
    pub(super) fn fill(&mut self, from: &mut impl Read, wanted: u64) -> io::Result<()> {
        let wanted = wanted.min(self.room);
        if self.has_ended || self.left() >= wanted {
            return Ok(());
        }
        let mut chunk = vec![0; CHUNK];
        while self.left() < wanted {
            let at = self.came % self.room;
            let fits = (self.room - self.left()).min(self.room - at);
            let most = usize::try_from(fits).unwrap_or(CHUNK).min(CHUNK);
            let read = from.read(chunk.get_mut(..most).unwrap_or_default())?;
            if read == 0 {
                self.has_ended = true;
                break;
            }
            let came = chunk.get(..read).unwrap_or_default();
            self.file.write_all_at(came, at)?;
            self.came += came.len() as u64;
        }
        Ok(())
    }

    /// Gives what has waited longest; nothing if nothing waits.
    pub(super) fn take(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let at = self.went % self.room;
        let there = self.left().min(self.room - at);
        let most = usize::try_from(there).unwrap_or(usize::MAX).min(into.len());
        let into = into.get_mut(..most).unwrap_or_default();
        self.file.read_exact_at(into, at)?;
        self.went += into.len() as u64;
        Ok(into.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(room: u64) -> Ahead {
        Ahead::of(tempfile::tempfile().unwrap(), room)
    }

    #[test]
    fn what_was_read_ahead_is_given_in_its_order_however_often_it_goes_round() {
        let all: Vec<u8> = (0..1_000_000u32).map(|n| (n % 251) as u8).collect();
        let mut from = &all[..];
        let mut ahead = ring(100_003);
        let mut given = Vec::new();
        let mut into = vec![0; 70_001];
        loop {
            ahead.fill(&mut from, 90_000).unwrap();
            assert!(ahead.has_ended() || ahead.left() >= 90_000);
            assert!(ahead.left() <= 100_003);
            let read = ahead.take(&mut into).unwrap();
            if read == 0 {
                break;
            }
            given.extend_from_slice(&into[..read]);
        }
        assert!(ahead.has_ended());
        assert!(given == all);
    }

    #[test]
    fn no_more_is_read_than_is_wanted_and_there_is_room_for() {
        let all = [7; 100];
        let mut from = &all[..];
        let mut ahead = ring(40);
        ahead.fill(&mut from, 30).unwrap();
        // It reads in pieces, and never beyond the ring.
        assert!((30..=40).contains(&ahead.left()));
        ahead.fill(&mut from, 1000).unwrap();
        assert_eq!((ahead.left(), from.len()), (40, 60));
        ahead.fill(&mut from, 1000).unwrap();
        assert_eq!((ahead.left(), ahead.has_ended()), (40, false));
    }
}

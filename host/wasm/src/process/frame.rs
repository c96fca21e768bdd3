//! What a process is told and what it answers, as bytes.
//!
//! Both ends are the same program, so there are no versions. A frame that is cut short is no answer.

use std::io::{self, Read};

/// What every answer begins with: whatever writes something else is not ours.
const MARK: [u8; 4] = *b"\xffrv\n";
/// Bytes before the text of an answer.
pub(super) const HEAD: usize = 12;

/// Who asks, and what may be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Preamble {
    /// Who waits for the answers; nobody else does.
    pub(super) parent: u32,
    /// Bytes of address space.
    pub(super) memory: u64,
    /// Seconds of processor time for each question.
    pub(super) seconds: u64,
    /// Whether everything else goes before.
    pub(super) gives_way: bool,
}

impl Preamble {
    /// What goes before the first question.
    pub(super) fn encode(&self) -> Vec<u8> {
        let parent = u64::from(self.parent);
        [parent, self.memory, self.seconds, self.gives_way.into()]
            .into_iter()
            .flat_map(u64::to_le_bytes)
            .collect()
    }

    pub(super) fn decode(from: &mut impl Read) -> io::Result<Self> {
        let parent = u32::try_from(number(from)?).map_err(io::Error::other)?;
        Ok(Self {
            parent,
            memory: number(from)?,
            seconds: number(from)?,
            gives_way: number(from)? != 0,
        })
    }
}

/// The next question; None: there are no more.
pub(super) fn question(from: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut first = [0];
    if from.read(&mut first)? == 0 {
        return Ok(None);
    }
    let length = number(&mut first.as_slice().chain(&mut *from))?;
    let mut question = Vec::new();
    from.take(length).read_to_end(&mut question)?;
    match question.len() as u64 == length {
        true => Ok(Some(question)),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// What goes before an answer of so many bytes.
pub(super) fn head(length: u64) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    let bytes = MARK.into_iter().chain(length.to_le_bytes());
    head.iter_mut()
        .zip(bytes)
        .for_each(|(place, byte)| *place = byte);
    head
}

/// How many bytes follow; None: this is the head of nothing of ours.
pub(super) fn length(head: &[u8; HEAD]) -> Option<u64> {
    let (mark, length) = head.split_first_chunk()?;
    let length = <[u8; 8]>::try_from(length).ok()?;
    (*mark == MARK).then(|| u64::from_le_bytes(length))
}

fn number(from: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_and_what_is_asked_arrive_as_they_were_given() {
        let preamble = Preamble {
            parent: 7,
            memory: 1 << 30,
            seconds: 60,
            gives_way: true,
        };
        let mut bytes = preamble.encode();
        for question in [&b"01234"[..], b"", b"5"] {
            bytes.extend((question.len() as u64).to_le_bytes());
            bytes.extend(question);
        }
        let mut from = bytes.as_slice();
        assert_eq!(Preamble::decode(&mut from).expect("it is whole"), preamble);
        for want in [&b"01234"[..], b"", b"5"] {
            let question = question(&mut from).expect("it is whole");
            assert_eq!(question.as_deref(), Some(want));
        }
        assert_eq!(question(&mut from).expect("there are no more"), None);
        assert!(Preamble::decode(&mut &bytes[..31]).is_err());
        for end in 33..45 {
            let cut = question(&mut &bytes[32..end]);
            assert!(cut.is_err(), "{end}");
        }
    }

    #[test]
    fn an_answer_begins_with_a_mark_and_its_length() {
        assert_eq!(length(&head(5)), Some(5));
        assert_eq!(length(&head(u64::MAX)), Some(u64::MAX));
        assert_eq!(length(b"y\ny\ny\ny\ny\ny\n"), None);
        assert_eq!(length(&[0; HEAD]), None);
    }
}

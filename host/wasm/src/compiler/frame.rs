//! What a compiler is told and what it answers, as bytes.
//!
//! Both ends are the same program, so there are no versions. A frame that is cut short is no answer.

use std::io::{self, Read};

/// Bytes before the text of an answer.
pub(super) const HEAD: usize = 9;
const CODE: u8 = 1;
const REFUSED: u8 = 2;

/// What is to be done, and within which limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    /// Who waits for the answer; nobody else does.
    pub(super) parent: u32,
    /// Bytes of address space that the code may expect to be reserved for a memory.
    pub(super) reservation: u64,
    /// Bytes of address space for the compiler.
    pub(super) memory: u64,
    /// Seconds of processor time for the compiler.
    pub(super) seconds: u64,
}

impl Order {
    /// What goes before `component` bytes of component.
    pub(super) fn encode(&self, component: usize) -> Vec<u8> {
        [
            u64::from(self.parent),
            self.reservation,
            self.memory,
            self.seconds,
            component as u64,
        ]
        .into_iter()
        .flat_map(u64::to_le_bytes)
        .collect()
    }

    /// The order and how many bytes of component follow it.
    pub(super) fn decode(from: &mut impl Read) -> io::Result<(Self, u64)> {
        let mut number = || {
            let mut bytes = [0; 8];
            from.read_exact(&mut bytes)?;
            Ok::<_, io::Error>(u64::from_le_bytes(bytes))
        };
        let parent = u32::try_from(number()?).map_err(io::Error::other)?;
        let order = Self {
            parent,
            reservation: number()?,
            memory: number()?,
            seconds: number()?,
        };
        Ok((order, number()?))
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Machine code.
    Code(Vec<u8>),
    /// Why not.
    Refused(String),
    /// It ended before it could say.
    None,
}

impl Answer {
    pub(super) fn encode(said: Result<Vec<u8>, String>) -> Vec<u8> {
        let (kind, text) = match said {
            Ok(code) => (CODE, code),
            Err(why) => (REFUSED, why.into_bytes()),
        };
        let mut frame = Vec::with_capacity(HEAD + text.len());
        frame.push(kind);
        frame.extend((text.len() as u64).to_le_bytes());
        frame.extend(text);
        frame
    }

    pub(super) fn decode(mut frame: Vec<u8>) -> Self {
        let Some((&[kind, ref length @ ..], text)) = frame.split_first_chunk::<HEAD>() else {
            return Self::None;
        };
        if u64::from_le_bytes(*length) != text.len() as u64 {
            return Self::None;
        }
        frame.drain(..HEAD);
        match kind {
            CODE => Self::Code(frame),
            REFUSED => Self::Refused(String::from_utf8_lossy(&frame).into_owned()),
            _ => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_arrives_as_it_was_given() {
        let order = Order {
            parent: 7,
            reservation: 1 << 27,
            memory: 1 << 30,
            seconds: 60,
        };
        let mut bytes = order.encode(5);
        bytes.extend(b"01234");
        let mut from = bytes.as_slice();
        let decoded = Order::decode(&mut from).expect("it is whole");
        assert_eq!((decoded, from), ((order, 5), b"01234".as_slice()));
        assert!(Order::decode(&mut &bytes[..39]).is_err());
    }

    #[test]
    fn an_answer_that_is_cut_short_is_none() {
        let code = Answer::encode(Ok(vec![1, 2, 3]));
        assert_eq!(Answer::decode(code.clone()), Answer::Code(vec![1, 2, 3]));
        let why = Answer::encode(Err("no".to_owned()));
        assert_eq!(Answer::decode(why), Answer::Refused("no".to_owned()));
        for end in 0..code.len() {
            assert_eq!(Answer::decode(code[..end].to_vec()), Answer::None, "{end}");
        }
        let mut longer = code;
        longer.push(4);
        assert_eq!(Answer::decode(longer), Answer::None);
    }
}

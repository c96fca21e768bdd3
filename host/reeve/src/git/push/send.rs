//! One command of git's older protocol: move this branch from there to here, with this pack.
//!
//! The commit the branch is to be at now goes with the command, so a server never moves a branch that somebody else moved:
//! there is no word here for doing it anyway. A branch that is to go is moved to nowhere, and needs no pack. What it deliberately
//! doesn't: move more than one branch, or read a second answer.

use std::io::Write as _;
use std::sync::Arc;

use gix::{ObjectId, hash};
use gix_protocol::transport::client::blocking_io::ReadlineBufRead;
use gix_protocol::transport::client::{Capabilities, MessageKind, WriteMode};

use super::Error;
use super::report::Answer;
use crate::git::Cause;
use crate::git::session::{Session, agent};
use crate::git::wire::{Wire, printable};

/// What is asked of the server.
pub(super) struct Order<'a> {
    /// The branch by its full name.
    pub(super) reference: &'a str,
    /// Where it is; nowhere when it is to be made.
    pub(super) old: Option<ObjectId>,
    /// Where it is to be; null when it is to go.
    pub(super) new: ObjectId,
    /// What a hook of the server is told.
    pub(super) options: &'a [String],
    pub(super) pack: &'a [u8],
}

/// Of what a server says about it.
const MAX_ANSWER: u64 = 4 << 20;
/// What is given to the connection at once, between looks at the clock.
const PIECE: usize = 64 << 10;

/// Gives the order, and hears the answer to its end.
pub(super) fn send(session: &mut Session, order: &Order<'_>) -> Result<Answer, Error> {
    let hash = session.object_hash()?;
    let wanted = wanted(
        &session.handshake.capabilities,
        order,
        hash,
        &session.wire.url(),
    )?;
    let wire = Arc::clone(&session.wire);
    wire.accept("the server's answer is larger", MAX_ANSWER);
    let broken = |error: &dyn std::error::Error| wire.cause("sending the commit", error);
    let request = session
        .transport
        .request(WriteMode::Binary, MessageKind::Flush, false);
    let mut request = request.map_err(|error| broken(&error))?;
    let asked = (|| {
        let none = || hash.null();
        let old = order.old.unwrap_or_else(none);
        let command = format!(
            "{old} {} {}\0 {}",
            order.new,
            order.reference,
            wanted.join(" ")
        );
        request.write_all(command.as_bytes())?;
        request.write_message(MessageKind::Flush)?;
        if !order.options.is_empty() {
            for option in order.options {
                request.write_all(option.as_bytes())?;
            }
            request.write_message(MessageKind::Flush)?;
        }
        let (mut raw, reader) = request.into_parts();
        for piece in order.pack.chunks(PIECE) {
            raw.write_all(piece)?;
        }
        raw.flush()?;
        // Over HTTP the request goes when the answer is read, and must be whole by then.
        drop(raw);
        Ok::<_, std::io::Error>(reader)
    })();
    let mut reader = asked.map_err(|error| broken(&error))?;
    let banded = wanted.iter().any(|word| word == "side-band-64k");
    Ok(hear(&mut *reader, banded, &wire)?)
}

/// The words of the command that say how the answer is to come. Without a report nothing would be known of it.
fn wanted(
    offered: &Capabilities,
    order: &Order<'_>,
    hash: hash::Kind,
    url: &str,
) -> Result<Vec<String>, Error> {
    let mut wanted = Vec::new();
    let reports = ["report-status-v2", "report-status"];
    let Some(report) = reports.iter().find(|word| offered.contains(word)) else {
        return Err(Error::Transfer(Cause::Protocol {
            url: url.to_owned(),
            why: "it does not report what becomes of a push".to_owned(),
        }));
    };
    wanted.push((*report).to_owned());
    for word in ["side-band-64k", "quiet"] {
        wanted.extend(offered.contains(word).then(|| word.to_owned()));
    }
    if !order.options.is_empty() {
        if !offered.contains("push-options") {
            return Err(Error::NoOptions(url.to_owned()));
        }
        wanted.push("push-options".to_owned());
    }
    if offered.contains("object-format") {
        wanted.push(format!("object-format={hash}"));
    }
    if let (true, (name, Some(value))) = (offered.contains("agent"), agent()) {
        wanted.push(format!("{name}={value}"));
    }
    Ok(wanted)
}

/// Reads until the server has said all. What comes after a whole report, and be it an error, changes nothing of it.
fn hear(reader: &mut dyn ReadlineBufRead, banded: bool, wire: &Wire) -> Result<Answer, Cause> {
    let mut answer = Answer::default();
    let broken: Option<Cause> = loop {
        let packet = match reader.readline() {
            None => break None,
            Some(Ok(Ok(packet))) => packet,
            Some(Ok(Err(error))) => break Some(wire.cause("waiting for the report", &error)),
            Some(Err(error)) => break Some(wire.cause("waiting for the report", &error)),
        };
        let packet = packet.as_slice().unwrap_or_default();
        if banded {
            answer.take_banded(packet);
        } else {
            answer.take_line(packet);
        }
    };
    match broken {
        Some(cause) if !answer.is_whole() => Err(cause),
        _ => Ok(answer),
    }
}

/// What is told when an answer came to its end, and says nothing of the branch.
pub(super) fn silent(answer: &Answer, url: String) -> Cause {
    let said = printable(&answer.said());
    if said.is_empty() {
        let why = "it did not say what became of the push".to_owned();
        Cause::Protocol { url, why }
    } else {
        Cause::GaveUp { url, said }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(offered: &str, options: &[String]) -> Result<Vec<String>, Error> {
        let (offered, _) = Capabilities::from_bytes(format!("\0{offered}").as_bytes()).unwrap();
        let hash = hash::Kind::Sha1;
        let order = Order {
            reference: "refs/heads/main",
            old: None,
            new: hash.null(),
            options,
            pack: &[],
        };
        wanted(&offered, &order, hash, "https://h/r")
    }

    #[test]
    fn no_more_is_asked_for_than_the_server_has() {
        let git = "report-status report-status-v2 delete-refs side-band-64k quiet atomic ofs-delta \
                   object-format=sha1 agent=git/2.39.5";
        let agent = concat!("agent=reeve/", env!("CARGO_PKG_VERSION"));
        let all = [
            "report-status-v2",
            "side-band-64k",
            "quiet",
            "object-format=sha1",
            agent,
        ];
        assert_eq!(words(git, &[]).unwrap(), all);
        assert_eq!(words("report-status", &[]).unwrap(), ["report-status"]);
        let silent = words("side-band-64k ofs-delta", &[]).unwrap_err();
        assert!(
            matches!(silent, Error::Transfer(Cause::Protocol { .. })),
            "{silent}"
        );
    }

    #[test]
    fn options_that_a_server_would_not_hear_are_an_error() {
        let options = ["ci.skip".to_owned()];
        let refused = words("report-status", &options).unwrap_err();
        assert!(matches!(refused, Error::NoOptions(_)), "{refused}");
        let taken = words("report-status push-options", &options).unwrap();
        assert_eq!(taken, ["report-status", "push-options"]);
    }
}

//! A commit that is not here yet comes here: shallow, incremental, bounded.
//!
//! Asked for is the one commit; told is which commits are here, so that only what differs is sent. The pack is written
//! beside the others (`pack`) and becomes visible whole or not at all, and the commit counts as being here only after each of
//! its files was seen. Where only parts are wanted, `partial` asks for these. What it deliberately doesn't: keep history,
//! write a work tree, or resolve a reference. The next stage is [`Snapshot`](super::Snapshot).

mod asked;
mod pack;
mod partial;

use std::cell::Cell;
use std::io::Read as _;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use gix::ObjectId;
use gix::progress::DynNestedProgress;
use gix_protocol::fetch::{Context, Options, Shallow, Tags};
use gix_protocol::transport::Protocol;
use tokio::runtime::Handle;

pub(super) use self::asked::Asked;
use self::pack::Press;
use super::branch::{self, Asking};
use super::heard::Heard;
use super::mirror::{Generation, Mirror};
use super::session::{Session, agent, blocking};
use super::shelf::Purse;
use super::snapshot::{self, Content, Received, Snapshot};
use super::transport::Lines;
use super::verify::{self, NamedTag};
use super::wire::{Terms, rounded};
use super::{Cause, Error, Limits, Mirrors, Remote, Resolved};
use crate::disk::Over;

/// The files of the commit that `resolved` found that `content` asks for, without those that it (or Flux's defaults) ignores.
///
/// Fetches only if the commit isn't in the mirror; one fetch at a time for each remote.
///
/// # Errors
/// When the commit can't be had within the deadline and the limits, or holds what is refused.
pub async fn fetch(
    mirrors: &Mirrors,
    remote: &Arc<Remote>,
    resolved: Resolved,
    content: Content,
    deadline: Instant,
    limits: &Limits,
) -> Result<Snapshot, Error> {
    let mirror = mirrors.of(remote);
    let lines = mirror.lines(remote)?;
    let given = deadline.saturating_duration_since(Instant::now());
    let lock = tokio::time::timeout_at(deadline.into(), mirror.lock()).await;
    let lock = lock.map_err(|_| Cause::Deadline {
        doing: "waiting for another fetch of the same repository",
        after: rounded(given),
    })?;
    let greeting = lines.greeting.clone();
    let partial = partial::is_wanted(&content).then(|| mirrors.partial_of(remote));
    let work = Work {
        mirror,
        partial,
        remote: Arc::clone(remote),
        lines,
        content,
        limits: limits.clone(),
        purse: mirrors.purse(),
        bytes: AtomicU64::new(0),
        objects: AtomicU64::new(0),
        written: AtomicU64::new(0),
    };
    let done = blocking(
        mirrors.permits(),
        deadline,
        "fetching",
        move |runtime, terms| {
            // Held by the thread: a caller who gives up doesn't let the next one in beside it.
            let _lock = lock;
            work.run(resolved, runtime, terms)
        },
    );
    let done = done.await;
    if done.is_err() {
        // If what it said first does not hold any more, the next try hears what does.
        greeting.forget();
    }
    Ok(done?)
}

struct Work {
    /// Its lock is held: for the other one too.
    mirror: Arc<Mirror>,
    /// The one that has parts, where parts are enough.
    partial: Option<Arc<Mirror>>,
    remote: Arc<Remote>,
    lines: Lines,
    content: Content,
    limits: Limits,
    /// What pays for what is written.
    purse: Purse,
    /// What came.
    bytes: AtomicU64,
    objects: AtomicU64,
    /// What was written, and is not in the books yet.
    written: AtomicU64,
}

impl Work {
    fn run(self, mut resolved: Resolved, runtime: Handle, terms: Terms) -> Result<Snapshot, Cause> {
        let begun = Instant::now();
        if let Some(read) = self.here(&resolved, &terms) {
            return read;
        }
        // Whose server has answered comes into what is fetched into now.
        if resolved.session.is_none()
            && let Some(read) = self.before(&resolved, &terms)
        {
            return Ok(read);
        }
        let open = || {
            let (lines, runtime) = (self.lines.clone(), runtime.clone());
            Session::open(&self.remote, lines, runtime, terms.clone(), &self.limits)
        };
        let mut session = match resolved.session.take() {
            Some(session) => {
                session.wire.rearm(terms.clone());
                session
            }
            None => open()?,
        };
        if let Some(partial) = &self.partial
            && partial::is_offered(&session)
        {
            let mut parts = self.parts(partial, &mut session, &resolved, begun, &terms);
            if let Err(cause) = &parts
                && self.gives_up(partial, cause)
            {
                session = open()?;
                parts = self.parts(partial, &mut session, &resolved, begun, &terms);
            }
            match parts {
                Ok(Some(snapshot)) => return Ok(snapshot),
                Err(cause) if !partial::is_refusal(&cause) => return Err(cause),
                // All of it, then.
                Ok(None) | Err(_) => session = open()?,
            }
        }
        self.all(session, &resolved, begun, &terms, &open)
    }

    /// The commit with all its files, over a conversation that has begun, or another if it cannot go on.
    fn all(
        &self,
        mut session: Session,
        resolved: &Resolved,
        begun: Instant,
        terms: &Terms,
        open: &dyn Fn() -> Result<Session, Cause>,
    ) -> Result<Snapshot, Cause> {
        let generation = self.mirror.writable(session.object_hash()?)?;
        let asking = self.ask(&generation, &mut session, resolved)?;
        if asking.is_some() && session.handshake.server_protocol_version != Protocol::V2 {
            // One conversation, one question.
            session = open()?;
        }
        if let Err(cause) = self.bring(&generation, &mut session, resolved) {
            return match self.gives_up(&self.mirror, &cause) {
                true => self.all(open()?, resolved, begun, terms, open),
                false => Err(cause),
            };
        }
        session.end();
        self.settle_branch(&generation, asking, resolved, terms)?;
        let tag = verify::tag(&generation, resolved, &self.limits)?;
        let (content, limits) = (&self.content, &self.limits);
        let reached = (tag, Some(self.received(begun)));
        let read = read(&generation, resolved, reached, content, limits, terms);
        match &read {
            Ok(_) => {
                self.purse.uses(&generation);
                let remembered = generation.remember(resolved.commit);
                remembered.map_err(|error| Cause::Mirror {
                    doing: "written",
                    why: error.to_string(),
                })?;
            }
            // The server left something out, or sent what can't be read: nothing here can be built upon.
            Err(Cause::Mirror { .. } | Cause::Protocol { .. }) => self.mirror.retire(),
            Err(_) => {}
        }
        read
    }

    /// Whether the mirror begins anew since what was fetched into it before has taken the room of what is wanted now.
    fn gives_up(&self, mirror: &Mirror, cause: &Cause) -> bool {
        let is_full =
            matches!(cause, Cause::Storage(over) if matches!(**over, Over::Tenant { .. }));
        let current = mirror.current().filter(|_| is_full);
        let gives_up = current
            .is_some_and(|current| current.may_be_given_up(self.purse.is_alone_in(&current)));
        if gives_up {
            mirror.retire();
        }
        gives_up
    }

    /// What is in a mirror already, if all that is wanted is.
    fn here(&self, resolved: &Resolved, terms: &Terms) -> Option<Result<Snapshot, Cause>> {
        for mirror in [Some(&self.mirror), self.partial.as_ref()] {
            let Some(current) = mirror.and_then(|mirror| mirror.current()) else {
                continue;
            };
            match from_mirror(&current, resolved, &self.content, &self.limits, terms) {
                // The disk lost something, or these parts were never wanted before; what follows fetches it.
                Some(Err(Cause::Mirror { .. })) => {
                    let whole = mirror.filter(|mirror| Arc::ptr_eq(mirror, &self.mirror));
                    whole.into_iter().for_each(|mirror| mirror.retire());
                }
                Some(read) => {
                    self.purse.uses(&current);
                    return Some(read);
                }
                None => {}
            }
        }
        None
    }

    /// What is in a mirror that was given up before this process, if all that is wanted is.
    fn before(&self, resolved: &Resolved, terms: &Terms) -> Option<Snapshot> {
        let mirrors = [Some(&self.mirror), self.partial.as_ref()];
        let mut older = mirrors.into_iter().flatten().flat_map(|it| it.older());
        older.find_map(|one| {
            let read = from_mirror(&one, resolved, &self.content, &self.limits, terms)?;
            read.ok().inspect(|_| self.purse.uses(&one))
        })
    }

    fn received(&self, begun: Instant) -> Received {
        Received {
            bytes: self.bytes.load(Ordering::Relaxed),
            objects: self.objects.load(Ordering::Relaxed),
            took: begun.elapsed(),
        }
    }

    /// Asks whether the commit is on the branch it should be on, unless that is known or doesn't matter.
    fn ask(
        &self,
        generation: &Generation,
        session: &mut Session,
        resolved: &Resolved,
    ) -> Result<Option<Asking>, Cause> {
        match &resolved.branch {
            Some(branch) if !is_where_it_should_be(generation, resolved) => {
                branch::ask(session, generation, resolved.commit, branch, &self.limits).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Walks where the server could not say, and remembers what is known of the commit's branch.
    fn settle_branch(
        &self,
        generation: &Generation,
        asking: Option<Asking>,
        resolved: &Resolved,
        terms: &Terms,
    ) -> Result<(), Cause> {
        let head = resolved.reference();
        let head = head.and_then(|name| name.strip_prefix("refs/heads/"));
        let (Some(branch), true) = (
            resolved.branch.as_deref().or(head),
            asking.is_some() || head.is_some(),
        ) else {
            return Ok(());
        };
        if let Some(Asking::Walk(tip)) = asking {
            let repository = generation.open(&self.limits)?.to_thread_local();
            branch::walk(&repository, tip, resolved.commit, branch, terms)?;
        }
        let remembered = generation.remember_on(resolved.commit, branch);
        remembered.map_err(|error| Cause::Mirror {
            doing: "written",
            why: error.to_string(),
        })
    }

    /// Fetches the commit, and if the server gives no commits by their id, the history it is in.
    fn bring(
        &self,
        generation: &Generation,
        session: &mut Session,
        resolved: &Resolved,
    ) -> Result<(), Cause> {
        let listed = match &session.handshake.refs {
            Some(refs) if session.handshake.server_protocol_version != Protocol::V2 => refs,
            // The newer protocol gives any commit by its id.
            _ => return self.receive_commit(generation, session, resolved.want, Depth::Tip),
        };
        let ids = listed.iter().filter_map(super::session::target);
        let mut advertised = ids.map(|(name, _, id)| (name, id));
        if advertised.any(|(_, id)| id == resolved.want) {
            return self.receive_commit(generation, session, resolved.want, Depth::Tip);
        }
        let name = resolved
            .branch
            .as_ref()
            .map(|branch| format!("refs/heads/{branch}"));
        let name = name.unwrap_or_else(|| "HEAD".to_owned());
        let mut targets = listed.iter().filter_map(super::session::target);
        let tip = targets.find(|(n, ..)| *n == name).map(|(.., id)| id);
        let tip = tip.ok_or(Cause::NoRef(name))?;
        self.receive_commit(generation, session, tip, Depth::Whole)
    }

    fn receive_commit(
        &self,
        generation: &Generation,
        session: &mut Session,
        want: ObjectId,
        depth: Depth,
    ) -> Result<(), Cause> {
        let asked = Asked {
            wants: vec![want],
            have: generation.told(),
            without_files: false,
        };
        let received = self.receive(generation, session, asked, depth);
        received.map_err(|cause| absent(cause, want))
    }

    fn receive(
        &self,
        generation: &Generation,
        session: &mut Session,
        mut asked: Asked,
        depth: Depth,
    ) -> Result<(), Cause> {
        let repository = generation.open(&self.limits)?.to_thread_local();
        let wire = Arc::clone(&session.wire);
        let flag = wire.terms().flag();
        wire.accept("the pack is larger", self.limits.pack_bytes);
        wire.pay_with(Some(self.purse.begin(generation)));
        let (shallow, shallow_file) = match depth {
            Depth::Tip => (
                Shallow::DepthAtRemote(NonZeroU32::MIN),
                generation.shallow_file(),
            ),
            Depth::Whole => (Shallow::undo(), generation.shallow_file()),
            Depth::Files => (Shallow::NoChange, generation.no_shallow_file()),
        };
        let options = Options {
            shallow_file,
            shallow: &shallow,
            tags: Tags::None,
            reject_shallow_remote: false,
        };
        let context = Context {
            handshake: &mut session.handshake,
            transport: &mut session.transport,
            user_agent: agent(),
            trace_packetlines: false,
        };
        let consume = |pack: &mut dyn std::io::BufRead,
                       progress: &mut dyn DynNestedProgress,
                       flag: &AtomicBool| {
            self.write(generation, &repository, pack, progress, flag, &wire)
        };
        let heard = Heard(Arc::clone(&wire));
        let done = gix_protocol::fetch(&mut asked, consume, heard, &flag, context, options);
        self.bytes.fetch_add(wire.taken(), Ordering::Relaxed);
        generation.measure();
        wire.pay_with(None);
        // Whoever has had it written has it, whatever is found in it.
        let written = self.written.swap(0, Ordering::Relaxed);
        self.purse.wrote(generation, written);
        match done {
            Ok(_) => Ok(()),
            Err(error) => Err(wire.cause("receiving the commit", &error)),
        }
    }

    /// Writes the pack, after a look at how many objects it claims to have.
    fn write(
        &self,
        generation: &Generation,
        repository: &gix::Repository,
        pack: &mut dyn std::io::BufRead,
        progress: &mut dyn DynNestedProgress,
        flag: &AtomicBool,
        wire: &super::wire::Wire,
    ) -> gix::error::Result<bool> {
        let (header, objects) = head(pack)?;
        if objects > self.limits.objects {
            let cap = self.limits.objects.to_string();
            let failed = wire.fail(Cause::TooMuch {
                what: "the pack has more objects",
                cap,
            });
            return Err(gix::Error::from_error(failed));
        }
        self.objects.fetch_add(objects.into(), Ordering::Relaxed);
        let press = Press {
            generation,
            repository,
            limits: &self.limits,
            wire,
            flag,
            whose: self.purse.whose(),
            paid: Cell::default(),
        };
        let files = press.write(&mut header.chain(pack), progress)?;
        let sizes = files.iter().filter_map(|file| file.metadata().ok());
        let bytes: u64 = sizes.map(|about| about.len()).sum();
        // What no entry told of: the ends of the pack and of its index.
        if let Err(over) = press.pay_for(bytes) {
            files.iter().try_for_each(std::fs::remove_file).ok();
            return Err(gix::Error::from_error(over));
        }
        self.written.fetch_add(bytes, Ordering::Relaxed);
        Ok(true)
    }
}

/// The commit, if it is here with all its files and what else is wanted of it.
pub(super) fn from_mirror(
    generation: &Arc<Generation>,
    resolved: &Resolved,
    content: &Content,
    limits: &Limits,
    terms: &Terms,
) -> Option<Result<Snapshot, Cause>> {
    let here =
        generation.tips().contains(&resolved.commit) && is_where_it_should_be(generation, resolved);
    let tag = verify::tag(generation, resolved, limits);
    let tag = tag.ok().filter(|_| here)?;
    let reached = (tag, None);
    Some(read(generation, resolved, reached, content, limits, terms))
}

fn read(
    generation: &Arc<Generation>,
    resolved: &Resolved,
    (tag, received): (Option<NamedTag>, Option<Received>),
    content: &Content,
    limits: &Limits,
    terms: &Terms,
) -> Result<Snapshot, Cause> {
    let from = snapshot::Source {
        tag,
        received,
        generation: Arc::clone(generation),
        revision: resolved.revision().clone(),
        commit: resolved.commit,
    };
    snapshot::read(from, content, limits, terms)
}

/// Whether the commit is known to be on the branch that it was asked for on, if it was.
fn is_where_it_should_be(generation: &Generation, resolved: &Resolved) -> bool {
    let branch = resolved.branch.as_ref();
    branch.is_none_or(|branch| generation.was_on(resolved.commit, branch))
}

/// The first bytes of a pack, and how many objects it claims to have.
pub(super) fn head(pack: &mut dyn std::io::BufRead) -> gix::error::Result<([u8; 12], u32)> {
    // `PACK`, the version, the number of objects; each four bytes.
    let mut header = [0; 12];
    pack.read_exact(&mut header)
        .map_err(gix::Error::from_error)?;
    let [.., a, b, c, d] = header;
    Ok((header, u32::from_be_bytes([a, b, c, d])))
}

#[derive(Clone, Copy)]
enum Depth {
    /// The commit, without those before it.
    Tip,
    /// The commit with all before it.
    Whole,
    /// Files, which have no history.
    Files,
}

/// Older servers say no in so many words, newer ones that it is "not our ref".
pub(super) fn absent(cause: Cause, want: ObjectId) -> Cause {
    match cause {
        Cause::Protocol { why, .. } if why.contains("not our ref") => {
            Cause::NoCommit(want.to_string())
        }
        cause => cause,
    }
}

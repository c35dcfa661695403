//! The thread that makes all decisions: it takes one input at a time, passes it to the core and carries out the
//! actions.
//!
//! It never waits. It writes as much of each message as the socket accepts ([`link`](crate::shell::link)); dials and
//! files have their own threads.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::BuildHasherDefault;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

use crate::config::Config;
use crate::core::Core;
use crate::core::action::{Action, DialTarget};
use crate::core::event::{CloseReason, DialError, Event};
use crate::core::fact::{Fact, Limit};
use crate::core::memory::Memory;
use crate::ledger::Ledger;
use crate::observe::latest::LatestSnapshot;
use crate::observe::metrics::Side;
use crate::shell::accept::{Door, check_own};
use crate::shell::blocks::Note;
use crate::shell::flush::Flush;
use crate::shell::inbox::{Context, Input};
use crate::shell::link::{LINGER, Linger, Link};
use crate::shell::pace::{self, Pace};
use crate::shell::socket::OutboxFull;
use crate::shell::standstill::Standstill;
use crate::stratum::codec::Encode;
use crate::stratum::job::StableHasher;
use crate::system::clock::{clock, now};
use crate::system::room::Room;
use crate::units::{LinkId, MinerId, Now, PoolConn};

/// How often the memory is passed to the store.
const SAVE_EVERY: Duration = Duration::from_secs(30);

/// A turn that takes longer is reported.
const SLOW_TURN: Duration = Duration::from_millis(50);

/// The write buffer shrinks to this size, in bytes.
const USUAL_WRITE: usize = 64 * 1024;

/// Starts dialing a pool without waiting for it: [`dial`](crate::shell::dial::dial).
pub type DialFn = Box<dyn Fn(PoolConn, Arc<DialTarget>, &Context) -> io::Result<()> + Send>;

/// The scheduler thread's own state.
pub struct Scheduler {
    core: Core,
    inbox: Receiver<Input>,
    context: Context,
    dial: DialFn,
    doors: Vec<Door>,
    links: HashMap<LinkId, Link, BuildHasherDefault<StableHasher>>,
    linger: Linger,
    flush: Flush,
    outgoing: Outgoing,
    /// Pool connections whose last event has not arrived yet.
    standing: HashSet<PoolConn>,
    /// Those that are being dialed.
    dialing: HashSet<PoolConn>,
    room: Room,
    published: Arc<LatestSnapshot>,
    store: Sender<Memory>,
    standstill: Standstill,
    blocks: Sender<Note>,
    ledger: Arc<Ledger>,
    actions: Vec<Action>,
    pace: Pace,
    /// Who gets an answer once the changes are published.
    unanswered: Vec<Sender<()>>,
    save_at: Instant,
    /// Whether anything happened since the last save.
    unsaved: bool,
}

/// Messages from one event to one peer, which are written together.
#[derive(Default)]
struct Outgoing {
    to: Option<LinkId>,
    bytes: Vec<u8>,
    messages: u32,
}

/// The parts of a scheduler.
pub struct Parts {
    /// The initial configuration.
    pub config: Arc<Config>,
    /// The memory of earlier runs.
    pub memory: Memory,
    /// Where inputs arrive.
    pub inbox: Receiver<Input>,
    /// What connections share.
    pub context: Context,
    /// How a pool is dialed.
    pub dial: DialFn,
    /// Writes the rest that sockets do not accept.
    pub flush: Flush,
    /// The ports for miners, closed when DPMP stops.
    pub doors: Vec<Door>,
    /// How many connections the system can serve.
    pub room: Room,
    /// Where the state is published.
    pub published: Arc<LatestSnapshot>,
    /// Where the memory is sent.
    pub store: Sender<Memory>,
    /// Where block candidates are sent.
    pub blocks: Sender<Note>,
    /// Gets the results of shares.
    pub ledger: Arc<Ledger>,
}

impl Scheduler {
    /// Creates the scheduler and carries out the core's first actions.
    pub fn new(parts: Parts) -> Self {
        let now = now();
        let mut actions = Vec::new();
        let core = Core::new(parts.config, parts.memory, now.unix_ms, now, &mut actions);
        Self {
            core,
            inbox: parts.inbox,
            context: parts.context,
            dial: parts.dial,
            doors: parts.doors,
            links: HashMap::default(),
            linger: Linger::default(),
            flush: parts.flush,
            outgoing: Outgoing::default(),
            standing: HashSet::new(),
            dialing: HashSet::new(),
            room: parts.room,
            published: parts.published,
            store: parts.store,
            standstill: Standstill::default(),
            blocks: parts.blocks,
            ledger: parts.ledger,
            actions,
            pace: Pace::new(now.at),
            unanswered: Vec::new(),
            save_at: now.at + SAVE_EVERY,
            unsaved: false,
        }
    }

    /// Runs until a stop is complete, and returns the memory to save. After a panic here, which was reported, it is the
    /// memory up to then.
    pub fn run(mut self) -> Memory {
        // At worst, the panic left one event's part of the totals incomplete.
        let _ = catch_unwind(AssertUnwindSafe(|| self.serve()));
        self.core.memory().corrected(now())
    }

    fn serve(&mut self) {
        self.perform(now());
        while !self.core.is_finished() {
            let input = self.wait();
            self.round(input, now());
        }
        self.last_words();
        self.published.set(self.core.snapshot(now()));
    }

    /// Does one round: handles at most one input.
    fn round(&mut self, input: Option<Input>, now: Now) {
        // Checked every time, because with a busy inbox no wait ever times out.
        let due = self.core.next_deadline();
        let heard = input.is_some();
        if self.standstill.may_judge(due, heard, now.at) {
            self.core.handle_deadline(now, &mut self.actions);
            self.perform(now);
        }
        if let Some(input) = input {
            self.take(input, now);
        }
        self.linger.cut_off(now.at);
        self.room
            .note_pools(self.standing.len() + self.dialing.len());
        self.publish(now);
    }

    /// Waits for an input or the next deadline. The inbox never ends: the scheduler itself holds a
    /// sender for the connections that it dials.
    fn wait(&self) -> Option<Input> {
        let save = self.unsaved.then_some(self.save_at);
        let core = self
            .standstill
            .next_deadline()
            .or(self.core.next_deadline());
        let linger = self.linger.next_deadline();
        let deadline = [core, Some(self.pace.due()), save, linger]
            .into_iter()
            .flatten()
            .min();
        match deadline {
            None => self.inbox.recv().ok(),
            Some(deadline) => self.inbox.recv_deadline(deadline).ok(),
        }
    }

    fn take(&mut self, input: Input, now: Now) {
        let (name, received) = (input.name(), input.received());
        if let Some(event) = self.event_of(input, now) {
            self.core.handle(event, now, &mut self.actions);
            self.perform(now);
        }
        self.unsaved = true;
        let took = clock().saturating_duration_since(now.at);
        let lag = received.map(|received| now.at.saturating_duration_since(received));
        self.context.observer.metrics.turn(took, lag);
        if took > SLOW_TURN {
            self.tell(&Fact::SlowTurn { event: name, took }, now);
        }
    }

    /// Handles what the core must not see, and passes on the rest.
    fn event_of(&mut self, input: Input, now: Now) -> Option<Event> {
        Some(match input {
            Input::MinerOpened { miner, peer, link } => {
                self.links.insert(LinkId::Miner(miner), link);
                Event::MinerOpened { miner, peer }
            }
            Input::MinerLine {
                miner,
                line: Ok(message),
                ..
            } => Event::MinerSent { miner, message },
            Input::MinerLine {
                miner,
                line: Err(error),
                ..
            } => Event::MinerMalformed { miner, error },
            Input::MinerClosed { miner, reason } => {
                let link = LinkId::Miner(miner);
                if reason == CloseReason::NotReading && self.links.contains_key(&link) {
                    self.tell_unread(miner, now);
                }
                self.close(link, now);
                Event::MinerClosed { miner, reason }
            }
            Input::PoolOpened { conn, link } => {
                self.links.insert(LinkId::Pool(conn), link);
                self.dialing.remove(&conn);
                self.standing.insert(conn);
                Event::PoolOpened { conn }
            }
            Input::PoolDialFailed { conn, error } => {
                self.dialing.remove(&conn);
                Event::PoolDialFailed { conn, error }
            }
            Input::PoolLine {
                conn,
                line: Ok(message),
                ..
            } => Event::PoolSent { conn, message },
            Input::PoolLine {
                conn,
                line: Err(error),
                ..
            } => Event::PoolMalformed { conn, error },
            Input::PoolClosed { conn, reason } => {
                self.close(LinkId::Pool(conn), now);
                self.standing.remove(&conn);
                Event::PoolClosed { conn, reason }
            }
            Input::Config { done } => {
                // The core applies it in this same turn, before any other input.
                let config = self.context.live.put_into_force();
                let _ = done.try_send(());
                let (config, by) = config?;
                self.context.observer.log.set_filter(&config.logging);
                Event::ConfigChanged(config, by)
            }
            Input::PayoutSeen(slot, changed) => Event::PayoutSeen { slot, changed },
            Input::BlockSeen(slot, found) => Event::BlockSeen { slot, found },
            Input::MissingSeen(worker) => Event::MissingSeen { worker },
            Input::Override { change, done } => {
                self.unanswered.push(done);
                Event::Override(change)
            }
            Input::OverrideEnded { workers, done } => {
                self.unanswered.push(done);
                Event::OverrideEnded(workers)
            }
            Input::PricesSet { prices, done } => {
                self.unanswered.push(done);
                Event::PricesSet(prices)
            }
            Input::Timetable(timetable) => Event::Timetable(timetable),
            Input::Report(fact) => {
                self.tell(&fact, now);
                return None;
            }
            Input::Stop(how) => Event::ShutdownRequested(how),
        })
    }

    /// Carries out the core's actions, including those that follow from dials that could not be started. This is a loop
    /// because after an outage, thousands of dials may fail one after another.
    fn perform(&mut self, now: Now) {
        let mut failed = VecDeque::new();
        loop {
            let mut actions = std::mem::take(&mut self.actions);
            for action in actions.drain(..) {
                self.carry_out(action, &mut failed, now);
            }
            self.write(now);
            self.actions = actions;
            // The next attempt comes after a pause, so this ends.
            let Some(event) = failed.pop_front() else {
                return;
            };
            self.core.handle(event, now, &mut self.actions);
        }
    }

    fn carry_out(&mut self, action: Action, failed: &mut VecDeque<Event>, now: Now) {
        match action {
            Action::SendMiner { miner, message } => {
                self.send(LinkId::Miner(miner), &message, now);
            }
            Action::SendPool { conn, message } => self.send(LinkId::Pool(conn), &message, now),
            Action::Dial { conn, target, own } => match self.dial(conn, target, own) {
                Ok(()) => drop(self.dialing.insert(conn)),
                Err(error) => failed.push_back(Event::PoolDialFailed { conn, error }),
            },
            Action::Close { link } => {
                self.write(now);
                self.close(link, now);
            }
            Action::Abort { link } => {
                self.write(now);
                self.abort(link, CloseReason::ByUs);
            }
            Action::KeepBlock(candidate) => self.keep_block(Note::Found(candidate)),
            Action::KeepAnswer { hash, outcome } => self.keep_block(Note::Answered {
                hash,
                unix_ms: now.unix_ms,
                answer: outcome.answer(),
            }),
            Action::SaveState => {
                self.save_at = now.at;
                self.pace.hurry(now.at);
                self.unsaved = true;
            }
            Action::StopListening => {
                for door in self.doors.drain(..) {
                    door.stop();
                }
            }
            // It is reported once the file is on the disk.
            Action::Report(fact @ Fact::BlockFound { .. }) => {
                let sent = self.blocks.try_send(Note::Tell(Box::new(fact), now));
                if let Err(error) = sent {
                    if let Note::Tell(fact, _) = error.into_inner() {
                        self.tell(&fact, now);
                    }
                }
            }
            Action::Report(fact) => self.tell(&fact, now),
        }
    }

    /// Dials a pool. `own`: for one miner, which many may not have.
    fn dial(&self, conn: PoolConn, target: Arc<DialTarget>, own: bool) -> Result<(), DialError> {
        if own {
            let pools = self.standing.len() + self.dialing.len();
            let miners = self.links.len().saturating_sub(self.standing.len());
            let [miners, pools] = [miners, pools].map(|it| u64::try_from(it).unwrap_or(u64::MAX));
            check_own(&self.room, &self.context.live.get(), miners, pools)
                .map_err(DialError::NoRoom)?;
        }
        let started = (self.dial)(conn, target, &self.context);
        started.map_err(|error| DialError::Unreachable(error.to_string()))
    }

    /// If the disk is too slow for a test network's blocks, some are missed.
    fn keep_block(&self, note: Note) {
        let _ = self.blocks.try_send(note);
    }

    /// Queues a message, to be written together with others for the same peer.
    fn send(&mut self, link: LinkId, message: &impl Encode, now: Now) {
        if self.outgoing.to != Some(link) {
            self.write(now);
            self.outgoing.to = Some(link);
        }
        message.encode(&mut self.outgoing.bytes);
        self.outgoing.messages += 1;
    }

    /// Writes the queued messages.
    fn write(&mut self, now: Now) {
        let Outgoing {
            to,
            bytes,
            messages,
        } = &mut self.outgoing;
        let (Some(id), count) = (to.take(), std::mem::take(messages)) else {
            return;
        };
        let side = match id {
            LinkId::Miner(_) => Side::Downstream,
            LinkId::Pool(_) => Side::Upstream,
        };
        let sent = self
            .links
            .get(&id)
            .map(|link| link.send(bytes, &self.flush));
        bytes.clear();
        bytes.shrink_to(USUAL_WRITE);
        match sent {
            Some(Ok(())) => self.context.observer.metrics.lines_written(side, count),
            Some(Err(OutboxFull)) => self.cut_off(id, now),
            // Its last event has arrived.
            None => (),
        }
    }

    /// Ends the connection of a peer that does not read.
    fn cut_off(&mut self, link: LinkId, now: Now) {
        self.abort(link, CloseReason::NotReading);
        if let LinkId::Miner(miner) = link {
            self.tell_unread(miner, now);
        }
    }

    /// Reports that a miner was disconnected because it does not read.
    fn tell_unread(&mut self, miner: MinerId, now: Now) {
        if let Some(peer) = self.core.peer(miner) {
            let limit = Limit::OutboxFull;
            self.tell(
                &Fact::LimitReached {
                    miner: Some(miner),
                    peer,
                    limit,
                },
                now,
            );
        }
    }

    fn close(&mut self, link: LinkId, now: Now) {
        if let Some(link) = self.links.remove(&link) {
            self.linger.close(link, now.at);
        }
    }

    fn abort(&mut self, link: LinkId, reason: CloseReason) {
        if let Some(link) = self.links.remove(&link) {
            link.abort(reason);
        }
    }

    fn tell(&self, fact: &Fact, now: Now) {
        if let Fact::ShareResult(share) = fact {
            self.ledger.note(share);
        }
        if matches!(fact, Fact::ConfigApplied { .. }) {
            // The snapshot is from before the change.
            self.ledger.keep_names(&self.published.get());
        }
        self.context.observer.observe(fact, now);
    }

    fn publish(&mut self, now: Now) {
        if self.pace.due() <= now.at || !self.unanswered.is_empty() {
            let began = clock();
            self.published.set(self.core.snapshot(now));
            self.pace.made(began, clock());
            for done in self.unanswered.drain(..) {
                let _ = done.try_send(());
            }
        }
        if self.unsaved && self.save_at <= now.at {
            if self.store.is_full() {
                // It is still busy with the previous one.
                self.save_at = now.at + pace::EVERY;
            } else {
                let _ = self.store.try_send(self.core.memory().corrected(now));
                self.save_at = now.at + SAVE_EVERY;
                self.unsaved = false;
            }
        }
    }

    /// Closes all connections, and waits a moment until the pools have read the last messages.
    fn last_words(&mut self) {
        self.links.clear();
        let until = clock() + LINGER;
        while !self.standing.is_empty() {
            match self.inbox.recv_deadline(until) {
                Ok(Input::PoolClosed { conn, .. }) => {
                    self.standing.remove(&conn);
                }
                Ok(_) => (),
                Err(_) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests;

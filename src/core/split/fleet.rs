//! The split of a whole fleet: most miners stay on one pool, and a few take turns to make up the difference.
//!
//! - Work is *expected* work: hashrate × time. Shares only serve to estimate the hashrate; following them directly
//!   would mean chasing luck.
//! - The fleet's error is the excess of work that A got. It is corrected slowly, by the turn-takers' split and, if that
//!   is not enough, by new roles.
//! - Roles change only if the turn-takers cannot reach the target by more than the hashrates vary, or if another
//!   assignment needs far fewer switches.
//! - There is no clock and no randomness here.

mod assignment;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::config::steering::Work;
use crate::core::stats::meter::HASHES_PER_DIFFICULTY;
use crate::units::{MinerId, PerPool, PoolSlot, later};

use assignment::{Assignment, Piece, Role};

/// How long it takes to correct most of the error, in seconds.
const PULL: f64 = 3600.0;

/// Up to this error, only the turn-takers' split changes, in seconds of the whole fleet.
const SLACK: f64 = 40.0;

/// How many switches an hour another assignment must save.
const WORTH: f64 = 20.0;

/// The part of the work by which the split may be off, in addition to the turns.
const ALLOWED: f64 = 0.01;

/// The time for which the error and the moves are shown.
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The length of the spans into which the day is divided.
const SPAN: Duration = Duration::from_secs(900);

/// A working miner, as the fleet sees it. Paused miners are not members.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    /// The miner.
    pub id: MinerId,
    /// Hashes per second, over the last hour if it has been connected for that long.
    pub hashrate: f64,
    /// The usual error of this estimate, in hashes per second.
    pub waver: f64,
    /// Whether the estimate is reliable.
    pub known: bool,
    /// Whether it may take turns.
    pub may_take_turns: bool,
    /// Whether it keeps working on old jobs after a switch.
    pub lags: bool,
    /// The part of its work that should go to A by its own setting, from 0 to 1; `None`: it works for the fleet's
    /// split.
    pub own_share_a: Option<f64>,
    /// Seconds of work for each pool so far.
    pub seconds: PerPool<f64>,
    /// The error of its schedule, in seconds, which it corrects itself.
    pub turn_error: f64,
}

/// The target, and the means to reach it.
#[derive(Clone, Copy, Debug)]
pub struct FleetRules {
    /// The part of all work that should go to A, from 0 to 1.
    pub share_a: f64,
    /// The intended shorter turn, in seconds.
    pub slice: f64,
    /// The maximum number of miners that take turns; `None`: all.
    pub most_takers: Option<usize>,
    /// The shortest time between two moves of a miner.
    pub assign: Duration,
    /// How much lost time is made up for, in seconds.
    pub catch_up: f64,
    /// Whether both pools have work.
    pub both: bool,
    /// Whether the time until now does not count.
    pub frozen: bool,
}

/// What a member should do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Place {
    /// It works for one pool.
    Stay(PoolSlot),
    /// It takes turns.
    Turns {
        /// The part of its time for A, from 0 to 1.
        share_a: f64,
        /// The shorter turn, in seconds.
        slice: f64,
    },
}

impl Place {
    /// The resulting work.
    pub fn work(self) -> Work {
        match self {
            Self::Stay(slot) => Work::only(slot),
            Self::Turns { share_a, .. } => Work::Split(PerPool::new(share_a, 1.0 - share_a)),
        }
    }
}

/// The fleet's state for readers outside the core.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FleetView {
    /// Miners that take turns for the fleet, or until their hashrate is known.
    pub turn_takers: Vec<MinerId>,
    /// Miners with their own settings.
    pub own: Vec<MinerId>,
    /// Miners that stay on a pool.
    pub assigned: Vec<(MinerId, PoolSlot)>,
    /// How often miners were assigned to the other pool in 24 hours.
    pub moves: u32,
    /// The excess of work that A got in 24 hours, in units of difficulty. `None` before there is any.
    pub error: Option<f64>,
    /// The same in seconds of the whole fleet.
    pub error_seconds: Option<f64>,
    /// How large the error may be.
    pub bound: Option<f64>,
}

/// A member's occupation and memory.
#[derive(Clone, Copy, Debug)]
struct Seat {
    occupation: Occupation,
    home: Option<PoolSlot>,
    moved: Option<Instant>,
    seconds: PerPool<f64>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Occupation {
    /// It follows its own setting.
    Own,
    /// It takes turns by itself until its hashrate is known.
    Unknown,
    Role(Role),
}

impl Occupation {
    fn role(self) -> Option<Role> {
        match self {
            Self::Role(role) => Some(role),
            Self::Own | Self::Unknown => None,
        }
    }
}

/// A span of the last day.
#[derive(Clone, Copy, Debug)]
struct Span {
    began: Instant,
    /// The excess of work that A got, in hashes.
    error: f64,
    /// All work, in hashes.
    work: f64,
    moves: u32,
}

/// All members with their places, and the fleet's error.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    seats: BTreeMap<MinerId, Seat>,
    /// The error to correct: the excess of hashes that A got.
    error: f64,
    /// The turn-takers' part for A, and their shorter turn in seconds.
    turns: (f64, f64),
    /// The rules since the last update: the part for A, and whether time did not count.
    held: Option<(f64, bool)>,
    /// The sum of the members' hashrates, and the largest of a turn-taker.
    hashrates: (f64, f64),
    /// When to search for a better assignment next.
    review: Option<Instant>,
    spans: VecDeque<Span>,
}

impl Fleet {
    /// Accounts for the work since the last call and updates the places. `members` is in the order of the ids. Call it
    /// about every half minute, and when members connect, leave or get another aim.
    pub fn update(&mut self, now: Instant, members: &[Member], rules: &FleetRules) {
        self.account(now, members, rules);
        self.seat(members);
        self.held = Some((rules.share_a, rules.frozen));
        if rules.both {
            self.assign(now, members, rules);
        }
    }

    /// What a member should do; `None`: follow its own aim.
    pub fn place(&self, id: MinerId) -> Option<Place> {
        let role = self.seats.get(&id)?.occupation.role()?;
        Some(match role {
            Role::Stay(slot) => Place::Stay(slot),
            Role::Turns => Place::Turns {
                share_a: self.turns.0,
                slice: self.turns.1,
            },
        })
    }

    /// The view to publish.
    pub fn view(&self) -> FleetView {
        let mut view = FleetView::default();
        for (id, seat) in &self.seats {
            match seat.occupation {
                Occupation::Own => view.own.push(*id),
                Occupation::Unknown | Occupation::Role(Role::Turns) => view.turn_takers.push(*id),
                Occupation::Role(Role::Stay(slot)) => view.assigned.push((*id, slot)),
            }
        }
        view.moves = self.spans.iter().map(|span| span.moves).sum();
        let error: f64 = self.spans.iter().map(|span| span.error).sum();
        let work: f64 = self.spans.iter().map(|span| span.work).sum();
        let (total, largest) = self.hashrates;
        if work > 0.0 {
            // A turn-taker is off by at most half of the work in its longer turn.
            let (share_a, slice) = self.turns;
            let bound = largest * slice * share_a.max(1.0 - share_a) + ALLOWED * work;
            view.error = Some(error / HASHES_PER_DIFFICULTY);
            view.error_seconds = (total > 0.0).then(|| error / total);
            view.bound = Some(bound / HASHES_PER_DIFFICULTY);
        }
        view
    }

    /// Adds the work since the last call, under the rules that applied then.
    fn account(&mut self, now: Instant, members: &[Member], rules: &FleetRules) {
        let (share_a, frozen) = self.held.unwrap_or((rules.share_a, rules.frozen));
        let (mut error, mut work) = (0.0, 0.0);
        for member in members {
            let Some(seat) = self.seats.get_mut(&member.id) else {
                continue;
            };
            let before = std::mem::replace(&mut seat.seconds, member.seconds);
            let on = member.seconds.map(|slot, seconds| seconds - before[slot]);
            let (a, both) = (on[PoolSlot::A], on[PoolSlot::A] + on[PoolSlot::B]);
            work += member.hashrate * both;
            error += member.hashrate
                * match (seat.occupation, member.own_share_a) {
                    // Where it works while its own pool is down does not concern the fleet.
                    (Occupation::Own, Some(own)) => both * (own - share_a),
                    // It keeps the split by itself.
                    (Occupation::Own | Occupation::Unknown, _) => 0.0,
                    (Occupation::Role(_), _) => a - both * share_a,
                };
        }
        let total: f64 = members.iter().map(|it| it.hashrate).sum();
        if frozen || rules.frozen {
            error = 0.0;
        }
        let before = self.error;
        // This much comes from turns and from waiting for moves. Anything beyond has other causes.
        let usual = 3.0 * SLACK + rules.slice;
        let most = rules.catch_up.max(usual) * total;
        self.error = (before + error).clamp(-most, most);
        self.hashrates.0 = total;

        let made_up_for = self.error - before;
        let span = self.span(now);
        span.work += work;
        span.error += made_up_for;
    }

    /// The current span of the day.
    fn span(&mut self, now: Instant) -> &mut Span {
        let is_over = |span: &Span| now.saturating_duration_since(span.began) >= DAY;
        while self.spans.front().is_some_and(is_over) {
            self.spans.pop_front();
        }
        let goes_on = |span: &Span| now.saturating_duration_since(span.began) < SPAN;
        if !self.spans.back().is_some_and(goes_on) {
            self.spans.push_back(Span {
                began: now,
                error: 0.0,
                work: 0.0,
                moves: 0,
            });
        }
        let last = self.spans.len() - 1;
        &mut self.spans[last]
    }

    /// Updates the seats to the current members.
    fn seat(&mut self, members: &[Member]) {
        let is_there = |id: &MinerId| members.binary_search_by_key(id, |it| it.id).is_ok();
        self.seats.retain(|id, _| is_there(id));
        for member in members {
            let seat = self.seats.entry(member.id).or_insert(Seat {
                occupation: Occupation::Unknown,
                home: None,
                moved: None,
                seconds: member.seconds,
            });
            if member.own_share_a.is_some() {
                seat.occupation = Occupation::Own;
            } else if !member.known || seat.occupation == Occupation::Own {
                seat.occupation = Occupation::Unknown;
            }
        }
    }

    /// Decides which miners stay on which pool, and which take turns.
    fn assign(&mut self, now: Instant, members: &[Member], rules: &FleetRules) {
        let Some(mut assignment) = self.assignment(now, members, rules) else {
            return;
        };
        place_new(&mut assignment);
        let unavoidable = rules.share_a <= 0.0 || rules.share_a >= 1.0;
        let takers = assignment.pieces.iter().filter(|it| it.role == Role::Turns);
        let takers = takers.count();
        let wanted = rules.most_takers.unwrap_or(takers);
        if unavoidable {
            let slot = if rules.share_a > 0.0 {
                PoolSlot::A
            } else {
                PoolSlot::B
            };
            for piece in &mut assignment.pieces {
                piece.role = Role::Stay(slot);
            }
        } else if assignment.wrong() > SLACK / PULL || takers > wanted {
            assignment.improve();
        } else if self.review.is_none_or(|due| due <= now) {
            self.review = Some(later(now, rules.assign));
            let mut better = assignment.clone();
            better.improve();
            if better.cost() + WORTH <= assignment.cost() {
                assignment = better;
            }
        }
        self.adopt(now, &assignment);
    }

    /// The members that can be assigned, with their current roles, and what they are needed for.
    fn assignment(
        &self,
        now: Instant,
        members: &[Member],
        rules: &FleetRules,
    ) -> Option<Assignment> {
        let share = PerPool::new(rules.share_a, 1.0 - rules.share_a);
        let mut need: PerPool<f64> = PerPool::default();
        // The part of the error that the turn-takers' schedules correct themselves.
        let mut by_turns = 0.0;
        let mut pieces = Vec::new();
        let (all, mut total, mut variance) = (rules.most_takers.is_none(), 0.0, 0.0);
        for member in members {
            let Some(seat) = self.seats.get(&member.id) else {
                continue;
            };
            let hashrate = member.hashrate;
            total += hashrate;
            variance += member.waver * member.waver;
            let own = member.own_share_a.map(|a| PerPool::new(a, 1.0 - a));
            for slot in PoolSlot::ALL {
                let met = match own {
                    Some(own) => own[slot],
                    None if !member.known => share[slot],
                    None => 0.0,
                };
                need[slot] += hashrate * (share[slot] - met);
            }
            if own.is_some() || !member.known {
                continue;
            }
            let before = seat.occupation.role();
            let may_take_turns = member.may_take_turns && hashrate > 0.0;
            let role = match before {
                _ if all && may_take_turns => Role::Turns,
                Some(Role::Turns) if !may_take_turns => Role::Stay(PoolSlot::A),
                Some(role) => role,
                // Until it has a place.
                None => Role::Stay(PoolSlot::A),
            };
            if before == Some(Role::Turns) {
                // They do not make up for more than that, either.
                let most = rules.catch_up.max(rules.slice);
                by_turns += hashrate * member.turn_error.clamp(-most, most);
            }
            let rests = |moved| now.saturating_duration_since(moved) < rules.assign;
            pieces.push(Piece {
                id: member.id,
                hashrate,
                may_take_turns,
                lags: member.lags,
                role,
                before,
                home: seat.home,
                rests: seat.moved.is_some_and(rests),
            });
        }
        let pull = (self.error - by_turns) / PULL;
        need[PoolSlot::A] -= pull;
        need[PoolSlot::B] += pull;
        (total > 0.0 && !pieces.is_empty()).then_some(Assignment {
            pieces,
            need,
            meant: share.map(|_, share| share * total),
            total,
            // If a miner has more hashrate than it seems to have, each pool should get about half of the difference.
            waver: variance.sqrt() / 2.0,
            slice: rules.slice,
            most_takers: rules.most_takers,
        })
    }

    /// Puts an assignment into force.
    fn adopt(&mut self, now: Instant, assignment: &Assignment) {
        let mut moves = 0;
        for piece in &assignment.pieces {
            let Some(seat) = self.seats.get_mut(&piece.id) else {
                continue;
            };
            seat.occupation = Occupation::Role(piece.role);
            let Role::Stay(slot) = piece.role else {
                continue;
            };
            if seat.home.replace(slot).is_some_and(|home| home != slot) {
                seat.moved = Some(now);
                moves += 1;
            }
        }
        self.span(now).moves += moves;
        if let Some(turns) = assignment.turns() {
            self.turns = turns;
        }
        let takers = assignment.pieces.iter().filter(|it| it.role == Role::Turns);
        self.hashrates.1 = takers.map(|it| it.hashrate).fold(0.0, f64::max);
    }
}

/// Gives new members a pool: the largest first, each the pool that lacks more.
fn place_new(assignment: &mut Assignment) {
    let mut lack = assignment.need;
    for piece in &assignment.pieces {
        match piece.role {
            Role::Stay(slot) if piece.before.is_some() => lack[slot] -= piece.hashrate,
            // It may serve both pools.
            Role::Turns => lack.values_mut().for_each(|it| *it -= piece.hashrate / 2.0),
            Role::Stay(_) => (),
        }
    }
    let new = |piece: &&mut Piece| piece.before.is_none() && piece.role != Role::Turns;
    let mut new: Vec<_> = assignment.pieces.iter_mut().filter(new).collect();
    new.sort_by(|a, b| b.hashrate.total_cmp(&a.hashrate));
    for piece in new {
        let slot = if lack[PoolSlot::A] >= lack[PoolSlot::B] {
            PoolSlot::A
        } else {
            PoolSlot::B
        };
        piece.role = Role::Stay(slot);
        lack[slot] -= piece.hashrate;
    }
}

#[cfg(test)]
mod tests;

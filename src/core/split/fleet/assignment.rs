//! Finds which miners stay on which pool and which take turns.
//!
//! - An assignment is judged by one number: its cost in switches an hour. Work at the wrong pool costs far more than
//!   any switch, and so do more turn-takers than allowed.
//! - The search starts with the current assignment and improves it step by step, so that a good enough assignment
//!   stays.
//! - It uses no clock and no randomness.

use crate::units::{MinerId, PerPool, PoolSlot};

/// The maximum for a turn-taker's shorter turn, in seconds.
const LONGEST_TURN: f64 = 3600.0;

/// The part of all work that may be at the wrong pool in an assignment that counts as exact.
const EXACT: f64 = 0.004;

/// If turn-takers would do less than this part of a pool's work, they do nothing for it, so that they need no
/// connection to it.
const NOTHING: f64 = 0.01;

/// The cost if all work were at the wrong pool.
const WRONG: f64 = 1e6;

/// The cost of each turn-taker above the limit.
const TOO_MANY: f64 = 1e9;

/// The cost of moving a miner to the other pool.
const MOVE: f64 = 6.0;

/// The cost if a miner starts or stops taking turns.
const ROLE: f64 = 1.0;

/// The cost of each turn-taker, in addition to its switches.
const TAKER: f64 = 2.0;

/// The cost of turn-takers with all of the hashrate. Small ones keep the fleet's error small.
const SIZE: f64 = 2.0;

/// The cost if the turn-takers have no reserve for varying hashrates, because roles would change soon.
const FRAGILE: f64 = 12.0;

/// The factor for the cost of a switch if a miner does not follow immediately.
const LAGGARD: f64 = 3.0;

/// The maximum number of steps in one search; fewer if there are many miners. The next search continues.
const STEPS: usize = 24;

/// Up to this many miners, a search may make all of these steps.
const USUAL: usize = 500;

/// With more turn-takers than this, no step exchanges one for another miner.
const MANY_TAKERS: usize = 16;

/// Up to this many miners, any two may trade places in one step.
const FEW: usize = 24;

/// What a miner of the fleet does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It works for one pool.
    Stay(PoolSlot),
    /// It works for both by turns.
    Turns,
}

impl Role {
    const ALL: [Self; 3] = [
        Self::Stay(PoolSlot::A),
        Self::Stay(PoolSlot::B),
        Self::Turns,
    ];
}

/// A miner that can be assigned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) id: MinerId,
    /// Hashes a second.
    pub(super) hashrate: f64,
    pub(super) may_take_turns: bool,
    /// Whether it keeps working on old jobs after a switch.
    pub(super) lags: bool,
    /// What it does in this assignment.
    pub(super) role: Role,
    /// Its role until now; `None`: it is new.
    pub(super) before: Option<Role>,
    /// The pool on which it stayed most recently.
    pub(super) home: Option<PoolSlot>,
    /// Whether it moved a short time ago and must not move again yet.
    pub(super) rests: bool,
}

impl Piece {
    fn may(&self, role: Role, all_take_turns: bool) -> bool {
        match role {
            Role::Turns => self.may_take_turns,
            Role::Stay(_) if all_take_turns && self.may_take_turns => false,
            Role::Stay(slot) => !(self.rests && self.home == Some(slot.other())),
        }
    }

    /// The one-time cost of giving it this role.
    fn change(&self, role: Role) -> f64 {
        match (self.before, role) {
            (None, _) => 0.0,
            (Some(before), _) if before == role => 0.0,
            (Some(_), Role::Stay(slot)) if self.home == Some(slot.other()) => MOVE,
            (Some(_), Role::Stay(_) | Role::Turns) => ROLE,
        }
    }
}

/// The sums of an assignment.
#[derive(Clone, Copy, Debug)]
struct Sums {
    stays: PerPool<f64>,
    turning: f64,
    takers: usize,
    /// The turn-takers, weighted by the cost of their switches.
    weight: f64,
    changes: f64,
}

impl Sums {
    fn of(pieces: &[Piece]) -> Self {
        let none = Self {
            stays: PerPool::default(),
            turning: 0.0,
            takers: 0,
            weight: 0.0,
            changes: 0.0,
        };
        pieces.iter().fold(none, |sums, it| sums.with(it, it.role))
    }

    fn with(mut self, piece: &Piece, role: Role) -> Self {
        match role {
            Role::Stay(slot) => self.stays[slot] += piece.hashrate,
            Role::Turns => {
                self.turning += piece.hashrate;
                self.takers += 1;
                self.weight += if piece.lags { LAGGARD } else { 1.0 };
            }
        }
        self.changes += piece.change(role);
        self
    }

    fn without(mut self, piece: &Piece, role: Role) -> Self {
        match role {
            Role::Stay(slot) => self.stays[slot] -= piece.hashrate,
            Role::Turns => {
                self.takers -= 1;
                // No rounding errors remain.
                self.turning = if self.takers == 0 {
                    0.0
                } else {
                    self.turning - piece.hashrate
                };
                self.weight -= if piece.lags { LAGGARD } else { 1.0 };
            }
        }
        self.changes -= piece.change(role);
        self
    }

    fn changed(self, piece: &Piece, role: Role) -> Self {
        self.without(piece, piece.role).with(piece, role)
    }
}

/// Miners with their roles, and their target.
#[derive(Clone, Debug)]
pub(super) struct Assignment {
    /// The miners that can be assigned.
    pub(super) pieces: Vec<Piece>,
    /// The hashrate that they should bring to each pool.
    pub(super) need: PerPool<f64>,
    /// The hashrate of the whole fleet that should go to each pool.
    pub(super) meant: PerPool<f64>,
    /// The hashrate of the whole fleet, above zero.
    pub(super) total: f64,
    /// The usual error of the hashrates at the pools, in hashes per second.
    pub(super) waver: f64,
    /// The shortest turn that is aimed at, in seconds.
    pub(super) slice: f64,
    /// The maximum number of turn-takers; `None`: all.
    pub(super) most_takers: Option<usize>,
}

impl Assignment {
    /// The part of the turn-takers' work that goes to A, from 0 to 1, and their shorter turn in seconds; `None` without
    /// turn-takers.
    pub(super) fn turns(&self) -> Option<(f64, f64)> {
        let sums = Sums::of(&self.pieces);
        if sums.turning <= 0.0 {
            return None;
        }
        let share_a = self.share_of(&sums);
        let is_nothing = |share: f64, slot| share * sums.turning < NOTHING * self.meant[slot];
        let share_a = if is_nothing(share_a, PoolSlot::A) {
            0.0
        } else if is_nothing(1.0 - share_a, PoolSlot::B) {
            1.0
        } else {
            share_a
        };
        Some((share_a, self.turn_of(&sums)))
    }

    fn share_of(&self, sums: &Sums) -> f64 {
        ((self.need[PoolSlot::A] - sums.stays[PoolSlot::A]) / sums.turning).clamp(0.0, 1.0)
    }

    /// The smaller the part of the fleet that takes turns, the longer these may be. Together they move the fleet's
    /// split no more than if all took turns of a slice.
    fn turn_of(&self, sums: &Sums) -> f64 {
        let longest = LONGEST_TURN.max(self.slice);
        (self.slice * self.total / sums.turning).clamp(self.slice, longest)
    }

    /// The part of all work that ends up at the wrong pool, regardless of the turn-takers.
    pub(super) fn wrong(&self) -> f64 {
        self.wrong_of(&Sums::of(&self.pieces))
    }

    fn wrong_of(&self, sums: &Sums) -> f64 {
        (-self.spare(sums)).max(0.0) / self.total
    }

    /// The turn-takers' reserve of hashrate, on the side where it is smaller.
    fn spare(&self, sums: &Sums) -> f64 {
        let lack = |slot: PoolSlot| self.need[slot] - sums.stays[slot];
        lack(PoolSlot::A).min(lack(PoolSlot::B))
    }

    pub(super) fn cost(&self) -> f64 {
        self.cost_of(&Sums::of(&self.pieces))
    }

    fn cost_of(&self, sums: &Sums) -> f64 {
        let wrong = (self.wrong_of(sums) - EXACT).max(0.0);
        let above = sums
            .takers
            .saturating_sub(self.most_takers.unwrap_or(usize::MAX));
        let above = f64::from(u32::try_from(above).unwrap_or(u32::MAX));
        let switches = if sums.turning > 0.0 {
            let share = self.share_of(sums);
            sums.weight * 7200.0 * share.min(1.0 - share) / self.turn_of(sums)
        } else {
            0.0
        };
        let size = SIZE * sums.turning / self.total;
        let covered = if self.waver > 0.0 {
            self.spare(sums) / self.waver
        } else {
            1.0
        };
        let fragile = FRAGILE * (1.0 - covered.clamp(-1.0, 1.0));
        let takers = TAKER * f64::from(u32::try_from(sums.takers).unwrap_or(u32::MAX));
        WRONG * wrong + TOO_MANY * above + switches + takers + size + fragile + sums.changes
    }

    /// Improves the assignment step by step, until no step helps or the limit is reached.
    pub(super) fn improve(&mut self) {
        self.relieve();
        let steps = STEPS * USUAL / self.pieces.len().max(USUAL);
        for _ in 0..steps.max(4) {
            let Some(step) = self.best_step() else {
                return;
            };
            for (index, role) in step {
                if let Some(piece) = self.pieces.get_mut(index) {
                    piece.role = role;
                }
            }
        }
    }

    /// Moves many miners together, largest first, from a pool with far too many.
    fn relieve(&mut self) {
        let mut sums = Sums::of(&self.pieces);
        let excess = |sums: &Sums, slot| sums.stays[slot] - self.need[slot];
        let Some(full) = PoolSlot::ALL
            .into_iter()
            .find(|slot| excess(&sums, *slot) > 0.0)
        else {
            return;
        };
        let by_size = |a: &usize, b: &usize| {
            let hashrate = |index: usize| self.pieces.get(index).map_or(0.0, |it| it.hashrate);
            hashrate(*b).total_cmp(&hashrate(*a))
        };
        let mut order: Vec<usize> = (0..self.pieces.len()).collect();
        order.sort_by(by_size);
        let (all, to) = (self.most_takers.is_none(), Role::Stay(full.other()));
        let mut moved = Vec::new();
        for index in order {
            let Some(piece) = self.pieces.get(index) else {
                continue;
            };
            let stays = piece.role == Role::Stay(full) && piece.may(to, all);
            // The last bit is left for a better choice.
            if stays && excess(&sums, full) > sums.turning + 2.0 * piece.hashrate {
                sums = sums.changed(piece, to);
                moved.push(index);
            }
        }
        for index in moved {
            if let Some(piece) = self.pieces.get_mut(index) {
                piece.role = to;
            }
        }
    }

    /// The changes of one or two miners that save the most, if any do.
    fn best_step(&self) -> Option<Vec<(usize, Role)>> {
        let sums = Sums::of(&self.pieces);
        let mut best = Best {
            cost: self.cost_of(&sums) - 1e-6,
            step: None,
        };
        let all = self.most_takers.is_none();
        let few = self.pieces.len() <= FEW;
        for (index, piece) in self.pieces.iter().enumerate() {
            for role in Role::ALL {
                if role == piece.role || !piece.may(role, all) {
                    continue;
                }
                let one = sums.changed(piece, role);
                best.offer(self.cost_of(&one), [Some((index, role)), None]);
                let swaps = piece.role == Role::Turns && sums.takers <= MANY_TAKERS;
                if !few && !swaps {
                    continue;
                }
                for (second, other) in self.pieces.iter().enumerate() {
                    for next in Role::ALL {
                        // If there are many, only those that trade places.
                        let fits = next == piece.role || few && second > index;
                        if second == index || next == other.role || !fits || !other.may(next, all) {
                            continue;
                        }
                        let two = one.changed(other, next);
                        let step = [Some((index, role)), Some((second, next))];
                        best.offer(self.cost_of(&two), step);
                    }
                }
            }
        }
        Some(best.step?.into_iter().flatten().collect())
    }
}

/// The cheapest step so far.
struct Best {
    cost: f64,
    step: Option<[Option<(usize, Role)>; 2]>,
}

impl Best {
    fn offer(&mut self, cost: f64, step: [Option<(usize, Role)>; 2]) {
        if cost < self.cost {
            self.cost = cost;
            self.step = Some(step);
        }
    }
}

//! Metrics that count facts as they happen.

use prometheus::{Counter, Histogram, IntCounter, IntCounterVec, Result};

use super::make::{Make, PerSide, figures};
use crate::config::notify::TargetKind;
use crate::core::fact::{Eviction, Limit, ShareOutcome, ShareResult, SwitchCause, TlsFault};
use crate::stratum::reject::{RejectClass, RejectReason};
use crate::units::{PerPool, PoolSlot};

/// How long pools take to answer, in seconds: 5 ms is a pool nearby, and after 30 s a share is abandoned.
const LATENCY: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// How long jobs take to pass through DPMP, in seconds. The upper buckets are for jobs that wait for their pool's turn.
const JOB_DELAY: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0, 10.0, 30.0, 60.0,
];

/// How long the scheduler takes for an input, and how long the input waited, in seconds.
const TURN: &[f64] = &[
    0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.25, 1.0,
];

figures! {
    /// Lines.
    Traffic {
        read: PerSide = counts_by_side("dpmp_messages_rx_total", "Lines read from miners and pools");
        written: PerSide = counts_by_side("dpmp_messages_tx_total", "Lines written to miners and pools");
        malformed: PerSide = counts_by_side(
            "dpmp_malformed_messages_total", "Unusable lines from miners and pools");
    }
}

figures! {
    /// Shares.
    Shares {
        submitted: IntCounter = count("dpmp_shares_submitted_total", "Shares from miners, counted once their result is known");
        unanswered: IntCounter = count(
            "dpmp_shares_unanswered_total", "Shares whose miner left before the pool answered");
        accepted: PerPool<IntCounter> = counts_by_pool("dpmp_shares_accepted_total", "Shares accepted by pools");
        difficulty: PerPool<Counter> = sums_by_pool(
            "dpmp_accepted_difficulty_sum", "Sum of the difficulties that pools credited for accepted shares");
        below_pool: PerPool<IntCounter> = counts_by_pool(
            "dpmp_shares_below_pool_total",
            "Shares that met the miner's difficulty but not the pool's, and were not forwarded");
        rejected: PerPool<IntCounter> = counts_by_pool("dpmp_shares_rejected_total", "Shares rejected by pools");
        classes: IntCounterVec = counts_by_pool_and(
            "class", "dpmp_pool_rejects_total", "Shares that a pool rejected, by kind",
            RejectClass::ALL.map(RejectClass::name));
        refused: IntCounterVec = counts_by(
            "reason", "dpmp_shares_refused_total", "Shares that DPMP blocked, by reason",
            RejectReason::ALL.map(RejectReason::name));
        lost: PerPool<IntCounter> = counts_by_pool(
            "dpmp_shares_lost_total", "Forwarded shares that the pool never answered");
        latency: PerPool<Histogram> = histograms_by_pool(
            "dpmp_share_latency_seconds", "Time from a miner's share to the pool's answer", LATENCY);
        blocks: PerPool<IntCounter> = counts_by_pool(
            "dpmp_blocks_found_total", "Hashes that met the network's target");
    }
}

impl Shares {
    pub(super) fn record(&self, share: &ShareResult) {
        self.submitted.inc();
        let reason = share.outcome.reason().unwrap_or_default();
        if let ShareOutcome::RefusedHere(_) = share.outcome {
            self.refused.with_label_values(&[reason]).inc();
        }
        let Some(slot) = share.slot else { return };
        match &share.outcome {
            ShareOutcome::Accepted => {
                self.accepted[slot].inc();
                let credit = share.credit.map_or(0.0, |credit| credit.get());
                self.difficulty[slot].inc_by(credit);
            }
            ShareOutcome::RejectedByPool(_) => {
                self.rejected[slot].inc();
                self.classes.with_label_values(&[slot.name(), reason]).inc();
            }
            // There was no answer to measure.
            ShareOutcome::BelowPool => return self.below_pool[slot].inc(),
            ShareOutcome::Lost(_) => return self.lost[slot].inc(),
            ShareOutcome::RefusedHere(_) => return,
        }
        if let Some(latency) = share.latency {
            self.latency[slot].observe(latency.as_secs_f64());
        }
    }
}

figures! {
    /// Miners that connect, leave and are turned away.
    Miners {
        connected: IntCounter = count("dpmp_miners_connected_total", "Miner connections so far");
        refused: IntCounter = count(
            "dpmp_miners_refused_total", "Miners whose user name every reachable pool rejected");
        idle: IntCounter = count(
            "dpmp_miners_idle_total", "Times that a miner had no pool with work");
        turned_away: IntCounterVec = counts_by(
            "reason", "dpmp_miners_turned_away_total", "Miners that DPMP disconnected or turned away, by reason",
            [
                Eviction::NotSetUp, Eviction::NotAuthorized, Eviction::NoWork, Eviction::ExtranonceChanged,
                Eviction::ExtranonceSize, Eviction::TooMuchRubbish, Eviction::OtherProtocol(String::new()),
                Eviction::TlsFailed(TlsFault::default()), Eviction::Stopping,
            ].map(|reason| reason.label()));
        limits: IntCounterVec = counts_by(
            "limit", "dpmp_limits_reached_total", "Times that a limit was reached",
            Limit::ALL.map(Limit::name));
    }
}

impl Miners {
    /// Looked up by its label each time, because it is rare.
    pub(super) fn turned_away(&self, reason: &Eviction) -> IntCounter {
        self.turned_away.with_label_values(&[reason.label()])
    }

    pub(super) fn limit(&self, limit: Limit) -> IntCounter {
        self.limits.with_label_values(&[limit.name()])
    }
}

figures! {
    /// Pools, their jobs and the switches between them.
    Pools {
        jobs_received: PerPool<IntCounter> = counts_by_pool("dpmp_jobs_received_total", "Jobs sent by pools");
        jobs_forwarded: PerPool<IntCounter> = counts_by_pool("dpmp_jobs_forwarded_total", "Jobs sent to miners");
        job_delay: Histogram = histogram(
            "dpmp_job_delay_seconds", "Time from a pool's job until it is first sent to the miner", JOB_DELAY);
        switches: IntCounterVec = counts_by_pool_and(
            "cause", "dpmp_switches_total", "Switches of a miner to a pool", SwitchCause::ALL.map(SwitchCause::name));
        losses: PerPool<IntCounter> = counts_by_pool(
            "dpmp_pool_connection_losses_total", "Connections to a pool that broke or failed");
        outages: PerPool<IntCounter> = counts_by_pool(
            "dpmp_pool_outages_total", "Times that a needed pool lost its last connection or was unreachable");
        redirects: PerPool<IntCounter> = counts_by_pool(
            "dpmp_pool_redirects_refused_total",
            "Requests from a pool to reconnect to another host, which DPMP never follows");
    }
}

impl Pools {
    pub(super) fn switched(&self, to: PoolSlot, cause: SwitchCause) {
        let labels = [to.name(), cause.name()];
        self.switches.with_label_values(&labels).inc();
    }
}

/// The program itself.
pub(super) struct Program {
    pub(super) turn: Histogram,
    pub(super) lag: Histogram,
    pub(super) log_dropped: IntCounter,
    pub(super) config_applied: IntCounter,
    pub(super) config_refused: IntCounter,
    pub(super) accept_failures: IntCounter,
    pub(super) state_problems: IntCounter,
    notifications: IntCounterVec,
}

impl Program {
    pub(super) fn new(make: &Make<'_>) -> Result<Self> {
        let reloads = make.counts(
            "dpmp_config_reloads_total",
            "Configuration changes that were applied or refused",
            &["result"],
        )?;
        let info = make.gauges(
            "dpmp_build_info",
            "Always 1; the label is DPMP's version",
            &["version"],
        )?;
        info.with_label_values(&[env!("CARGO_PKG_VERSION")])
            .set(1.0);
        let notifications = make.counts(
            "dpmp_notifications_total",
            "Messages about troubles, including heartbeats, by result of each attempt",
            &["kind", "result"],
        )?;
        for kind in TargetKind::ALL {
            for result in ["sent", "failed"] {
                notifications.with_label_values(&[kind.name(), result]);
            }
        }
        Ok(Self {
            turn: make.histogram(
                "dpmp_scheduler_turn_seconds",
                "Seconds that the scheduler needs for one input",
                TURN,
            )?,
            lag: make.histogram(
                "dpmp_scheduler_lag_seconds",
                "Seconds that an input waits for the scheduler",
                TURN,
            )?,
            log_dropped: make.count(
                "dpmp_log_lines_dropped_total",
                "Log lines dropped because the disk or terminal was too slow",
            )?,
            config_applied: reloads.with_label_values(&["applied"]),
            config_refused: reloads.with_label_values(&["refused"]),
            accept_failures: make.count(
                "dpmp_accept_failures_total",
                "Times that DPMP could not accept a miner",
            )?,
            state_problems: make.count(
                "dpmp_state_problems_total",
                "Times that the state file could not be read or written",
            )?,
            notifications,
        })
    }

    /// A message was sent to a target, or sending failed.
    pub(super) fn message(&self, kind: &str, sent: bool) {
        let result = if sent { "sent" } else { "failed" };
        self.notifications.with_label_values(&[kind, result]).inc();
    }
}

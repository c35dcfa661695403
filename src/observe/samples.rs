//! One fact of every kind, for tests. If a variant is missing here, the tests of `event` fail.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::config::steering::Work;
use crate::config::{Change, May};
use crate::core::balance::{Move, Problem};
use crate::core::event::CloseReason;
use crate::core::event::Source;
use crate::core::fact::{Eviction, Fact, Failover, Limit, ShareOutcome, ShareResult, SwitchCause};
use crate::core::outage::Loss;
use crate::core::outage::Outage;
use crate::core::steering::{ALL_WORKERS, AimSource, Override};
use crate::stratum::job::BlockHash;
use crate::stratum::reject::{Reject, RejectReason};
use crate::units::{
    Difficulty, Extranonce1, JobId, MinerExtranonce, MinerId, PerPool, PoolConn, PoolSlot,
    VersionForm, VersionMask,
};

/// A payout address that must not appear in a line.
pub(crate) const ADDRESS: &str = "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq";

/// A share with this result.
pub(crate) fn share(outcome: ShareOutcome) -> Fact {
    Fact::ShareResult(Box::new(ShareResult {
        miner: MinerId(3),
        worker: "rig1".into(),
        slot: Some(PoolSlot::A),
        job: Some(JobId(0x2f)),
        outcome,
        asked: 4096.0,
        credit: Difficulty::new(4096.0),
        true_difficulty: Some(18231.5),
        latency: Some(Duration::from_micros(48_250)),
        block: false,
        former: false,
        together: false,
    }))
}

fn change(path: &'static str, values: [&str; 2]) -> Change {
    Change {
        path,
        values: Some(values.map(str::to_owned)),
        needs_restart: false,
        moves_saved: false,
    }
}

fn temporary() -> Override {
    Override {
        work: Work::only(PoolSlot::A),
        workers: vec![ALL_WORKERS.to_owned()],
        until_ms: Some(1_790_000_000_000),
        set_ms: 1_789_990_000_000,
        by: "web page at 192.168.1.7".to_owned(),
    }
}

/// A pool's error that quotes the payout address.
fn reject() -> Reject {
    Reject {
        code: 24,
        message: format!("no such worker {ADDRESS}.rig1").into(),
    }
}

/// One of every kind, and one of each level for kinds with several levels.
pub(crate) fn samples() -> Vec<Fact> {
    let miner = MinerId(3);
    let peer = "192.168.1.20:51234".parse().unwrap();
    let slot = PoolSlot::A;
    let conn = PoolConn { slot, number: 1 };
    let own = Some(miner);
    let e1 = Extranonce1::from_hex("0000002a").unwrap();
    let extranonce = Some(MinerExtranonce { e1, e2_size: 4 });
    let mask = VersionMask::BIP320;
    let worker = || ADDRESS.to_owned();
    let text = || format!("about {ADDRESS}");
    let outage = Outage::Lost(Loss::BadMessage(text()));
    let difficulty = Difficulty::new(4096.0).unwrap();
    let second = Duration::from_secs(1);
    vec![
        share(ShareOutcome::Accepted),
        share(ShareOutcome::BelowPool),
        share(ShareOutcome::RejectedByPool(reject())),
        share(ShareOutcome::RefusedHere(RejectReason::Duplicate)),
        share(ShareOutcome::Lost(RejectReason::PoolLost)),
        Fact::MinerConnected { miner, peer },
        Fact::MinerAuthorized {
            miner,
            peer,
            worker: worker(),
            user_agent: Some("bmminer/2.0.0".into()),
            extranonce,
            version_rolling: Some(mask),
        },
        Fact::MinerRefused {
            miner,
            worker: worker(),
            reject: reject(),
        },
        Fact::MinerTurnedAway {
            miner,
            peer,
            reason: Eviction::OtherProtocol("an HTTP request".into()),
        },
        Fact::MinerTurnedAway {
            miner,
            peer,
            reason: Eviction::Stopping,
        },
        Fact::WorkerPaused {
            worker: worker(),
            source: AimSource::Group,
        },
        Fact::WorkerResumed { worker: worker() },
        Fact::OverrideSet {
            change: temporary(),
        },
        Fact::OverrideEnded {
            change: temporary(),
            in_time: true,
        },
        Fact::TimetableChanged {
            entry: Some((1, Work::only(slot))),
        },
        Fact::BalanceMoved {
            moved: Move {
                from: 70.0,
                to: 74.25,
                values: PerPool::new(Some(0.0521), None),
                problem: Some(Problem::NoPrice("BCH".into())),
            },
        },
        Fact::MinerDisconnected {
            miner,
            peer,
            worker: Some(worker()),
            reason: CloseReason::ByPeer,
            connected: Duration::from_secs(3600),
            accepted: 812,
            rejected: 2,
            unanswered: 1,
        },
        Fact::MinerMessageBad {
            miner,
            problem: text(),
        },
        Fact::LimitReached {
            miner: None,
            peer,
            limit: Limit::Miners,
        },
        Fact::ExtranonceChanged {
            miner,
            slot,
            extranonce,
        },
        Fact::MinerLags { miner },
        Fact::ExtranonceSizeLearnt {
            miner,
            worker: "rig1".to_owned(),
            user_agent: Some("oddminer/1".to_owned()),
            told: 3,
            sent: 4,
            extranonce,
        },
        Fact::PoolLearnt {
            slot,
            e2_size: 8,
            mask,
        },
        Fact::PoolDialing { conn, miner: None },
        Fact::PoolReady {
            conn,
            miner: own,
            user: format!("{ADDRESS}.rig1"),
            e1,
            e2_size: 8,
            took: second,
        },
        Fact::PoolLost {
            conn,
            miner: own,
            reason: Loss::BadMessage(text()),
            unanswered: 0,
        },
        Fact::PoolUp { slot },
        Fact::PoolDown {
            slot,
            reason: outage.clone(),
        },
        Fact::PoolNoJob { slot, seconds: 30 },
        Fact::PoolFailover {
            slot,
            backup: 1,
            address: text(),
            why: Failover::Unusable(outage),
        },
        Fact::PoolMessageBad {
            conn,
            miner: own,
            problem: text(),
        },
        Fact::PoolMessage {
            conn,
            miner: own,
            text: text(),
        },
        Fact::PoolReconnect {
            conn,
            miner: own,
            wait: second,
        },
        Fact::PoolRedirectRefused {
            conn,
            miner: own,
            host: "pool.elsewhere.example".into(),
        },
        Fact::VersionForm {
            slot,
            form: Some(VersionForm::Delta),
        },
        Fact::JobReceived {
            conn,
            miner: own,
            pool_job: "68f1".into(),
            clean: true,
        },
        Fact::JobShared {
            conn,
            pool_job: "68f1".into(),
            clean: true,
            members: 250,
            sent: 120,
        },
        Fact::JobForwarded {
            miner,
            slot,
            job: JobId(0x2f),
            pool_job: "68f1".into(),
            difficulty,
            clean: false,
            delay: Some(Duration::from_micros(1234)),
        },
        Fact::PoolSwitched {
            miner,
            from: Some(PoolSlot::B),
            to: slot,
            cause: SwitchCause::Schedule,
            error: -2.5,
            together: false,
        },
        Fact::MembersSwitched {
            slot,
            members: 250,
            to: PerPool::new(0, 120),
            idle: 0,
        },
        Fact::SharesLost {
            slot,
            members: 250,
            miners: 7,
            shares: 9,
        },
        Fact::MinerIdle {
            miner,
            together: false,
        },
        Fact::KeptBlock {
            slot,
            worker: text(),
            hash: BlockHash([0; 32]),
            outcome: ShareOutcome::RejectedByPool(reject()),
        },
        Fact::BlockFound {
            miner,
            worker: worker(),
            slot,
            hash: BlockHash([0; 32]),
            difficulty: f64::INFINITY,
            forwarded: true,
        },
        Fact::ConfigApplied {
            changes: vec![change("pools.A.wallet", ["nakamoto", ADDRESS])],
            source: Source::Page(Ipv4Addr::LOCALHOST.into()),
        },
        Fact::ConfigApplied {
            changes: vec![change("scheduler.poolA_weight", ["50", "70"])],
            source: Source::File,
        },
        Fact::LoggedIn {
            from: Ipv4Addr::LOCALHOST.into(),
        },
        Fact::LoginRefused {
            from: Ipv4Addr::LOCALHOST.into(),
        },
        Fact::TokenMade {
            name: "ha".into(),
            may: May::Steer,
            from: Ipv4Addr::LOCALHOST.into(),
        },
        Fact::TokenRevoked {
            name: "ha".into(),
            from: Ipv4Addr::LOCALHOST.into(),
        },
        Fact::TokenRefused {
            from: Ipv4Addr::LOCALHOST.into(),
        },
        Fact::ConfigRefused { problem: text() },
        Fact::ConfigUsable,
        Fact::ConfigWarning { text: text() },
        Fact::Started {
            version: "0.2.0",
            listen: "0.0.0.0:3351".into(),
            listen_tls: Some("0.0.0.0:3352".into()),
            metrics: Some("0.0.0.0:9210".into()),
            gui: Some("0.0.0.0:8855".into()),
            config: "/data/config.json".into(),
        },
        Fact::TroubleBegan {
            id: "pool_down:A".into(),
            title: text(),
            grave: true,
        },
        Fact::TroubleOver {
            id: "pool_down:A".into(),
            title: text(),
            lasted: second,
        },
        Fact::MessageSent {
            target: "phone".into(),
            kind: "ntfy",
        },
        Fact::MessageFailed {
            target: "phone".into(),
            kind: "ntfy",
            problem: text(),
            given_up: false,
        },
        Fact::Stopping,
        Fact::Stopped { uptime: second },
        Fact::StateProblem { problem: text() },
        Fact::AcceptFailed { error: text() },
        Fact::SlowTurn {
            event: "miner_line",
            took: second,
        },
        Fact::Panicked {
            thread: "scheduler".into(),
            problem: text(),
        },
        Fact::LogDropped { lines: 12 },
    ]
}

//! What a miner has told DPMP about itself: its side of the handshake, in any order.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::config::PoolConfig;
use crate::config::steering::LONGEST_WORKER;
use crate::core::pool::connection::Identity;
use crate::stratum::message::{MinerCall, RequestId};
use crate::units::{Difficulty, MinerExtranonce, VersionMask, is_hidden};

/// How many user names a connection may authorize.
const MOST_USERS: usize = 16;

/// How many requests wait until the pools are known.
const MOST_WAITING: usize = 16;

/// DPMP's own name for pools, if the miner does not send one.
pub const OWN_USER_AGENT: &str = concat!("dpmp/", env!("CARGO_PKG_VERSION"));

/// What a miner has sent so far, and what DPMP has answered.
#[derive(Debug, Default)]
pub struct Session {
    /// Its software.
    pub user_agent: Option<String>,
    /// Its place in the coinbase, once it subscribed.
    pub extranonce: Option<MinerExtranonce>,
    /// The bits that it can roll, if version rolling was agreed.
    pub rolling: Option<VersionMask>,
    /// Whether it asked for version rolling, regardless of the result.
    pub was_configured: bool,
    /// Whether it can get another extranonce without reconnecting.
    pub takes_extranonce: bool,
    /// The difficulty that it suggested.
    pub suggested: Option<Difficulty>,
    /// The state of its authorization.
    pub authorization: Authorization,
    users: Vec<String>,
    worker: Option<Arc<str>>,
    password: String,
    waiting: VecDeque<(RequestId, MinerCall)>,
}

/// The state of a miner's authorization.
#[derive(Debug, Default)]
pub enum Authorization {
    /// Not requested.
    #[default]
    None,
    /// Requested; these requests wait for the pools.
    Asked(Vec<RequestId>),
    /// At least one pool accepted.
    Accepted,
}

impl Session {
    /// Whether jobs may be sent.
    pub fn takes_jobs(&self) -> bool {
        self.extranonce.is_some() && self.is_authorized()
    }

    /// Whether a pool has accepted its worker.
    pub fn is_authorized(&self) -> bool {
        matches!(self.authorization, Authorization::Accepted)
    }

    /// Whether it sent a user name.
    pub fn has_user(&self) -> bool {
        self.worker.is_some()
    }

    /// The worker's name: what follows the first dot of the user name, or the whole of it.
    pub fn worker(&self) -> &str {
        self.worker.as_deref().unwrap_or_default()
    }

    /// The same, as a shared string.
    pub fn worker_name(&self) -> Arc<str> {
        self.worker.clone().unwrap_or_default()
    }

    /// Whether a part of its user name names the worker.
    pub fn names_worker(&self) -> bool {
        self.users.first().is_some_and(|user| user.contains('.'))
    }

    /// Whether this name was authorized before.
    fn knows_user(&self, user: &str) -> bool {
        self.users.iter().any(|known| known == user)
    }

    /// Records the names of a `mining.authorize`. The first one names the worker for the pools, which want one name per
    /// connection (compat Q16, Q55). `false` if there are too many.
    pub fn add_user(&mut self, user: String, password: String) -> bool {
        if self.knows_user(&user) {
            return true;
        }
        if self.users.len() >= MOST_USERS {
            return false;
        }
        if self.users.is_empty() {
            self.worker = Some(worker_of(&user).into());
            self.password = password;
        }
        self.users.push(user);
        true
    }

    /// No pool has accepted the names, so the next one names the miner.
    pub fn forget_users(&mut self) {
        self.users.clear();
    }

    /// What a pool calls the miner.
    pub fn user_at(&self, pool: &PoolConfig) -> String {
        let own = self.users.first().map_or("", String::as_str);
        pool.user_name.of(&pool.wallet, self.worker(), own)
    }

    /// The user name and password for a pool.
    pub fn identity(&self, pool: &PoolConfig) -> Identity {
        Identity {
            address: Arc::from(pool.address()),
            user_agent: self
                .user_agent
                .clone()
                .unwrap_or_else(|| OWN_USER_AGENT.to_owned()),
            user: Arc::from(self.user_at(pool)),
            has_worker: true,
            password: pool
                .password
                .as_deref()
                .unwrap_or(&self.password)
                .to_owned(),
            version_rolling: self.rolling.is_some(),
            suggested: self.suggested,
        }
    }

    /// Keeps a request until the pools are known; `false` if there are too many.
    pub fn postpone(&mut self, id: RequestId, call: MinerCall) -> bool {
        let room = self.waiting.len() < MOST_WAITING;
        if room {
            self.waiting.push_back((id, call));
        }
        room
    }

    /// Whether requests wait.
    pub fn has_postponed(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// The user name of an authorization that waits.
    pub fn postponed_user(&self) -> Option<&str> {
        self.waiting.iter().find_map(|(_, call)| {
            let MinerCall::Authorize { user, .. } = call else {
                return None;
            };
            Some(user.as_str())
        })
    }

    /// Waiting requests will get no answer, except for shares.
    pub fn forget_postponed(&mut self) {
        let is_share = |call: &MinerCall| {
            matches!(
                call,
                MinerCall::Submit(_) | MinerCall::UnreadableSubmit { .. }
            )
        };
        self.waiting.retain(|(_, call)| is_share(call));
    }

    /// The next waiting request.
    pub fn next_postponed(&mut self) -> Option<(RequestId, MinerCall)> {
        self.waiting.pop_front()
    }
}

/// The worker's name in a user name, without invalid characters, and not longer than pools accept.
pub fn worker_of(user: &str) -> String {
    let worker = user.split_once('.').map_or(user, |(_, worker)| worker);
    let worker = worker.replace(is_hidden, "");
    let mut end = worker.len().min(LONGEST_WORKER);
    while !worker.is_char_boundary(end) {
        end -= 1;
    }
    worker[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worker_name_is_the_text_after_the_first_dot() {
        assert_eq!(worker_of("wallet.rig.1"), "rig.1");
        assert_eq!(worker_of("bitaxe"), "bitaxe");
        assert_eq!(worker_of("wallet."), "");
        assert_eq!(worker_of("wallet.\u{1b}[2Jrig\n1"), "[2Jrig1");
        assert_eq!(worker_of("wallet.rig\u{202e}1\u{2066}"), "rig1");
        assert_eq!(worker_of(&"ä".repeat(100)).len(), 128);
    }

    #[test]
    fn the_first_name_remains_the_worker_name() {
        let mut session = Session::default();
        assert!(session.add_user("w.one".into(), "x".into()));
        assert!(session.add_user("w.two".into(), "y".into()));
        assert_eq!(session.worker(), "one");
        assert!(session.knows_user("w.two") && !session.knows_user("one"));
        for index in 0..100 {
            session.add_user(format!("w{index}"), String::new());
        }
        assert!(!session.knows_user("w99"));
    }
}

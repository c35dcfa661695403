//! How a simulated miner begins a conversation.

use std::collections::VecDeque;

use serde_json::{Value, json};

use crate::sim::miner::options::{Handshake, MinerOptions};

/// A request of the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Configure,
    Subscribe,
    Authorize,
    SubscribeExtranonce,
    SuggestDifficulty,
}

/// The steps of a handshake; each is one write and waits for all answers to the previous one.
pub(super) fn plan(options: &MinerOptions) -> VecDeque<Vec<Call>> {
    use Call::{Authorize, Configure, Subscribe, SubscribeExtranonce, SuggestDifficulty};
    let steps: &[&[Call]] = match options.handshake {
        Handshake::Cpuminer => &[&[Subscribe], &[Authorize], &[SubscribeExtranonce]],
        Handshake::Cgminer => &[
            &[Configure],
            &[Subscribe],
            &[Authorize],
            &[SuggestDifficulty],
            &[SubscribeExtranonce],
        ],
        Handshake::Axeos => &[&[
            Configure,
            Subscribe,
            Authorize,
            SuggestDifficulty,
            SubscribeExtranonce,
        ]],
        Handshake::SubscribeFirst => &[
            &[Subscribe],
            &[Configure],
            &[SuggestDifficulty],
            &[SubscribeExtranonce],
            &[Authorize],
        ],
        Handshake::ConfigureLast => &[&[Subscribe, Authorize], &[Configure]],
    };
    let wanted = |call: &Call| match call {
        Configure => options.rolling.is_some(),
        SubscribeExtranonce => options.extranonce_subscribe,
        SuggestDifficulty => options.suggest.is_some(),
        Subscribe | Authorize => true,
    };
    let keep = |step: &&[Call]| step.iter().copied().filter(wanted).collect::<Vec<_>>();
    let steps = steps.iter().map(keep);
    steps.filter(|step| !step.is_empty()).collect()
}

/// A request as a line.
pub(super) fn request(options: &MinerOptions, call: Call, id: &Value) -> String {
    let (method, params) = match call {
        Call::Configure => {
            let mask = format!("{:08x}", options.rolling.unwrap_or(0));
            let wants = json!({"version-rolling.mask": mask, "version-rolling.min-bit-count": 2});
            ("mining.configure", json!([["version-rolling"], wants]))
        }
        Call::Subscribe => ("mining.subscribe", json!([options.user_agent])),
        Call::Authorize => ("mining.authorize", json!([options.user, options.password])),
        Call::SubscribeExtranonce => ("mining.extranonce.subscribe", json!([])),
        Call::SuggestDifficulty => (
            "mining.suggest_difficulty",
            json!([options.suggest.unwrap_or(1.0)]),
        ),
    };
    format!("{{\"id\":{id},\"method\":\"{method}\",\"params\":{params}}}\n")
}

/// The mask in the answer to `mining.configure`, if rolling was granted.
pub(super) fn granted_mask(result: &Value) -> Option<u32> {
    if result.get("version-rolling")? != &Value::Bool(true) {
        return None;
    }
    u32::from_str_radix(result.get("version-rolling.mask")?.as_str()?, 16).ok()
}

/// Extranonce1 and the size of extranonce2 in the answer to `mining.subscribe`.
pub(super) fn subscription(result: &Value) -> Option<(Vec<u8>, usize)> {
    let [.., e1, e2_size] = &result.as_array()?[..] else {
        return None;
    };
    let e2_size = e2_size
        .as_u64()
        .and_then(|size| usize::try_from(size).ok())?;
    Some((hex::decode(e1.as_str()?).ok()?, e2_size))
}

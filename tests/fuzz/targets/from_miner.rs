//! Messages from miners, one per line of the input. Messages that were understood must survive writing and reading, and
//! every answer must be a line of JSON with the miner's id.

use dpmp::stratum::codec::{decode_miner, decode_pool};
use dpmp::stratum::message::{
    FromMiner, FromPool, MinerCall, PoolCall, PoolSubmit, Reply, RequestId, Submit, ToMiner, ToPool,
};
use dpmp::stratum::reject::RejectReason;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::written;

pub fn run(data: &[u8]) {
    for line in data.split(|byte| *byte == b'\n') {
        match decode_miner(line) {
            Ok(FromMiner::Request { id, call }) => understood(&id, call),
            Ok(FromMiner::NoAnswer) => (),
            Err(error) => assert!(error.to_string().len() < 500, "{error}"),
        }
        // A pool may send it, too.
        if let Ok(FromPool::Ping(id) | FromPool::GetVersion(id)) = decode_pool(line) {
            answered(&id, &written(&ToPool::Pong { id: id.clone() }));
        }
    }
}

fn understood(id: &RequestId, call: MinerCall) {
    let reply = |reply| {
        written(&ToMiner::Reply {
            id: id.clone(),
            reply,
        })
    };
    for plain in [
        Reply::True,
        Reply::Pong,
        Reply::Rejected(RejectReason::Stale.into()),
        Reply::Refused(RejectReason::Unauthorized.into()),
    ] {
        answered(id, &reply(plain));
    }
    match call {
        MinerCall::Configure(asked) => {
            let mask = asked.version_rolling.unwrap_or_default();
            let again = PoolCall::Configure(mask);
            if asked.version_rolling.is_some() {
                let MinerCall::Configure(read) = read_again(again) else {
                    panic!("configure was lost");
                };
                assert_eq!(read.version_rolling, Some(mask));
            }
            answered(id, &reply(Reply::Configured { asked, mask }));
        }
        MinerCall::Submit(submit) => {
            let Some(job) = submit.job else { return };
            let again = PoolCall::Submit(Box::new(PoolSubmit {
                user: "wallet.worker".into(),
                job_id: job.to_string(),
                e2: submit.e2,
                ntime: submit.ntime,
                nonce: submit.nonce,
                version_bits: submit.version_bits,
            }));
            let again: Submit = match read_again(again) {
                MinerCall::Submit(submit) => submit,
                other => panic!("{other:?}"),
            };
            assert_eq!(again, submit);
        }
        MinerCall::Subscribe {
            user_agent: Some(user_agent),
        } => {
            let call = PoolCall::Subscribe {
                user_agent: user_agent.clone(),
            };
            let user_agent = Some(user_agent);
            assert_eq!(read_again(call), MinerCall::Subscribe { user_agent });
        }
        MinerCall::Authorize { user, password } => {
            let call = PoolCall::Authorize {
                user: user.clone(),
                password: password.clone(),
            };
            assert_eq!(read_again(call), MinerCall::Authorize { user, password });
        }
        MinerCall::SuggestDifficulty(difficulty) => {
            let call = PoolCall::SuggestDifficulty(difficulty);
            assert_eq!(read_again(call), MinerCall::SuggestDifficulty(difficulty));
        }
        MinerCall::Subscribe { user_agent: None }
        | MinerCall::SubscribeExtranonce
        | MinerCall::UnreadableSubmit { .. }
        | MinerCall::Ping
        | MinerCall::Invalid { .. }
        | MinerCall::Unknown { .. } => (),
    }
}

/// Written as a request to a pool, and read as if a miner had sent it.
fn read_again(call: PoolCall) -> MinerCall {
    let [line] = &written(&ToPool::Request { id: 5, call })[..] else {
        panic!("a request is one line");
    };
    match decode_miner(line.as_bytes()) {
        Ok(FromMiner::Request { call, .. }) => call,
        other => panic!("{line} is read as {other:?}"),
    }
}

/// One line, with the id unchanged.
fn answered(id: &RequestId, lines: &[String]) {
    let [line] = lines else {
        panic!("an answer is one line: {lines:?}");
    };
    let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(line).expect("an object");
    assert_eq!(fields["id"].get(), id.as_json());
    assert!(fields.contains_key("result") && fields.contains_key("error"));
}

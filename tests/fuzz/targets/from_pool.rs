//! Messages from pools, one per line of the input. What is forwarded to the miner must be JSON with the same meaning.

use std::sync::Arc;

use dpmp::stratum::codec::{Encode as _, decode_pool};
use dpmp::stratum::job::{Notify, PoolJob, Solution, network_difficulty};
use dpmp::stratum::message::{FromPool, Outcome, Reply, RequestId, ToMiner, ToPool, Work};
use dpmp::units::{Difficulty, Extranonce1, Extranonce2, JobId, MinerExtranonce, VersionMask};

use super::written;

/// The most characters kept of a pool's text, including escapes.
const LONGEST_TEXT: usize = 1000;

pub fn run(data: &[u8]) {
    let (mut difficulty, mut mask) = (Difficulty::ONE, VersionMask::NONE);
    let (mut e1, mut e2_size) = (Extranonce1::default(), 8);
    for line in data.split(|byte| *byte == b'\n') {
        match decode_pool(line) {
            Ok(FromPool::Notify(notify)) => {
                let job = PoolJob::new(notify, e1, e2_size, difficulty, mask);
                passed_on(job);
            }
            Ok(FromPool::SetDifficulty(new)) => difficulty = new,
            Ok(FromPool::SetVersionMask(new)) => mask = new,
            Ok(FromPool::SetExtranonce(new)) => (e1, e2_size) = (new.e1, new.e2_size),
            Ok(FromPool::Response { outcome, .. }) => match outcome {
                Outcome::Subscribed(new) => (e1, e2_size) = (new.e1, new.e2_size),
                Outcome::Rejected(reject) => {
                    let reply = Reply::Rejected(reject);
                    let id = RequestId::null();
                    written(&ToMiner::Reply { id, reply });
                }
                Outcome::Other(text) => short(&text),
                Outcome::True | Outcome::Configured(_) => (),
            },
            Ok(FromPool::GetVersion(id)) => {
                let user_agent = String::from_utf8_lossy(line).into_owned();
                written(&ToPool::Version { id, user_agent });
            }
            Ok(FromPool::Ping(id)) => {
                written(&ToPool::Pong { id });
            }
            Ok(FromPool::ShowMessage(text) | FromPool::Unknown { method: text }) => short(&text),
            Ok(FromPool::Reconnect { host, port, .. }) => {
                short(&host.unwrap_or_default());
                assert_ne!(port, Some(0));
            }
            Ok(FromPool::Invalid { problem, .. }) => short(&problem),
            Err(error) => assert!(error.to_string().len() < 500, "{error}"),
        }
    }
}

fn short(text: &str) {
    assert!(text.chars().count() <= LONGEST_TEXT, "{text:?}");
}

/// The job as a miner would receive it, read back.
fn passed_on(job: PoolJob) {
    let size = usize::from(job.e2_size);
    let extranonce = MinerExtranonce {
        e1: Extranonce1::new(&[7][..size.min(1)]).expect("it is short"),
        e2_size: job.e2_size.saturating_sub(1).min(4),
    };
    let padding = job.padding(&extranonce).expect("it was made to fit");
    let solution = Solution {
        e2: Extranonce2::new(&[0; 4][..usize::from(extranonce.e2_size)]).expect("it is short"),
        ntime: job.notify.ntime,
        nonce: 0,
        version: job.notify.version,
    };
    let hash = job.hash(&extranonce, &solution).expect("it fits");
    assert!(hash.difficulty() > 0.0 && network_difficulty(job.notify.nbits) > 0.0);
    let _ = hash.is_block(job.notify.nbits);
    let e2 = job.pool_extranonce2(&extranonce, &solution.e2);
    assert_eq!(e2.expect("it fits").len(), size);

    let (notify, e1) = (Arc::clone(&job.notify), job.e1);
    let work = Work {
        set_extranonce: true,
        difficulty: Some(job.difficulty.for_miner()),
        mask: Some(job.mask),
        job: JobId(0x1f),
        ntime: notify.ntime,
        clean: notify.clean,
        pool_job: Arc::new(job),
        extranonce,
    };
    let difficulty = work.difficulty;
    let mask = work.mask;
    let message = ToMiner::Work(Box::new(work));
    assert_eq!(written(&message).len(), 4);
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    let read: Vec<_> = bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| decode_pool(line).expect("we can read what we write"))
        .collect();
    let [
        FromPool::SetExtranonce(extranonces),
        FromPool::SetDifficulty(told),
        FromPool::SetVersionMask(told_mask),
        FromPool::Notify(job),
    ] = &read[..]
    else {
        panic!("a miner reads {read:?}");
    };
    assert_eq!(
        (extranonces.e1, extranonces.e2_size),
        (extranonce.e1, extranonce.e2_size)
    );
    assert_eq!((Some(*told), Some(*told_mask)), (difficulty, mask));
    let folded = [&notify.coinb1, e1.as_slice(), &vec![0; padding]].concat();
    let expected = Notify {
        job_id: "1f".into(),
        coinb1: folded,
        ..(*notify).clone()
    };
    assert_eq!(**job, expected);
}

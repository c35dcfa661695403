//! Parsing lines, writing lines, and checking a share.
//!
//! `cargo bench --bench stratum`; `docs/performance.md` has results and explains them.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on says so and ends"
)]

use std::io::Cursor;
use std::sync::Arc;

use divan::counter::BytesCount;
use divan::{AllocProfiler, Bencher, black_box};
use dpmp::stratum::codec::{Encode, decode_miner, decode_pool};
use dpmp::stratum::job::{PoolJob, Solution};
use dpmp::stratum::line::LineReader;
use dpmp::stratum::message::{FromPool, PoolCall, PoolSubmit, ToMiner, ToPool, Work};
use dpmp::units::{Difficulty, Extranonce1, Extranonce2, JobId, MinerExtranonce, VersionMask};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// A share as a Bitaxe sends it.
const SUBMIT: &str = r#"{"id": 12, "method": "mining.submit", "params": ["bc1qexampleexampleexampleexampleexample.bitaxe", "1f", "00000000", "6523a1b2", "8d3c1f02", "00c62000"]}"#;

/// The pool's answer.
const ANSWER: &str = r#"{"id":12,"result":true,"error":null}"#;

/// A job of a full block, as pools send it.
fn notify_line() -> String {
    let branches = vec![format!("\"{}\"", "5a".repeat(32)); 12].join(",");
    let (prevhash, coinb1, coinb2) = ("00".repeat(32), "01".repeat(60), "ab".repeat(120));
    format!(
        r#"{{"id":null,"method":"mining.notify","params":["65a1","{prevhash}","{coinb1}","{coinb2}",[{branches}],"20000000","17023a04","6523a1b2",false]}}"#
    )
}

/// The same job as the pool connection stores it.
fn pool_job() -> PoolJob {
    let FromPool::Notify(notify) = decode_pool(notify_line().as_bytes()).unwrap() else {
        unreachable!("it is a notify");
    };
    PoolJob::new(
        notify,
        Extranonce1::new(&[1, 2, 3, 4]).unwrap(),
        8,
        Difficulty::ONE,
        VersionMask::BIP320,
    )
}

fn miner_extranonce() -> MinerExtranonce {
    MinerExtranonce {
        e1: Extranonce1::new(&[0, 0, 0, 1]).unwrap(),
        e2_size: 4,
    }
}

/// A hundred lines cut out of socket data that comes a kilobyte at a time.
#[divan::bench]
fn cut_lines(bencher: Bencher<'_, '_>) {
    let stream = format!("{SUBMIT}\n").repeat(100);
    bencher
        .counter(BytesCount::of_str(&stream))
        .bench_local(|| {
            let mut lines = LineReader::new(Cursor::new(&stream), 4096);
            let mut count = 0;
            while let Ok(Some(length)) = lines.next_line(<[u8]>::len) {
                count += length;
            }
            count
        });
}

#[divan::bench]
fn read_submit(bencher: Bencher<'_, '_>) {
    bencher
        .counter(BytesCount::of_str(SUBMIT))
        .bench_local(|| decode_miner(black_box(SUBMIT.as_bytes())));
}

#[divan::bench]
fn read_answer(bencher: Bencher<'_, '_>) {
    bencher
        .counter(BytesCount::of_str(ANSWER))
        .bench_local(|| decode_pool(black_box(ANSWER.as_bytes())));
}

#[divan::bench]
fn read_notify(bencher: Bencher<'_, '_>) {
    let line = notify_line();
    bencher
        .counter(BytesCount::of_str(&line))
        .bench_local(|| decode_pool(black_box(line.as_bytes())));
}

#[divan::bench]
fn write_notify(bencher: Bencher<'_, '_>) {
    let job = Arc::new(pool_job());
    let message = ToMiner::Work(Box::new(Work {
        set_extranonce: false,
        difficulty: None,
        mask: None,
        job: JobId(31),
        extranonce: miner_extranonce(),
        ntime: job.notify.ntime,
        clean: false,
        pool_job: job,
    }));
    let mut buffer = Vec::new();
    message.encode(&mut buffer);
    bencher
        .counter(BytesCount::new(buffer.len()))
        .bench_local(|| {
            buffer.clear();
            black_box(&message).encode(&mut buffer);
            buffer.len()
        });
}

#[divan::bench]
fn write_submit(bencher: Bencher<'_, '_>) {
    let message = ToPool::Request {
        id: 12,
        call: PoolCall::Submit(Box::new(PoolSubmit {
            user: "bc1qexampleexampleexampleexampleexample.bitaxe".into(),
            job_id: "65a1".into(),
            e2: Extranonce2::new(&[0; 8]).unwrap(),
            ntime: 0x6523_a1b2,
            nonce: 0x8d3c_1f02,
            version_bits: Some(0x00c6_2000),
        })),
    };
    let mut buffer = Vec::new();
    bencher.bench_local(|| {
        buffer.clear();
        black_box(&message).encode(&mut buffer);
        buffer.len()
    });
}

/// The hash of a share: coinbase, twelve branches, header.
#[divan::bench]
fn verify_share(bencher: Bencher<'_, '_>) {
    let (job, extranonce) = (pool_job(), miner_extranonce());
    let mut nonce = 0;
    bencher.bench_local(move || {
        nonce += 1;
        let solution = Solution {
            e2: Extranonce2::new(&[0; 4]).unwrap(),
            ntime: job.notify.ntime,
            nonce,
            version: 0x2000_2000,
        };
        job.hash(&extranonce, &solution)
            .map(|hash| hash.difficulty())
    });
}

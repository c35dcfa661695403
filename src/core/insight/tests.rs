//! When a block starts to count, and what a coinbase reveals.

use std::time::Duration;

use super::payee::Obstacle;
use super::*;
use crate::stratum::coinbase::tests::transaction;

const WALLET: &str = "1BpEi6DfDAUFd7GtittLSdBeYJvcoaVggu";

fn on_block(number: u8) -> Notify {
    let mut coinb1 = transaction(&[1, number], &[(5, vec![0x51])]);
    let coinb2 = coinb1.split_off(44);
    Notify {
        job_id: "1".into(),
        prevhash: [number; 32],
        coinb1,
        coinb2,
        branches: Vec::new(),
        version: 1,
        nbits: 0x1703_4219,
        ntime: 0,
        clean: true,
    }
}

#[test]
fn a_blocks_age_counts_from_when_it_was_first_seen() {
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    let start = Instant::now();
    let at = |seconds| Now {
        at: start + Duration::from_secs(seconds),
        unix_ms: 1000 * seconds,
    };
    let mut insight = Insight::default();
    let mut since = |block, opened, now| {
        let job = on_block(block);
        insight.job_came(&job, at(opened).at, at(now));
        insight.hear(&job, None, WALLET, "BTC");
        insight.view(at(now)).unwrap().block_since
    };
    assert_eq!(since(20, 0, 1), None, "it may be old");
    assert_eq!(since(20, 0, 31), None);
    assert_eq!(since(21, 0, 45), Some(45_000));
    assert_eq!(since(21, 0, 75), Some(45_000));
    // Another connection that stood all along, and one that came later.
    assert_eq!(since(22, 10, 80), Some(80_000));
    assert_eq!(since(22, 90, 91), Some(80_000));
    assert_eq!(since(23, 100, 101), None);
    assert_eq!(since(24, 100, 102), Some(102_000));
}

#[test]
fn the_coinbase_is_shown_only_if_it_can_be_read() {
    let job = on_block(20);
    let mut insight = Insight::default();
    assert_eq!(insight.hear_once(&job, None), (Some(20), None));
    let tag = [&[1, 20], "/x".repeat(30).as_bytes()].concat();
    let bytes = transaction(&tag, &[(5, vec![0x51]), (7, vec![])]);
    let (height, coinbase) = insight.hear_once(&job, Coinbase::read(bytes));
    assert_eq!(height, Some(20));
    let expected = CoinbaseView {
        tag: Some("/x".repeat(20)),
        reward: 12,
        outputs: 2,
    };
    assert_eq!(coinbase, Some(expected));
}

impl Insight {
    fn hear_once(
        &mut self,
        job: &Notify,
        coinbase: Option<Coinbase>,
    ) -> (Option<u32>, Option<CoinbaseView>) {
        self.hear(job, coinbase.as_ref(), WALLET, "BTC");
        let heard = self.job.clone().unwrap();
        if coinbase.is_none() {
            assert_eq!(heard.payee, Payee::CannotTell(Obstacle::Coinbase));
        }
        (heard.height, heard.coinbase)
    }
}

//! The coinbase of a job: the input is a serialized transaction. What is read must be all of it: written again, it
//! gives the same bytes.

use dpmp::coin::address::{Wallet, of_script};
use dpmp::coin::{Chain, Coin, Network};
use dpmp::stratum::coinbase::Coinbase;
use dpmp::stratum::job::height;

pub fn run(data: &[u8]) {
    let Some(coinbase) = Coinbase::read(data.to_vec()) else {
        return;
    };
    let tail = data.len() - 4;
    let sequence = 4 + 1 + 36 + count(coinbase.script().len()).len() + coinbase.script().len();
    let mut written = [&data[..4], &[1], &[0; 32], &[0xff; 4]].concat();
    written.extend(count(coinbase.script().len()));
    written.extend(coinbase.script());
    written.extend(&data[sequence..sequence + 4]);
    written.extend(count(coinbase.outputs().len()));
    let mut reward = 0;
    for output in coinbase.outputs() {
        let script = coinbase.script_of(output);
        assert_eq!(Some(script), data.get(output.script.clone()));
        written.extend(output.value.to_le_bytes());
        written.extend(count(script.len()));
        written.extend(script);
        reward += output.value;
        assert!(coinbase.paid_to(script) >= output.value);
        for coin in Coin::ALL {
            let network = Network::Main;
            if let Some(text) = of_script(script, Chain { coin, network }) {
                let Wallet::Address(address) = Wallet::read(&text) else {
                    panic!("{text} is no address");
                };
                assert_eq!(address.script, script, "{text}");
            }
        }
    }
    written.extend(&data[tail..]);
    assert_eq!(written, data);
    assert!(!coinbase.outputs().is_empty(), "it has no output");
    assert_eq!(coinbase.reward(), reward);
    // None of these may panic.
    let _ = (
        height(data),
        coinbase.tag(),
        coinbase.has_witness_commitment(),
    );
    // A shorter part is not a coinbase.
    assert_eq!(Coinbase::read(data[..data.len() - 1].to_vec()), None);
}

/// A count or length as nodes encode it.
fn count(number: usize) -> Vec<u8> {
    let number = number as u64;
    let bytes = number.to_le_bytes();
    let (mark, size) = match number {
        0..0xfd => (None, 1),
        0xfd..0x1_0000 => (Some(0xfd), 2),
        0x1_0000..0x1_0000_0000 => (Some(0xfe), 4),
        _ => (Some(0xff), 8),
    };
    mark.into_iter()
        .chain(bytes[..size].iter().copied())
        .collect()
}

//! The coinbase of a job: the input is a transaction as it is serialized. What is read must be in it, and all of it.

use dpmp::stratum::coinbase::Coinbase;

/// The version, one input that spends nothing with its script's length and sequence, a count of outputs, the lock time,
/// in bytes.
const FRAME: usize = 4 + (1 + 36 + 1 + 4) + 1 + 4;

pub fn run(data: &[u8]) {
    let Some(coinbase) = Coinbase::read(data.to_vec()) else {
        return;
    };
    let mut size = FRAME + coinbase.script().len();
    let mut end = 0;
    let mut reward = 0;
    for output in coinbase.outputs() {
        let script = coinbase.script_of(output);
        assert_eq!(Some(script), data.get(output.script.clone()));
        assert!(output.script.start >= end + 9, "outputs overlap");
        let value = &data[..output.script.start];
        let length = match script.len() {
            0..0xfd => 1,
            0xfd..0x1_0000 => 3,
            _ => 5,
        };
        let value = &value[value.len() - length - 8..value.len() - length];
        assert_eq!(value, output.value.to_le_bytes());
        end = output.script.end;
        reward += output.value;
        size += 8 + length + script.len();
    }
    assert!(end > 0, "it has no output");
    assert_eq!(coinbase.reward(), reward);
    // Longer counts take up to two times four bytes more.
    assert!((size..=size + 8).contains(&data.len()));
    // Less of it is no coinbase.
    assert_eq!(Coinbase::read(data[..data.len() - 1].to_vec()), None);
}

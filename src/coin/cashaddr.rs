//! Addresses in the format of Bitcoin Cash and eCash: a prefix, a colon, and base 32 with a checksum.
//!
//! Specification: "CashAddr" of the Bitcoin Cash specifications; token-aware types: CHIP-2022-02-CashTokens. The
//! checksum works like that of bech32 with another generator, so the crate `bech32` calculates it.

use bech32::Fe32;
use bech32::primitives::checksum::{Checksum, Engine};
use bech32::primitives::iter::{ByteIterExt, Fe32IterExt};

/// The checksum's generator; the residue is 1 if the checksum is correct.
struct CashAddr;

impl Checksum for CashAddr {
    type MidstateRepr = u64;
    const CODE_LENGTH: usize = 1023;
    const CHECKSUM_LENGTH: usize = 8;
    const GENERATOR_SH: [u64; 5] = [
        0x98_f2bc_8e61,
        0x79_b76d_99e2,
        0xf3_3e5f_b3c4,
        0xae_2eab_e2a8,
        0x1e_4f43_e470,
    ];
    const TARGET_RESIDUE: u64 = 1;
}

/// The kind of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The hash of a public key.
    KeyHash,
    /// The hash of a script.
    ScriptHash,
}

/// The sizes of a hash in bytes, by the lowest bits of the first byte.
const SIZES: [usize; 8] = [20, 24, 28, 32, 40, 48, 56, 64];

/// Whether `prefix` and the payload after it match the checksum.
pub(super) fn has_checksum(prefix: &str, payload: &str) -> bool {
    let Some(digits) = digits(payload) else {
        return false;
    };
    digits.len() > CashAddr::CHECKSUM_LENGTH && {
        let mut engine = begin(prefix);
        digits.iter().for_each(|digit| engine.input_fe(*digit));
        *engine.residue() == CashAddr::TARGET_RESIDUE
    }
}

/// The kind and hash of a payload in lower case with a correct checksum; `None` if it has no meaning.
pub(super) fn read(prefix: &str, payload: &str) -> Option<(Kind, Vec<u8>)> {
    if !has_checksum(prefix, payload) {
        return None;
    }
    let mut digits = digits(payload)?;
    digits.truncate(digits.len().checked_sub(CashAddr::CHECKSUM_LENGTH)?);
    let bytes: Vec<u8> = digits.iter().copied().fes_to_bytes().collect();
    // The padding bits in the last digit are zeros.
    if !bytes.iter().copied().bytes_to_fes().eq(digits) {
        return None;
    }
    let (version, hash) = bytes.split_first()?;
    if SIZES.get(usize::from(version & 7)) != Some(&hash.len()) {
        return None;
    }
    let kind = match version >> 3 {
        0 | 2 => Kind::KeyHash,
        1 | 3 => Kind::ScriptHash,
        _ => return None,
    };
    Some((kind, hash.to_vec()))
}

/// An address without its prefix; `None` for a hash of another size.
pub(super) fn write(prefix: &str, kind: Kind, hash: &[u8]) -> Option<String> {
    let size = SIZES.iter().position(|size| *size == hash.len())?;
    let kind = match kind {
        Kind::KeyHash => 0,
        Kind::ScriptHash => 8,
    };
    let version = u8::try_from(size).ok()? | kind;
    let bytes = std::iter::once(version).chain(hash.iter().copied());
    let mut engine = begin(prefix);
    let mut text = String::new();
    for digit in bytes.bytes_to_fes() {
        engine.input_fe(digit);
        text.push(digit.to_char());
    }
    // The checksum brings the residue to its target.
    for _ in 0..CashAddr::CHECKSUM_LENGTH {
        engine.input_fe(Fe32::Q);
    }
    let sum = engine.residue() ^ CashAddr::TARGET_RESIDUE;
    for place in (0..CashAddr::CHECKSUM_LENGTH).rev() {
        let digit = u8::try_from((sum >> (5 * place)) & 31).ok()?;
        text.push(Fe32::try_from(digit).ok()?.to_char());
    }
    Some(text)
}

/// The checksum after the prefix and the colon.
fn begin(prefix: &str) -> Engine<CashAddr> {
    let mut engine = Engine::new();
    for byte in prefix.bytes() {
        if let Ok(digit) = Fe32::try_from(byte & 31) {
            engine.input_fe(digit);
        }
    }
    engine.input_fe(Fe32::Q);
    engine
}

fn digits(payload: &str) -> Option<Vec<Fe32>> {
    payload.chars().map(|c| Fe32::from_char(c).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_consistent() {
        CashAddr::sanity_check();
    }

    #[test]
    fn hashes_of_all_sizes_survive_the_round_trip() {
        for (size, kind) in SIZES
            .into_iter()
            .zip([Kind::KeyHash, Kind::ScriptHash].into_iter().cycle())
        {
            let hash: Vec<u8> = (0..size).map(|at| u8::try_from(at * 3).unwrap()).collect();
            let text = write("bitcoincash", kind, &hash).unwrap();
            assert_eq!(read("bitcoincash", &text), Some((kind, hash)));
            assert_eq!(read("ecash", &text), None, "another prefix");
        }
        assert_eq!(write("bitcoincash", Kind::KeyHash, &[0; 21]), None);
    }

    /// From the test vectors of the specification: a payload of 20 bytes and one of 64.
    #[test]
    fn the_test_vectors_of_the_specification_can_be_read() {
        let hash = hex::decode("f5bf48b397dae70be82b3cca4793f8eb2b6cdac9").unwrap();
        assert_eq!(
            read("bitcoincash", "qr6m7j9njldwwzlg9v7v53unlr4jkmx6eylep8ekg2"),
            Some((Kind::KeyHash, hash.clone()))
        );
        assert_eq!(
            read("bchtest", "pr6m7j9njldwwzlg9v7v53unlr4jkmx6eyvwc0uz5t"),
            Some((Kind::ScriptHash, hash))
        );
    }
}

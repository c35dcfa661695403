//! Double SHA-256, headers and targets, written independently of [`crate::stratum::job`] in order to check it.

use sha2::{Digest, Sha256};

/// SHA-256 of SHA-256 of the parts, one after the other.
pub fn sha256d(parts: &[&[u8]]) -> [u8; 32] {
    let mut first = Sha256::new();
    for part in parts {
        first.update(part);
    }
    Sha256::digest(first.finalize()).into()
}

/// Computes the merkle root from the coinbase transaction.
pub fn merkle_root(coinbase: &[u8], branches: &[[u8; 32]]) -> [u8; 32] {
    branches.iter().fold(sha256d(&[coinbase]), |node, branch| {
        sha256d(&[&node, branch])
    })
}

/// The six fields of a block header.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// The version, rolled bits included.
    pub version: u32,
    /// The previous block's hash as in `mining.notify`.
    pub prevhash: [u8; 32],
    /// The merkle root as SHA-256 returned it.
    pub root: [u8; 32],
    /// Seconds since 1970.
    pub ntime: u32,
    /// The compact target.
    pub nbits: u32,
    /// The nonce that was tried.
    pub nonce: u32,
}

impl Header {
    /// The 80 bytes that are hashed.
    pub fn bytes(&self) -> [u8; 80] {
        let mut bytes = Vec::with_capacity(80);
        bytes.extend(self.version.to_le_bytes());
        // Stratum sends every four bytes of the hash in reverse order.
        for word in self.prevhash.chunks_exact(4) {
            bytes.extend(word.iter().rev());
        }
        bytes.extend(self.root);
        bytes.extend(self.ntime.to_le_bytes());
        bytes.extend(self.nbits.to_le_bytes());
        bytes.extend(self.nonce.to_le_bytes());
        let mut header = [0; 80];
        header.copy_from_slice(&bytes);
        header
    }

    /// The hash as SHA-256 returns it: a number with the least significant byte first.
    pub fn hash(&self) -> [u8; 32] {
        sha256d(&[&self.bytes()])
    }
}

/// The highest difficulty that a hash (least significant byte first) meets.
pub fn difficulty_of(hash: &[u8; 32]) -> f64 {
    let value = hash
        .iter()
        .rev()
        .fold(0.0, |value, byte| value * 256.0 + f64::from(*byte));
    // Difficulty 1 is 0x00000000FFFF0000…, not 2^224 (compat Q23).
    f64::from(0xffff_u16) * 2.0_f64.powi(208) / value
}

/// Whether a hash (least significant byte first) is a block under a compact target.
pub fn is_block(hash: &[u8; 32], nbits: u32) -> bool {
    let Some(target) = expand(nbits) else {
        return false;
    };
    hash.iter().rev().le(target.iter().rev())
}

/// A compact target as 32 bytes, least significant first; `None` if it is negative or too large.
fn expand(nbits: u32) -> Option<[u8; 32]> {
    let [low, middle, high, exponent] = nbits.to_le_bytes();
    if high >= 0x80 {
        return None;
    }
    let mut target = [0; 32];
    for (index, byte) in [low, middle, high].into_iter().enumerate() {
        let shifted = usize::from(exponent) + index;
        if let Some(place) = shifted.checked_sub(3) {
            match target.get_mut(place) {
                Some(slot) => *slot = byte,
                None if byte == 0 => (),
                None => return None,
            }
        }
    }
    Some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Block 125,552 of Bitcoin's main network, the usual example of a header.
    fn block_125552() -> Header {
        let bytes = |text: &str| {
            let mut bytes = [0; 32];
            hex::decode_to_slice(text, &mut bytes).unwrap();
            bytes
        };
        let mut prevhash =
            bytes("81cd02ab7e569e8bcd9317e2fe99f2de44d49ab2b8851ba4a308000000000000");
        prevhash.chunks_exact_mut(4).for_each(<[u8]>::reverse);
        Header {
            version: 1,
            prevhash,
            root: bytes("e320b6c2fffc8d750423db8b1eb942ae710e951ed797f7affc8892b0f1fc122b"),
            ntime: 0x4dd7_f5c7,
            nbits: 0x1a44_b9f2,
            nonce: 0x9546_a142,
        }
    }

    #[test]
    fn a_real_block_hashes_to_its_id_and_meets_its_target() {
        let header = block_125552();
        let mut hash = header.hash();
        assert!(is_block(&hash, header.nbits));
        assert!(!is_block(&hash, 0x1900_10f2));
        assert!(difficulty_of(&hash) > 244_112.0);
        hash.reverse();
        assert_eq!(
            hex::encode(hash),
            "00000000000000001e8d6829a8a21adc5d38d0a473b144b6765798e61f98bd1d"
        );
    }

    #[test]
    fn extreme_compact_targets_are_decoded() {
        let mut one = [0; 32];
        one[26..28].fill(0xff);
        assert_eq!(difficulty_of(&one), 1.0);
        assert_eq!(expand(0x1d00_ffff), Some(one));
        assert!(is_block(&one, 0x1d00_ffff));
        assert!(is_block(&[0; 32], 0x1d00_ffff));
        assert_eq!(expand(0x0180_0000), None, "negative");
        assert_eq!(expand(0xff12_3456), None, "too large");
        assert_eq!(expand(0x207f_ffff).unwrap()[31], 0x7f);
    }

    #[test]
    fn the_hash_code_agrees_with_the_code_it_judges() {
        let mut rng = crate::random::Random::new(1);
        for _ in 0..200 {
            let header = Header {
                version: rng.next_u32(),
                prevhash: rng.bytes(),
                root: rng.bytes(),
                ntime: rng.next_u32(),
                nbits: rng.next_u32(),
                nonce: rng.next_u32(),
            };
            let theirs = crate::stratum::job::header_hash(&crate::stratum::job::header(
                header.version,
                &header.prevhash,
                &header.root,
                header.ntime,
                header.nbits,
                header.nonce,
            ));
            let mine = header.hash();
            assert_eq!(difficulty_of(&mine), theirs.difficulty());
            for nbits in [header.nbits, 0x207f_ffff, 0x2100_8000] {
                assert_eq!(is_block(&mine, nbits), theirs.is_block(nbits), "{nbits:x}");
            }
        }
    }
}

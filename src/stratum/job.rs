//! A pool's job, the header that a miner makes from it, and the difficulty that the header's hash reaches.
//!
//! The coinbase is folded: the pool's extranonce1 and the front of its extranonce2 become part of the first half of the
//! coinbase that the miner gets. So the miner's own extranonce1 and extranonce2 never change when the pool does:
//!
//! ```text
//! pool rebuilds:  coinb1 | E1 | extranonce2 (n bytes)         | coinb2
//! miner hashes:   coinb1 | E1 | zeros | e1 | its extranonce2  | coinb2
//! ```

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::units::{Difficulty, Extranonce1, Extranonce2, MinerExtranonce, VersionMask};

/// How much easier than a network target that of the previous block may be; a target does not change by more in one
/// step.
const EASIER: f64 = 4.0;

/// The checked content of a pool's `mining.notify`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notify {
    /// The pool's own id for the job; opaque, and two pools may use the same one.
    pub job_id: String,
    /// The previous block's hash as it is sent (every four bytes reversed).
    pub prevhash: [u8; 32],
    /// The coinbase before extranonce1.
    pub coinb1: Vec<u8>,
    /// The coinbase after extranonce2.
    pub coinb2: Vec<u8>,
    /// The merkle branches, at most 32.
    pub branches: Vec<[u8; 32]>,
    /// The header's version.
    pub version: u32,
    /// The network target in compact form.
    pub nbits: u32,
    /// The header's time, in seconds since 1970.
    pub ntime: u32,
    /// Whether all earlier jobs of this pool connection are stale now.
    pub clean: bool,
}

impl Notify {
    /// The previous block's hash.
    pub fn previous(&self) -> BlockHash {
        let mut hash = [0; 32];
        let words = self.prevhash.chunks_exact(4).rev();
        for (to, from) in hash.chunks_exact_mut(4).zip(words) {
            to.copy_from_slice(from);
        }
        BlockHash(hash)
    }

    /// The height of the future block, if the coinbase begins with it (BIP 34).
    pub fn height(&self) -> Option<u32> {
        height(&self.coinb1)
    }
}

/// The height of a coinbase's block, if the coinbase begins with it (BIP 34). The first half of the coinbase is enough.
pub fn height(coinbase: &[u8]) -> Option<u32> {
    // Version, number of inputs, the empty outpoint, and the size of the script.
    let script = coinbase.get(4 + 1 + 36 + 1..)?;
    let (size, rest) = script.split_first()?;
    match size {
        // Heights below 17 have an opcode of their own: OP_0, and OP_1 to OP_16.
        0 => Some(0),
        0x51..=0x60 => Some(u32::from(size - 0x50)),
        1..=5 => {
            let bytes = rest.get(..usize::from(*size))?.iter().rev();
            let height = bytes.fold(0, |height, byte| (height << 8) | u64::from(*byte));
            let height = u32::try_from(height).ok();
            height.filter(|height| i32::try_from(*height).is_ok())
        }
        _ => None,
    }
}

/// A pool's job together with the settings of the pool connection when it came. It never changes: later changes of the
/// connection affect later jobs (compat Q40).
#[derive(Clone)]
pub struct PoolJob {
    /// The pool's message; shared by all connections that received the same one.
    pub notify: Arc<Notify>,
    /// The extranonce1 that the pool gave to this connection.
    pub e1: Extranonce1,
    /// The size of the extranonce2 that the pool expects, in bytes.
    pub e2_size: u8,
    /// The difficulty that a share for this job must meet at the pool.
    pub difficulty: Difficulty,
    /// The version bits that the pool lets this connection change.
    pub mask: VersionMask,
    /// Identifies the work before it is given to a miner: the same work under another job id has the same key.
    pub work: WorkKey,
    /// SHA-256 after `coinb1 | E1`: the same for every share of the job.
    coinbase_start: Sha256,
}

/// Identifies a miner's work except for the header's time. If two jobs have the same key and time, a miner that
/// restarts its extranonce2 finds the same shares for both. A pool may send one template under several job ids, or the
/// same one after a reconnect with an unchanged extranonce1 (compat Q54).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkKey {
    /// Represents everything before the miner's extranonce2: the pool's extranonce1, zeros and the miner's extranonce1.
    pub place: u64,
    /// Represents everything else, and the pool's extranonces.
    pub template: u64,
}

impl WorkKey {
    /// The key of anything; it is the same in every run of the program. Two different things can have the same key,
    /// which does no harm.
    pub fn of(place: impl Hash, what: impl Hash) -> Self {
        let mut hasher = StableHasher::default();
        place.hash(&mut hasher);
        let place = hasher.finish();
        what.hash(&mut hasher);
        let template = hasher.finish();
        Self { place, template }
    }
}

/// Ranges of at most so many bytes have smaller ones inside: where pools leave more, all miners have the same size.
const WIDEST_RANGE: u8 = 4;

impl WorkKey {
    /// The key of all work in smaller ranges inside this one.
    pub fn inside(self) -> Self {
        let place = self.place.rotate_left(1) ^ MIX;
        Self { place, ..self }
    }
}

/// Spreads a number over all 64 bits: the golden ratio.
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

/// A hash that is the same in every run: the standard library's may change with its version. It handles eight bytes at
/// a time, because each connection of a farm hashes each job.
#[derive(Clone, Copy, Default)]
pub struct StableHasher(u64);

impl Hasher for StableHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            let word = u64::from_le_bytes(word);
            self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(MIX);
        }
    }
}

impl fmt::Debug for PoolJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolJob")
            .field("job_id", &self.notify.job_id)
            .field("ntime", &self.notify.ntime)
            .field("e1", &self.e1)
            .field("e2_size", &self.e2_size)
            .field("difficulty", &self.difficulty)
            .field("mask", &self.mask)
            .finish_non_exhaustive()
    }
}

impl PartialEq for PoolJob {
    fn eq(&self, other: &Self) -> bool {
        self.notify == other.notify
            && self.e1 == other.e1
            && self.e2_size == other.e2_size
            && self.difficulty == other.difficulty
            && self.mask == other.mask
    }
}

/// The values that a miner varies to find a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Solution {
    /// The miner's part of the extranonce2.
    pub e2: Extranonce2,
    /// The header's time.
    pub ntime: u32,
    /// The header's nonce.
    pub nonce: u32,
    /// The header's version, rolled bits included.
    pub version: u32,
}

impl PoolJob {
    /// Ties a pool's job to the connection it came on.
    pub fn new(
        notify: Arc<Notify>,
        e1: Extranonce1,
        e2_size: u8,
        difficulty: Difficulty,
        mask: VersionMask,
    ) -> Self {
        let coinbase_start = Sha256::new()
            .chain_update(&notify.coinb1)
            .chain_update(e1.as_slice());
        let Notify {
            prevhash,
            coinb1,
            coinb2,
            branches,
            version,
            nbits,
            ..
        } = &*notify;
        let work = (prevhash, coinb1, coinb2, branches, version, nbits);
        let work = WorkKey::of((e1.as_slice(), e2_size), work);
        Self {
            work,
            notify,
            e1,
            e2_size,
            difficulty,
            mask,
            coinbase_start,
        }
    }

    /// The same job with another difficulty.
    pub fn with_difficulty(&self, difficulty: Difficulty) -> Self {
        Self {
            difficulty,
            ..self.clone()
        }
    }

    /// The same job with another version mask.
    pub fn with_mask(&self, mask: VersionMask) -> Self {
        Self {
            mask,
            ..self.clone()
        }
    }

    /// How many zero bytes are between the pool's extranonce1 and the miner's; `None` if the miner's extranonces do not
    /// fit into the pool's extranonce2.
    pub fn padding(&self, miner: &MinerExtranonce) -> Option<usize> {
        usize::from(self.e2_size).checked_sub(miner.size())
    }

    /// The key of a miner's work on this job. With the zeros before it, an extranonce1 is a number: `0003` and `00000003`
    /// make the same coinbase.
    pub fn work_of(&self, miner: &MinerExtranonce) -> WorkKey {
        self.work_in(miner, 0)
    }

    /// The keys of the work in the larger ranges around a miner's: without the last bytes of its extranonce1, as
    /// miners with longer extranonces2 have it.
    pub fn work_around(&self, miner: &MinerExtranonce) -> impl Iterator<Item = WorkKey> {
        (1..=WIDEST_RANGE.saturating_sub(miner.e2_size)).map(|bytes| self.work_in(miner, bytes))
    }

    fn work_in(&self, miner: &MinerExtranonce, bytes: u8) -> WorkKey {
        let e1 = miner.e1.as_slice().iter();
        let number = e1.fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        let number = number >> (8 * u32::from(bytes));
        let own = number.rotate_left(8) ^ u64::from(miner.e2_size + bytes);
        WorkKey {
            place: (self.work.place ^ own).wrapping_mul(MIX),
            template: self.work.template,
        }
    }

    /// The extranonce2 for the pool: zeros, the miner's extranonce1, the miner's extranonce2.
    pub fn pool_extranonce2(
        &self,
        miner: &MinerExtranonce,
        e2: &Extranonce2,
    ) -> Option<Extranonce2> {
        let mut bytes = vec![0; self.padding(miner)?];
        bytes.extend_from_slice(miner.e1.as_slice());
        bytes.extend_from_slice(e2.as_slice());
        Extranonce2::new(&bytes)
    }

    /// The hash of the header that a miner builds from this job; `None` if its extranonces do not fit.
    pub fn hash(&self, miner: &MinerExtranonce, solution: &Solution) -> Option<BlockHash> {
        self.header(miner, solution).as_ref().map(header_hash)
    }

    /// The header that a miner builds from this job; `None` if its extranonces do not fit.
    pub fn header(&self, miner: &MinerExtranonce, solution: &Solution) -> Option<[u8; 80]> {
        let zeros = [0u8; crate::units::MAX_EXTRANONCE];
        let coinbase = self
            .coinbase_start
            .clone()
            .chain_update(zeros.get(..self.padding(miner)?)?)
            .chain_update(miner.e1.as_slice())
            .chain_update(solution.e2.as_slice())
            .chain_update(&self.notify.coinb2)
            .finalize();
        let root = self
            .notify
            .branches
            .iter()
            .fold(twice(coinbase), |root, branch| {
                twice(
                    Sha256::new()
                        .chain_update(root)
                        .chain_update(branch)
                        .finalize(),
                )
            });
        Some(header(
            solution.version,
            &self.notify.prevhash,
            &root,
            solution.ntime,
            self.notify.nbits,
            solution.nonce,
        ))
    }

    /// The coinbase with an extranonce2 as sent to the pool.
    pub fn coinbase(&self, e2: &Extranonce2) -> Vec<u8> {
        let notify = &self.notify;
        let parts = [
            &notify.coinb1,
            self.e1.as_slice(),
            e2.as_slice(),
            &notify.coinb2,
        ];
        parts.concat()
    }
}

/// Applies version bits according to BIP 310: the masked bits are replaced, the others stay as in the job.
pub fn roll_version(job_version: u32, mask: VersionMask, bits: u32) -> u32 {
    (job_version & !mask.0) | (bits & mask.0)
}

/// Builds a block header. `prevhash` is in the order in which it is sent, `root` as SHA-256 returned it.
pub fn header(
    version: u32,
    prevhash: &[u8; 32],
    root: &[u8; 32],
    ntime: u32,
    nbits: u32,
    nonce: u32,
) -> [u8; 80] {
    let mut header = [0; 80];
    header[0..4].copy_from_slice(&version.to_le_bytes());
    for (to, from) in header[4..36]
        .chunks_exact_mut(4)
        .zip(prevhash.chunks_exact(4))
    {
        to.copy_from_slice(from);
        to.reverse();
    }
    header[36..68].copy_from_slice(root);
    header[68..72].copy_from_slice(&ntime.to_le_bytes());
    header[72..76].copy_from_slice(&nbits.to_le_bytes());
    header[76..80].copy_from_slice(&nonce.to_le_bytes());
    header
}

/// The double SHA-256 of a header.
pub fn header_hash(header: &[u8; 80]) -> BlockHash {
    let mut hash = twice(Sha256::digest(header));
    hash.reverse();
    BlockHash(hash)
}

/// The second round of a double SHA-256.
fn twice(first: impl AsRef<[u8]>) -> [u8; 32] {
    Sha256::digest(first.as_ref()).into()
}

/// A header's hash, most significant byte first, as block explorers show it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BlockHash(pub [u8; 32]);

impl BlockHash {
    /// The highest difficulty that this hash meets. Infinite for a hash of zero.
    pub fn difficulty(&self) -> f64 {
        difficulty_of(&self.0)
    }

    /// Whether the hash is a block under this compact network target.
    pub fn is_block(&self, nbits: u32) -> bool {
        self.0 <= target(nbits)
    }

    /// Whether it took enough work to be the block before one under `nbits`.
    pub fn may_precede(&self, nbits: u32) -> bool {
        let needed = network_difficulty(nbits);
        needed.is_finite() && self.difficulty() * EASIER >= needed
    }

    /// Eight bytes that differ between any two shares (the least significant ones, which are random at any difficulty).
    pub fn key(&self) -> u64 {
        self.0[24..]
            .iter()
            .fold(0, |key, byte| (key << 8) | u64::from(*byte))
    }
}

impl fmt::Display for BlockHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BlockHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The network difficulty for a compact target; infinite if nothing can meet it.
pub fn network_difficulty(nbits: u32) -> f64 {
    difficulty_of(&target(nbits))
}

fn difficulty_of(value: &[u8; 32]) -> f64 {
    let value = value
        .iter()
        .fold(0.0, |sum, byte| sum * 256.0 + f64::from(*byte));
    // 0x00000000FFFF0000…: 0xFFFF followed by 26 zero bytes.
    let one = 65535.0 * 2f64.powi(208);
    one / value
}

/// Expands a compact target. A negative or overflowing one gives zero, which no hash meets.
fn target(nbits: u32) -> [u8; 32] {
    let [exponent, high, middle, low] = nbits.to_be_bytes();
    let mut target = [0; 32];
    if high & 0x80 != 0 {
        return target;
    }
    // The mantissa's lowest byte is `exponent` - 3 bytes from the right end.
    for (byte, from_right) in [(high, 1), (middle, 2), (low, 3)] {
        let place = usize::from(exponent).checked_sub(from_right);
        match place.map(|place| 31usize.checked_sub(place)) {
            Some(Some(index)) => target[index] = byte,
            Some(None) if byte != 0 => return [0; 32],
            Some(None) | None => (),
        }
    }
    target
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Block 100,000 of Bitcoin's main network.
    fn block_100000() -> [u8; 80] {
        let mut header = [0; 80];
        let text = "0100000050120119172a610421a6c3011dd330d9df07b63616c2cc1f1cd00200000000006657a9252aacd5c0b2940996ecff952228c3067cc38d4885efb5a4ac4247e9f337221b4d4c86041b0f2b5710";
        hex::decode_to_slice(text, &mut header).unwrap();
        header
    }

    #[test]
    fn the_previous_block_and_the_height_are_read_from_a_job() {
        let mut prevhash = [0; 32];
        // Pools send the hash of block 99,999 with its words in reverse order.
        let hash = "000000000002d01c1fccc21636b607dfd930d31d01c3a62104612a1719011250";
        let bytes = hex::decode(hash).unwrap();
        for (to, from) in prevhash
            .chunks_exact_mut(4)
            .zip(bytes.chunks_exact(4).rev())
        {
            to.copy_from_slice(from);
        }
        let start =
            "02000000010000000000000000000000000000000000000000000000000000000000000000ffffffff";
        let mut notify = Notify {
            job_id: "1".into(),
            prevhash,
            coinb1: hex::decode(format!("{start}170336eb0c5075")).unwrap(),
            coinb2: Vec::new(),
            branches: Vec::new(),
            version: 1,
            nbits: 0x1b04_864c,
            ntime: 0,
            clean: true,
        };
        assert_eq!(notify.previous().to_string(), hash);
        assert!(notify.previous().is_block(notify.nbits));
        assert_eq!(notify.height(), Some(0x0c_eb36));
        for coinb1 in ["", "0200", start, &format!("{start}17")] {
            notify.coinb1 = hex::decode(coinb1).unwrap();
            assert_eq!(notify.height(), None, "{coinb1}");
        }
        let mut height = |script: &str| {
            notify.coinb1 = hex::decode(format!("{start}64{script}")).unwrap();
            notify.height()
        };
        // Block 227,836 was the first that had to include its height.
        for (script, known) in [
            ("03fc79032f503253482f", 227_836),
            ("0340d10c", 840_000),
            ("0111", 17),
            ("60", 16),
            ("00", 0),
            ("028000", 128),
        ] {
            assert_eq!(height(script), Some(known), "{script}");
        }
        for odd in ["030102", "4c03010203", "0400000080", "09090909090909090909"] {
            assert_eq!(height(odd), None, "{odd}");
        }
    }

    #[test]
    fn no_hash_exceeds_the_highest_difficulty() {
        let mut smallest = [0; 32];
        smallest[31] = 1;
        let highest = BlockHash(smallest).difficulty();
        assert_eq!(highest, Difficulty::HIGHEST.get());
    }

    #[test]
    fn a_real_block_hashes_to_its_id_and_meets_its_target() {
        let hash = header_hash(&block_100000());
        assert_eq!(
            hash.to_string(),
            "000000000003ba27aa200b1cecaad478d2b00432346c3f1f3986da1afd33e506"
        );
        assert!(hash.is_block(0x1b04_864c));
        assert!(!hash.is_block(0x1a04_864c));
        assert!((network_difficulty(0x1b04_864c) - 14484.1623612254).abs() < 1e-6);
        assert!(hash.difficulty() > 14484.0);
    }

    #[test]
    fn extreme_compact_targets_are_decoded() {
        assert_eq!(network_difficulty(0x1d00_ffff), 1.0);
        assert_eq!(target(0x207f_ffff)[0], 0x7f);
        assert_eq!(target(0x0180_0000), [0; 32], "negative");
        assert_eq!(target(0xff12_3456), [0; 32], "overflow");
        assert_eq!(
            target(0x2200_00ff)[0],
            0xff,
            "leading zero bytes may stand outside"
        );
        assert_eq!(
            target(0x0212_3456)[30..],
            [0x12, 0x34],
            "the low byte falls off"
        );
        assert_eq!(network_difficulty(0), f64::INFINITY);
    }

    #[test]
    fn the_header_matches_the_one_the_pool_rebuilds() {
        let notify = Notify {
            job_id: "j".into(),
            prevhash: std::array::from_fn(|i| u8::try_from(i).unwrap()),
            coinb1: vec![1, 2, 3],
            coinb2: vec![9, 8],
            branches: vec![[7; 32], [5; 32]],
            version: 0x2000_0000,
            nbits: 0x1d00_ffff,
            ntime: 1_700_000_000,
            clean: true,
        };
        let e1 = Extranonce1::from_hex("aabbcc").unwrap();
        let job = PoolJob::new(
            Arc::new(notify),
            e1,
            8,
            Difficulty::ONE,
            VersionMask::BIP320,
        );
        let miner = MinerExtranonce {
            e1: Extranonce1::from_hex("0102").unwrap(),
            e2_size: 4,
        };
        let solution = Solution {
            e2: Extranonce2::from_hex("deadbeef").unwrap(),
            ntime: 1_700_000_005,
            nonce: 0x1234_5678,
            version: roll_version(0x2000_0000, job.mask, 0xffff_ffff),
        };
        let sent = job.pool_extranonce2(&miner, &solution.e2).unwrap();
        assert_eq!(sent.to_string(), "00000102deadbeef");

        let mut coinbase = vec![1, 2, 3, 0xaa, 0xbb, 0xcc];
        coinbase.extend_from_slice(sent.as_slice());
        coinbase.extend_from_slice(&[9, 8]);
        let root = job
            .notify
            .branches
            .iter()
            .fold(twice(Sha256::digest(&coinbase)), |root, branch| {
                twice(Sha256::digest([root, *branch].concat()))
            });
        let rebuilt = header(
            0x3fff_e000,
            &job.notify.prevhash,
            &root,
            1_700_000_005,
            0x1d00_ffff,
            0x1234_5678,
        );
        assert_eq!(job.hash(&miner, &solution), Some(header_hash(&rebuilt)));
        assert_eq!(rebuilt[4..8], [3, 2, 1, 0]);
    }
}

//! The coinbase transaction of a job: what the block pays, and to which scripts.
//!
//! - Pools send the transaction without its witness, in two halves around the extranonces. The halves may meet
//!   anywhere: most pools put the extranonces into the input's script, some into an output.
//! - The transaction is read to its last byte. If it is unusual in any way, it is not recognized as a coinbase, and the
//!   job is mined anyway.

use std::ops::Range;

use crate::stratum::job::PoolJob;
use crate::units::{Extranonce2, MAX_EXTRANONCE};

/// The smallest output: its value and an empty script, in bytes.
const SMALLEST_OUTPUT: usize = 8 + 1;

/// The mark of merged mining: four bytes, then a hash and two numbers of four bytes each.
const MERGED_MINING: [u8; 4] = *b"\xfa\xbemm";
const MERGED_MINING_SIZE: usize = 4 + 32 + 4 + 4;

/// The beginning of a witness commitment's script; a hash of 32 bytes follows.
const WITNESS_COMMITMENT: [u8; 6] = [0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed];

/// Shorter text may be coincidence.
const SHORTEST_TAG: usize = 4;

/// A coinbase transaction that could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coinbase {
    bytes: Vec<u8>,
    script: Range<usize>,
    outputs: Vec<Output>,
    reward: u64,
    /// Where the extranonces are, if that is known: text that they happen to spell is not the pool's.
    extranonces: Range<usize>,
}

/// An output of the transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The amount it pays, in the coin's smallest units.
    pub value: u64,
    /// Where its script is in the transaction; see [`Coinbase::script_of`].
    pub script: Range<usize>,
}

impl Coinbase {
    /// The coinbase of a pool's job, with an extranonce2 of zeros.
    pub fn of_job(job: &PoolJob) -> Option<Self> {
        let zeros = [0; MAX_EXTRANONCE];
        let e2 = Extranonce2::new(zeros.get(..usize::from(job.e2_size))?)?;
        let start = job.notify.coinb1.len();
        let end = start + job.e1.as_slice().len() + e2.as_slice().len();
        Some(Self {
            extranonces: start..end,
            ..Self::read(job.coinbase(&e2))?
        })
    }

    /// Reads a serialized transaction; `None` if it is anything but a coinbase without a witness.
    pub fn read(bytes: Vec<u8>) -> Option<Self> {
        let mut rest = Reader {
            bytes: &bytes,
            at: 0,
        };
        rest.take(4)?; // the version
        if rest.count()? != 1 {
            return None;
        }
        let spent = rest.take(32 + 4)?;
        let is_none = |outpoint: &[u8]| {
            let (hash, index) = outpoint.split_at(32);
            hash.iter().all(|byte| *byte == 0) && index == [0xff; 4]
        };
        if !is_none(bytes.get(spent)?) {
            return None;
        }
        let script = rest.script()?;
        rest.take(4)?; // the sequence
        let count = rest.count()?;
        if count == 0 || count > rest.left() / SMALLEST_OUTPUT {
            return None;
        }
        let mut outputs = Vec::with_capacity(count);
        let mut reward = 0u64;
        for _ in 0..count {
            let value = rest.number()?;
            // Everywhere else, values are signed numbers.
            reward = reward
                .checked_add(value)
                .filter(|sum| i64::try_from(*sum).is_ok())?;
            let script = rest.script()?;
            outputs.push(Output { value, script });
        }
        rest.take(4)?; // the lock time
        (rest.left() == 0).then_some(Self {
            bytes,
            script,
            outputs,
            reward,
            extranonces: 0..0,
        })
    }

    /// The script of its input: the height, the pool's text and the extranonces.
    pub fn script(&self) -> &[u8] {
        self.bytes.get(self.script.clone()).unwrap_or_default()
    }

    /// Its outputs; never none.
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// The script that one of its outputs pays.
    pub fn script_of(&self, output: &Output) -> &[u8] {
        self.bytes.get(output.script.clone()).unwrap_or_default()
    }

    /// The name that the pool wrote into it: the longest readable text, without the mark of merged mining.
    pub fn tag(&self) -> Option<String> {
        let mut script = self.script().to_vec();
        let own = self.extranonces.start.saturating_sub(self.script.start)
            ..self
                .extranonces
                .end
                .saturating_sub(self.script.start)
                .min(script.len());
        if let Some(extranonces) = script.get_mut(own) {
            extranonces.fill(0);
        }
        let script = script.as_slice();
        let merged = script
            .windows(MERGED_MINING.len())
            .position(|bytes| bytes == MERGED_MINING);
        let (before, after) = match merged {
            Some(at) => {
                let end = (at + MERGED_MINING_SIZE).min(script.len());
                (script.get(..at)?, script.get(end..)?)
            }
            None => (script, &[][..]),
        };
        let is_text = |byte: &u8| (b' '..=b'~').contains(byte);
        let texts = [before, after]
            .into_iter()
            .flat_map(|part| part.split(|byte| !is_text(byte)));
        let longest = texts.max_by_key(|text| text.len())?;
        let text = String::from_utf8(longest.to_vec()).ok()?;
        let text = text.trim();
        (text.len() >= SHORTEST_TAG).then(|| text.to_owned())
    }

    /// Whether an output commits to witnesses (BIP 141).
    pub fn has_witness_commitment(&self) -> bool {
        self.outputs.iter().any(|output| {
            let script = self.script_of(output);
            script.len() >= WITNESS_COMMITMENT.len() + 32 && script.starts_with(&WITNESS_COMMITMENT)
        })
    }

    /// How large the transaction is without its witness, in bytes.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// The amount paid to a script, in the coin's smallest units.
    pub fn paid_to(&self, script: &[u8]) -> u64 {
        let paid = self
            .outputs
            .iter()
            .filter(|it| self.script_of(it) == script);
        paid.map(|output| output.value).sum()
    }

    /// The sum of all outputs, in the coin's smallest units.
    pub fn reward(&self) -> u64 {
        self.reward
    }
}

/// The unread rest of a transaction.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// The range of the next bytes, if there are enough.
    fn take(&mut self, size: usize) -> Option<Range<usize>> {
        let end = self.at.checked_add(size)?;
        let taken = self.at..end;
        self.bytes.get(taken.clone())?;
        self.at = end;
        Some(taken)
    }

    /// The next bytes as a little-endian number.
    fn little_endian(&mut self, size: usize) -> Option<u64> {
        let taken = self.take(size)?;
        let bytes = self.bytes.get(taken)?.iter().rev();
        Some(bytes.fold(0, |number, byte| (number << 8) | u64::from(*byte)))
    }

    fn number(&mut self) -> Option<u64> {
        self.little_endian(8)
    }

    /// A count or length in the fewest possible bytes, which is the only form that nodes accept.
    fn count(&mut self) -> Option<usize> {
        let (number, least) = match self.little_endian(1)? {
            0xfd => (self.little_endian(2)?, 0xfd),
            0xfe => (self.little_endian(4)?, 0x1_0000),
            0xff => (self.little_endian(8)?, 0x1_0000_0000),
            small => (small, 0),
        };
        usize::try_from(number).ok().filter(|_| number >= least)
    }

    fn script(&mut self) -> Option<Range<usize>> {
        let size = self.count()?;
        self.take(size)
    }
}

#[cfg(test)]
mod blocks;

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::stratum::job::Notify;
    use crate::units::{Difficulty, Extranonce1, VersionMask};

    /// A count as nodes write it.
    fn count(number: usize) -> Vec<u8> {
        match u16::try_from(number).unwrap() {
            small @ 0..0xfd => vec![small.to_le_bytes()[0]],
            large => [&[0xfd], &large.to_le_bytes()[..]].concat(),
        }
    }

    /// A coinbase with this input script and these outputs.
    pub(crate) fn transaction(script: &[u8], outputs: &[(u64, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = vec![1, 0, 0, 0, 1];
        bytes.extend([0; 32]);
        bytes.extend([0xff; 4]);
        bytes.extend(count(script.len()));
        bytes.extend(script);
        bytes.extend([0xff; 4]);
        bytes.extend(count(outputs.len()));
        for (value, script) in outputs {
            bytes.extend(value.to_le_bytes());
            bytes.extend(count(script.len()));
            bytes.extend(script);
        }
        bytes.extend([0; 4]);
        bytes
    }

    #[test]
    fn the_first_coinbase_ever_can_be_read() {
        let text = "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d0104455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f722062616e6b73ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000";
        let coinbase = Coinbase::read(hex::decode(text).unwrap()).unwrap();
        assert_eq!(coinbase.reward(), 50 * 100_000_000);
        let [output] = coinbase.outputs() else {
            panic!("{coinbase:?}");
        };
        let script = coinbase.script_of(output);
        assert_eq!(
            (script.len(), script[0], script[66]),
            (67, 0x41, 0xac),
            "a push of a key, then OP_CHECKSIG"
        );
        assert!(coinbase.script().ends_with(b"second bailout for banks"));
    }

    #[test]
    fn a_job_is_read_wherever_its_coinbase_is_split() {
        let outputs: Vec<_> = (0..700u64)
            .map(|n| (n * 1000, vec![0x6a; usize::try_from(n % 300).unwrap()]))
            .collect();
        let bytes = transaction(&[3, 1, 2, 3, 9, 9, 9, 9, 9, 9, 9, 9, 8], &outputs);
        let whole = Coinbase::read(bytes.clone()).unwrap();
        assert_eq!(whole.reward(), (0..700).sum::<u64>() * 1000);
        assert_eq!(whole.outputs().len(), 700);
        for (output, (value, script)) in whole.outputs().iter().zip(&outputs) {
            assert_eq!(output.value, *value);
            assert_eq!(whole.script_of(output), script);
        }

        // In the input's script, which then ends with the extranonces, and in an output's script.
        let e1 = Extranonce1::new(&[9; 4]).unwrap();
        let roomy = |output: &&Output| output.script.len() >= 8;
        let in_outputs = whole.outputs().iter().filter(roomy).step_by(100);
        for start in in_outputs.map(|output| output.script.start).chain([46]) {
            let notify = Notify {
                job_id: "1".into(),
                prevhash: [0; 32],
                coinb1: bytes[..start].to_vec(),
                coinb2: bytes[start + 8..].to_vec(),
                branches: Vec::new(),
                version: 1,
                nbits: 0x1d00_ffff,
                ntime: 0,
                clean: true,
            };
            let job = PoolJob::new(Arc::new(notify), e1, 4, Difficulty::ONE, VersionMask::NONE);
            let read = Coinbase::of_job(&job).unwrap();
            assert_eq!(read.outputs(), whole.outputs());
            assert_eq!((read.script().len(), read.size()), (13, bytes.len()));
        }
    }

    /// The input's script of an imagined block.
    fn of_script(script: &[u8]) -> Coinbase {
        Coinbase::read(transaction(script, &[(1, vec![])])).unwrap()
    }

    #[test]
    fn the_tag_is_the_longest_readable_text() {
        let tag = |script: &[u8]| of_script(script).tag();
        assert_eq!(
            tag(b"\x03\xfc\x79\x03\0\x04ab\0/solo.ckpool.org/\0\0").as_deref(),
            Some("/solo.ckpool.org/")
        );
        let merged = [&b"\x03\xfc\x79\x03\xfa\xbemm"[..], &[b'x'; 40], b"/pool/"].concat();
        assert_eq!(tag(&merged).as_deref(), Some("/pool/"));
        let cut = [&b"\x03\xfc\x79\x03/pool/\xfa\xbemm"[..], &[b'x'; 20]].concat();
        assert_eq!(tag(&cut).as_deref(), Some("/pool/"));
        assert_eq!(tag(b"\x03\xfc\x79\x03ab"), None);
        assert_eq!(tag(b""), None);
    }

    #[test]
    fn text_inside_extranonces_is_not_a_tag() {
        let bytes = transaction(b"\x03\xfc\x79\x03/pool/ABCDEFGHIJKL", &[(1, vec![])]);
        let start = bytes.windows(4).position(|it| it == b"ABCD").unwrap();
        let notify = Notify {
            job_id: "1".into(),
            prevhash: [0; 32],
            coinb1: bytes[..start].to_vec(),
            coinb2: bytes[start + 12..].to_vec(),
            branches: Vec::new(),
            version: 1,
            nbits: 0x1d00_ffff,
            ntime: 0,
            clean: true,
        };
        let e1 = Extranonce1::new(b"ABCDEFGH").unwrap();
        let job = PoolJob::new(Arc::new(notify), e1, 4, Difficulty::ONE, VersionMask::NONE);
        let read = Coinbase::of_job(&job).unwrap();
        assert_eq!(read.tag().as_deref(), Some("/pool/"));
    }

    #[test]
    fn payments_to_one_script_add_up_and_a_witness_commitment_is_found() {
        let commitment = [&WITNESS_COMMITMENT[..], &[7; 32]].concat();
        let mine = vec![0x51];
        let outputs = [
            (1, mine.clone()),
            (500, vec![0x52]),
            (0, commitment),
            (9, mine.clone()),
        ];
        let coinbase = Coinbase::read(transaction(b"\x01\x11", &outputs)).unwrap();
        assert_eq!((coinbase.paid_to(&mine), coinbase.paid_to(&[])), (10, 0));
        assert!(coinbase.has_witness_commitment());
        let short = WITNESS_COMMITMENT.to_vec();
        assert!(
            !Coinbase::read(transaction(b"", &[(0, short)]))
                .unwrap()
                .has_witness_commitment()
        );
    }

    #[test]
    fn malformed_data_is_not_a_coinbase() {
        let good = transaction(b"\x03abc", &[(5, vec![1]), (6, vec![])]);
        assert_eq!(Coinbase::read(good.clone()).unwrap().reward(), 11);
        for end in 0..good.len() {
            assert_eq!(Coinbase::read(good[..end].to_vec()), None, "{end} bytes");
        }
        let changed = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            Coinbase::read(bytes)
        };
        assert_eq!(Coinbase::read([&good[..], &[0]].concat()), None, "more");
        assert_eq!(changed(4, 0), None, "no input, or the mark of a witness");
        assert_eq!(changed(4, 2), None, "two inputs");
        assert_eq!(changed(5, 1), None, "it spends an output");
        assert_eq!(changed(40, 0xfe), None, "it spends an output");
        assert_eq!(changed(41, 5), None, "a longer script");
        let outputs = 42 + 4 + 4;
        assert_eq!(good[outputs], 2);
        assert_eq!(changed(outputs, 0), None, "no output");
        assert_eq!(changed(outputs, 1), None, "fewer outputs than there are");
        assert_eq!(changed(outputs, 0xff), None, "more than there is room for");
        assert_eq!(changed(outputs + 8, 0x80), None, "a negative length");
        let highest = u64::MAX / 2;
        let sum = |values: &[u64]| {
            let outputs: Vec<_> = values.iter().map(|value| (*value, vec![])).collect();
            Coinbase::read(transaction(b"", &outputs)).map(|it| it.reward())
        };
        assert_eq!(sum(&[highest]), Some(highest));
        assert_eq!(sum(&[highest, 1]), None);
        assert_eq!(sum(&[highest, highest, highest]), None);
        // The count of outputs in three bytes where one would do.
        let long = [&good[..outputs], &[0xfd, 2, 0], &good[outputs + 1..]].concat();
        assert_eq!(Coinbase::read(long), None);
    }
}

//! What a miner does with a job: reads it, and tries headers until one is a share. Pure functions.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::sim::chain::hash::{self, Header};
use crate::sim::miner::options::RollingStyle;
use crate::stratum::job::Notify;

/// How many headers have the same version, and how many the same extranonce2. Real miners try far more of each; low
/// numbers make the simulation vary everything.
const HEADERS_A_VERSION: u64 = 16;
const HEADERS_A_ROOT: u64 = 64;

/// A job, and how far it has been tried.
#[derive(Clone, Debug)]
pub struct Work {
    /// The job.
    pub notify: Notify,
    /// The extranonce1 of the connection.
    pub e1: Vec<u8>,
    /// The size of the extranonce2, in bytes.
    pub e2_size: usize,
    /// The version bits that may be changed, if that was negotiated.
    pub mask: Option<u32>,
    /// How they are changed.
    pub style: RollingStyle,
    /// The extranonce2 that is tried first.
    pub first_e2: u64,
    /// How many headers were tried.
    pub tried: u64,
}

/// A header that meets the difficulty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The server's name for the job.
    pub job_id: String,
    /// The extranonce2.
    pub e2: Vec<u8>,
    /// The header's time.
    pub ntime: u32,
    /// The header's nonce.
    pub nonce: u32,
    /// The version bits, if rolling was negotiated.
    pub version_bits: Option<u32>,
    /// The header's hash, least significant byte first.
    pub hash: [u8; 32],
}

impl Work {
    /// Work on a job from its start.
    pub fn new(notify: Notify, e1: Vec<u8>, e2_size: usize, mask: Option<u32>) -> Self {
        Self {
            notify,
            e1,
            e2_size,
            mask,
            style: RollingStyle::Replace,
            first_e2: 0,
            tried: 0,
        }
    }

    /// Tries at most `tries` headers; stops at the first one whose difficulty is in `wanted`.
    pub fn search(
        &mut self,
        wanted: impl Fn(f64) -> bool,
        ntime: u32,
        tries: u32,
    ) -> Option<Share> {
        let mut front: Option<(Sha256, [u8; 80])> = None;
        for _ in 0..tries {
            let number = self.tried;
            self.tried += 1;
            if number % HEADERS_A_VERSION == 0 {
                front = None;
            }
            let (start, header) = front.get_or_insert_with(|| {
                let header = self.header(number, ntime).bytes();
                (Sha256::new().chain_update(&header[..64]), header)
            });
            let nonce = low_word(number);
            header[76..].copy_from_slice(&nonce.to_le_bytes());
            let first = start.clone().chain_update(&header[64..]).finalize();
            let found: [u8; 32] = Sha256::digest(first).into();
            if wanted(hash::difficulty_of(&found)) {
                return Some(Share {
                    job_id: self.notify.job_id.clone(),
                    e2: self.e2(number),
                    ntime,
                    nonce,
                    version_bits: self.sent_bits(number),
                    hash: found,
                });
            }
        }
        None
    }

    /// The extranonce2 after all that were tried.
    pub fn next_e2(&self) -> u64 {
        self.first_e2 + self.tried / HEADERS_A_ROOT + 1
    }

    fn header(&self, number: u64, ntime: u32) -> Header {
        let e2 = self.e2(number);
        let notify = &self.notify;
        let coinbase = [&notify.coinb1[..], &self.e1, &e2, &notify.coinb2].concat();
        Header {
            version: self.version(number),
            prevhash: notify.prevhash,
            root: hash::merkle_root(&coinbase, &notify.branches),
            ntime,
            nbits: notify.nbits,
            nonce: low_word(number),
        }
    }

    fn e2(&self, number: u64) -> Vec<u8> {
        let counter = self.first_e2.wrapping_add(number / HEADERS_A_ROOT);
        let mut e2 = counter.to_le_bytes().to_vec();
        e2.resize(self.e2_size, 0);
        e2
    }

    fn version(&self, number: u64) -> u32 {
        let own = self.notify.version;
        let rolled = self.rolled_bits(number).unwrap_or(0);
        match self.style {
            RollingStyle::Replace => (own & !self.mask.unwrap_or(0)) | rolled,
            RollingStyle::Delta | RollingStyle::Add => own | rolled,
            RollingStyle::Never => own,
        }
    }

    fn sent_bits(&self, number: u64) -> Option<u32> {
        match self.style {
            RollingStyle::Replace | RollingStyle::Add => self.rolled_bits(number),
            RollingStyle::Delta => self
                .mask
                .map(|_| self.version(number) ^ self.notify.version),
            RollingStyle::Never => None,
        }
    }

    /// Spreads a counter over the bits of the mask.
    fn rolled_bits(&self, number: u64) -> Option<u32> {
        let mask = self.mask?;
        let mut counter = number / HEADERS_A_VERSION;
        let mut bits = 0;
        for place in 0..32 {
            let bit = mask & (1 << place);
            if bit != 0 {
                bits |= if counter & 1 == 1 { bit } else { 0 };
                counter >>= 1;
            }
        }
        Some(bits)
    }
}

impl Share {
    /// The parameters of `mining.submit`.
    pub fn params(&self, user: &str) -> Vec<Value> {
        let mut params = vec![
            Value::from(user),
            Value::from(self.job_id.as_str()),
            Value::from(hex::encode(&self.e2)),
            Value::from(format!("{:08x}", self.ntime)),
            Value::from(format!("{:08x}", self.nonce)),
        ];
        if let Some(bits) = self.version_bits {
            params.push(Value::from(format!("{bits:08x}")));
        }
        params
    }
}

/// Reads the parameters of `mining.notify` as strictly as cpuminer does (compat Q25).
pub fn read_notify(params: &[Value]) -> Option<Notify> {
    let text = |index: usize| params.get(index).and_then(Value::as_str);
    let bytes = |index| hex::decode(text(index)?).ok();
    let word = |index| match text(index) {
        Some(text) if text.len() == 8 => u32::from_str_radix(text, 16).ok(),
        Some(_) | None => None,
    };
    let hash = |text: &str| {
        let mut hash = [0; 32];
        hex::decode_to_slice(text, &mut hash).ok().map(|()| hash)
    };
    let branches = params.get(4)?.as_array()?;
    let branches = branches.iter().map(|branch| hash(branch.as_str()?));
    Some(Notify {
        job_id: text(0)?.to_owned(),
        prevhash: hash(text(1)?)?,
        coinb1: bytes(2)?,
        coinb2: bytes(3)?,
        branches: branches.collect::<Option<_>>()?,
        version: word(5)?,
        nbits: word(6)?,
        ntime: word(7)?,
        clean: params.get(8..)?.last()?.as_bool()?,
    })
}

fn low_word(number: u64) -> u32 {
    let [.., a, b, c, d] = number.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::chain::{Blocks, JobFactory, JobIds, Network, Space};

    fn work() -> Work {
        let network = Network {
            version: 0x2000_0000,
            nbits: 0x1702_3a04,
            ntime: 1000,
            witness: true,
        };
        let mut factory = JobFactory::new(1, "A", Blocks::Own);
        factory.next_job(network, JobIds::Counter);
        let template = factory.next_job(network, JobIds::Counter);
        let notify = template.notify(Space::default(), false);
        Work::new(notify, vec![1], 3, Some(0x1fff_e000))
    }

    #[test]
    fn shares_found_match_their_header() {
        let mut work = work();
        let mut bits = Vec::new();
        for _ in 0..200 {
            let share = work.search(|found| found >= 1e-9, 1001, 10_000).unwrap();
            let header = work.header(u64::from(share.nonce), 1001);
            assert_eq!(header.hash(), share.hash);
            bits.extend(share.version_bits);
        }
        bits.dedup();
        assert!(bits.len() > 5, "several versions");
        assert!(bits.iter().all(|bits| bits & !0x1fff_e000 == 0));
        assert!(work.e2(work.tried) != work.e2(0), "several extranonces");
    }

    #[test]
    fn the_same_work_gives_the_same_shares() {
        let share = |mut work: Work| work.search(|found| found >= 1e-8, 1000, 100_000).unwrap();
        assert_eq!(share(work()), share(work()));
        let mut later = work();
        later.first_e2 = 1;
        assert_ne!(share(work()), share(later));
    }
}

//! What a simulated pool hands out and how it judges shares: jobs from a seed, hashes, shares. Pure functions.

pub mod hash;
pub mod judge;

use crate::random::Random;
use crate::stratum::job::Notify;

/// Where the tag of a simulated pool begins in the second half of the coinbase.
const TAG_START: &[u8] = b"/sim:";

/// The height of a factory's first jobs.
const FIRST_HEIGHT: u32 = 900_000;

/// The longest tag, in bytes; a real coinbase script has 100 bytes in all.
const LONGEST_TAG: usize = 24;

/// How a pool names its jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobIds {
    /// Counted up from 1 in hex. Two such pools use the same names for different jobs.
    Counter,
    /// Text that nothing else uses and that is not a hex number.
    Random,
}

/// Makes one pool's jobs, each plausible and each different.
#[derive(Clone, Debug)]
pub struct JobFactory {
    rng: Random,
    tag: String,
    made: u64,
    height: u32,
    prevhash: [u8; 32],
    /// Whether no job for the current block has been made yet.
    fresh_block: bool,
}

/// Where a pool's blocks come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocks {
    /// From the pool's own chain.
    Own,
    /// From the chain with this number, which has one block at each height.
    Of(u64),
    /// Invented, without proof of work.
    Invented,
}

/// A job's network values from a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// The header's version.
    pub version: u32,
    /// The compact target.
    pub nbits: u32,
    /// The header's time, in seconds since 1970.
    pub ntime: u32,
    /// Whether coinbases commit to witnesses.
    pub witness: bool,
}

/// A job before it is adapted to a connection.
#[derive(Clone, Debug)]
pub struct Template {
    /// The pool's name for the job.
    pub id: String,
    /// Whether it is the first job of its block, which makes all others stale.
    pub first_of_block: bool,
    network: Network,
    prevhash: [u8; 32],
    branches: Vec<[u8; 32]>,
    height: u32,
    /// The outputs of the coinbase: satoshis and scripts.
    outputs: Vec<(u64, Vec<u8>)>,
    tag: String,
}

/// The space for a connection's extranonces in the coinbase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    /// The size of extranonce1, in bytes.
    pub e1_size: usize,
    /// The size of extranonce2, in bytes.
    pub e2_size: usize,
    /// Makes the coinbases of connections differ if extranonce1 is empty.
    pub salt: Option<u32>,
}

impl JobFactory {
    /// A factory whose jobs carry this tag, so that [`tag_of`] shows which pool made them.
    pub fn new(seed: u64, tag: &str, blocks: Blocks) -> Self {
        let mut factory = Self {
            rng: Random::new(seed),
            tag: tag.chars().take(LONGEST_TAG).collect(),
            made: 0,
            height: 0,
            prevhash: [0; 32],
            fresh_block: true,
        };
        factory.go_to(FIRST_HEIGHT, blocks);
        factory
    }

    /// A block was found: later jobs build on it.
    pub fn new_block(&mut self, blocks: Blocks) {
        self.go_to(self.height + 1, blocks);
    }

    /// Later jobs are for this height.
    pub fn go_to(&mut self, height: u32, blocks: Blocks) {
        let mut hash: [u8; 32] = match blocks {
            Blocks::Own | Blocks::Invented => self.rng.bytes(),
            Blocks::Of(chain) => Random::new((chain << 32) | u64::from(height)).bytes(),
        };
        // In the order in which the hash is sent, the last words hold the zeros. This many prove the work for the usual
        // target.
        hash[24..].fill(0);
        hash[20..22].fill(if blocks == Blocks::Invented { 0xff } else { 0 });
        self.prevhash = hash;
        self.height = height;
        self.fresh_block = true;
    }

    /// The next job.
    pub fn next_job(&mut self, network: Network, ids: JobIds) -> Template {
        self.made += 1;
        let first_of_block = std::mem::take(&mut self.fresh_block);
        // Pools often begin a block without transactions, then with up to a few thousand.
        let branches = if first_of_block {
            0
        } else {
            self.rng.below(13)
        };
        Template {
            id: match ids {
                JobIds::Counter => format!("{:x}", self.made),
                JobIds::Random => {
                    format!("0x{:08x}_{}", self.rng.next_u32(), self.rng.below(1000))
                }
            },
            first_of_block,
            network,
            prevhash: self.prevhash,
            branches: (0..branches).map(|_| self.rng.bytes()).collect(),
            height: self.height,
            // An address of the pool, different in every job.
            outputs: vec![(
                312_500_000,
                [[0, 20].to_vec(), self.rng.bytes::<20>().to_vec()].concat(),
            )],
            tag: self.tag.clone(),
        }
    }
}

impl Template {
    /// The same with other outputs, if there are any.
    pub fn paying(self, outputs: &[(u64, Vec<u8>)]) -> Self {
        match outputs {
            [] => self,
            _ => Self {
                outputs: outputs.to_vec(),
                ..self
            },
        }
    }

    /// The job as sent to a connection with this much space for extranonces.
    pub fn notify(&self, space: Space, clean: bool) -> Notify {
        let height = self.height.to_le_bytes();
        let salt = space.salt.map(u32::to_be_bytes);
        let salt = salt.as_ref().map_or(&[][..], |salt| &salt[..]);
        let tag = [TAG_START, self.tag.as_bytes(), b"/"].concat();
        let script = 4 + salt.len() + space.e1_size + space.e2_size + tag.len();

        let mut coinb1 = vec![2, 0, 0, 0, 1];
        coinb1.extend([0; 32]);
        coinb1.extend([0xff; 4]);
        coinb1.push(u8::try_from(script).unwrap_or(u8::MAX));
        coinb1.extend([3, height[0], height[1], height[2]]);
        coinb1.extend(salt);

        let mut coinb2 = tag;
        coinb2.extend([0xff; 4]);
        let commitment = self.branches.first().unwrap_or(&[0; 32]);
        let commitment = [&[0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed], &commitment[..]].concat();
        let commitment = self.network.witness.then_some((0, commitment));
        let outputs: Vec<_> = self.outputs.iter().chain(&commitment).collect();
        coinb2.extend(count(outputs.len()));
        for (value, script) in outputs {
            coinb2.extend(value.to_le_bytes());
            coinb2.extend(count(script.len()));
            coinb2.extend(script);
        }
        coinb2.extend([0; 4]);

        Notify {
            job_id: self.id.clone(),
            prevhash: self.prevhash,
            coinb1,
            coinb2,
            branches: self.branches.clone(),
            version: self.network.version,
            nbits: self.network.nbits,
            ntime: self.network.ntime,
            clean,
        }
    }
}

/// A count or length as written in transactions.
fn count(number: usize) -> Vec<u8> {
    match u16::try_from(number).unwrap_or(u16::MAX) {
        small @ 0..0xfd => vec![small.to_le_bytes()[0]],
        large => [&[0xfd], &large.to_le_bytes()[..]].concat(),
    }
}

/// The tag of the pool that made a job, if it was a simulated one.
pub fn tag_of(coinb2: &[u8]) -> Option<String> {
    let rest = coinb2.strip_prefix(TAG_START)?;
    let end = rest.iter().position(|byte| *byte == b'/')?;
    String::from_utf8(rest[..end].to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NETWORK: Network = Network {
        version: 0x2000_0000,
        nbits: 0x1702_3a04,
        ntime: 1_790_000_000,
        witness: true,
    };

    #[test]
    fn jobs_are_the_same_for_a_seed_and_different_from_each_other() {
        let run = || {
            let mut factory = JobFactory::new(3, "A", Blocks::Own);
            let mut jobs = Vec::new();
            for _ in 0..20 {
                jobs.push(
                    factory
                        .next_job(NETWORK, JobIds::Counter)
                        .notify(Space::default(), true),
                );
            }
            jobs
        };
        let jobs = run();
        assert_eq!(jobs, run());
        for (index, job) in jobs.iter().enumerate() {
            assert!(
                jobs[..index]
                    .iter()
                    .all(|former| former.coinb2 != job.coinb2)
            );
            assert_eq!(tag_of(&job.coinb2).as_deref(), Some("A"));
        }
        assert!(jobs.iter().any(|job| job.branches.len() > 5));
    }

    #[test]
    fn the_length_of_the_coinbase_script_is_right() {
        let space = Space {
            e1_size: 4,
            e2_size: 8,
            salt: Some(9),
        };
        let job = JobFactory::new(1, "pool", Blocks::Own).next_job(NETWORK, JobIds::Random);
        let notify = job.notify(space, true);
        let script_start = 42;
        let before = notify.coinb1.len() - script_start;
        let tag_length = "/sim:pool/".len();
        assert_eq!(
            usize::from(notify.coinb1[script_start - 1]),
            before + 12 + tag_length
        );
        assert_eq!(notify.coinb2[tag_length..][..4], [0xff; 4]);
    }

    #[test]
    fn a_new_block_changes_the_prevhash_and_sets_clean_jobs() {
        let mut factory = JobFactory::new(5, "A", Blocks::Own);
        let first = factory.next_job(NETWORK, JobIds::Random);
        let second = factory.next_job(NETWORK, JobIds::Random);
        factory.new_block(Blocks::Own);
        let third = factory.next_job(NETWORK, JobIds::Random);
        assert_eq!(
            [&first, &second, &third].map(|job| job.first_of_block),
            [true, false, true]
        );
        assert_eq!(first.prevhash, second.prevhash);
        assert_ne!(first.prevhash, third.prevhash);
    }

    #[test]
    fn pools_of_a_chain_share_its_blocks_and_only_fake_ones_lack_proof() {
        let mut a = JobFactory::new(1, "A", Blocks::Of(7));
        let mut b = JobFactory::new(2, "B", Blocks::Of(7));
        let mut job = |factory: &mut JobFactory| {
            let template = factory.next_job(NETWORK, JobIds::Counter);
            template.notify(Space::default(), true)
        };
        let [of_a, of_b] = [&mut a, &mut b].map(&mut job);
        assert_eq!(of_a.prevhash, of_b.prevhash);
        a.new_block(Blocks::Of(7));
        b.new_block(Blocks::Of(8));
        let [of_a, of_b] = [&mut a, &mut b].map(&mut job);
        assert_ne!(of_a.prevhash, of_b.prevhash);
        assert!(
            [&of_a, &of_b]
                .iter()
                .all(|it| it.previous().may_precede(it.nbits))
        );
        b.new_block(Blocks::Invented);
        let of_b = job(&mut b);
        assert!(!of_b.previous().may_precede(of_b.nbits));
        assert_eq!(of_b.height(), Some(900_002));
    }
}

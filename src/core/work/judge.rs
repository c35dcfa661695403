//! Checks whether a share is good: all checks in order, as one pure function.

use crate::core::work::jobs::{NTIME_ROOM, SentJob};
use crate::stratum::job::{BlockHash, Solution, roll_version};
use crate::stratum::message::Submit;
use crate::stratum::reject::RejectReason;
use crate::units::VersionMask;

/// What is known about a share's context, apart from its job.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings {
    /// Whether the user was authorized on this miner's connection.
    pub authorized: bool,
    /// Whether the pool still accepts shares of the job.
    pub fresh: bool,
}

/// The result of checking a share.
#[derive(Clone, Debug, PartialEq)]
pub struct Assessment {
    /// What to do with it.
    pub verdict: Verdict,
    /// The version of the header that was hashed.
    pub version: u32,
    /// The hash, unless the extranonce2 has the wrong size.
    pub hash: Option<BlockHash>,
    /// Whether the hash meets the network's target.
    pub block: bool,
}

/// What to do with a share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Forward it to its pool.
    Forward,
    /// It met the miner's difficulty but not the pool's: answer `true`, and do not forward it.
    BelowPool,
    /// Block it with this reason.
    Refuse(RejectReason),
}

/// Judges a share of a job that the miner was sent. `seen`: whether a hash was already sent to the pool.
pub fn assess(
    submit: &Submit,
    sent: &SentJob,
    surroundings: Surroundings,
    seen: impl Fn(&BlockHash) -> bool,
) -> Assessment {
    let job_version = sent.job.notify.version;
    let bits = submit.version_bits;
    // Bits outside the mask must be the job's own.
    let outside = bits.map_or(0, |bits| bits & !sent.mask.0);
    let bits_fit = outside == 0 || outside == job_version & !sent.mask.0;
    let size_fits = submit.e2.len() == usize::from(sent.extranonce.e2_size);
    let hash_with = |version| {
        let solution = Solution {
            e2: submit.e2,
            ntime: submit.ntime,
            nonce: submit.nonce,
            version,
        };
        sent.job.hash(&sent.extranonce, &solution)
    };
    let nbits = sent.job.notify.nbits;
    let is_block = |hash: &BlockHash| hash.is_block(nbits);
    let wanted = sent.lowest_told.min(sent.job.difficulty).get();
    let mut tried = Vec::new();
    for version in versions(job_version, sent.mask, bits) {
        let Some(hash) = hash_with(version).filter(|_| size_fits) else {
            break;
        };
        tried.push((version, hash));
        if hash.difficulty() >= wanted {
            break;
        }
    }
    let good = tried
        .last()
        .filter(|(_, hash)| hash.difficulty() >= wanted)
        .or_else(|| tried.iter().find(|(_, hash)| is_block(hash)))
        .copied();
    // The miner may have rolled under the mask of its previous pool.
    let wide = if bits_fit || good.is_some_and(|(_, hash)| is_block(&hash)) {
        None
    } else {
        let widest = VersionMask(VersionMask::BIP320.0 | sent.mask.0 | outside);
        versions(job_version, widest, bits)
            .into_iter()
            .filter_map(|version| Some((version, hash_with(version)?)))
            .find(|(_, hash)| size_fits && is_block(hash))
    };
    let header = wide.or(good).or_else(|| tried.first().copied());
    let version = header.map_or(job_version, |(version, _)| version);
    let hash = header.map(|(_, hash)| hash);
    let mut found = Assessment {
        verdict: Verdict::Forward,
        version,
        hash,
        block: hash.as_ref().is_some_and(is_block),
    };
    found.verdict = verdict(submit, sent, surroundings, seen, bits_fit, &found);
    found
}

/// The versions of the header that a miner may mean with these bits: masked bits replaced, as BIP 310 says; added to
/// the job's (cgminer); or those in which it differs from the job's (AxeOS, NerdQAxe). Compat Q57.
fn versions(job_version: u32, mask: VersionMask, bits: Option<u32>) -> Vec<u32> {
    let Some(bits) = bits else {
        return vec![job_version];
    };
    let rolled = bits & mask.0;
    let mut versions = vec![
        roll_version(job_version, mask, bits),
        job_version | rolled,
        job_version ^ rolled,
    ];
    versions.dedup();
    versions
}

fn verdict(
    submit: &Submit,
    sent: &SentJob,
    surroundings: Surroundings,
    seen: impl Fn(&BlockHash) -> bool,
    bits_fit: bool,
    found: &Assessment,
) -> Verdict {
    let job_ntime = sent.job.notify.ntime;
    let ntime_fits = submit
        .ntime
        .checked_sub(job_ntime)
        .is_some_and(|ahead| ahead <= NTIME_ROOM);
    let checks = [
        (surroundings.authorized, RejectReason::Unauthorized),
        (surroundings.fresh, RejectReason::Stale),
        (
            !found.hash.is_some_and(|hash| seen(&hash)),
            RejectReason::Duplicate,
        ),
        (bits_fit, RejectReason::VersionBits),
        (ntime_fits, RejectReason::Ntime),
        (found.hash.is_some(), RejectReason::ExtranonceSize),
    ];
    if let Some((_, reason)) = checks.into_iter().find(|(passed, _)| !passed) {
        return Verdict::Refuse(reason);
    }
    let worth = found.hash.map_or(0.0, |hash| hash.difficulty());
    if worth >= sent.job.difficulty.get() {
        Verdict::Forward
    } else if worth >= sent.lowest_told.get() {
        Verdict::BelowPool
    } else {
        Verdict::Refuse(RejectReason::LowDifficulty)
    }
}

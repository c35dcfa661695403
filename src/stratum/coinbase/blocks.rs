//! Coinbases of real blocks. Each is checked by its hash before it is used.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::*;
use crate::stratum::job::{Notify, Solution, height, roll_version};
use crate::units::{Difficulty, Extranonce1, MinerExtranonce, VersionMask};

/// The coinbase with this id.
fn real(id: &str, text: &str) -> Coinbase {
    let bytes = hex::decode(text).unwrap();
    let mut hash = Sha256::digest(Sha256::digest(&bytes));
    hash.reverse();
    assert_eq!(hex::encode(hash), id, "it is not what it is said to be");
    Coinbase::read(bytes).unwrap()
}

/// Height, tag, reward in satoshis, scripts of the outputs.
fn read(coinbase: &Coinbase) -> (Option<u32>, Option<String>, u64, Vec<String>) {
    let scripts = coinbase.outputs().iter();
    let scripts = scripts.map(|output| hex::encode(coinbase.script_of(output)));
    (
        height(&coinbase.bytes),
        coinbase.tag(),
        coinbase.reward(),
        scripts.collect(),
    )
}

#[test]
fn the_first_block_with_a_height_is_read() {
    let coinbase = real(
        "0f3601a5da2f516fa9d3f80c9bf6e530f1afb0c90da73e8f8ad0630c5483afe5",
        "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff2703fc7903062f503253482f04ac204f510858029a11000003550d3363646164312f736c7573682f0000000001207e6295000000001976a914e285a29e0704004d4e95dbb7c57a98563d9fb2eb88ac00000000",
    );
    let (height, tag, reward, scripts) = read(&coinbase);
    assert_eq!(height, Some(227_836));
    assert_eq!(tag.as_deref(), Some("3cdad1/slush/"));
    assert_eq!(reward, 2_506_260_000);
    assert_eq!(
        scripts,
        ["76a914e285a29e0704004d4e95dbb7c57a98563d9fb2eb88ac"]
    );
    assert!(!coinbase.has_witness_commitment());
}

#[test]
fn the_merged_mining_mark_is_not_a_tag() {
    let coinbase = real(
        "b39fa6c39b99683ac8f456721b270786c627ecb246700888315991877024b983",
        "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4803e09304062f503253482f0403c86d53087ceca141295a00002e522cfabe6d6d7561cf262313da1144026c8f7a43e3899c44f6145f39a36507d36679a8b7006104000000000000000000000001c8704095000000001976a91480ad90d403581fa3bf46086a91b2d9d4125db6c188ac00000000",
    );
    let (height, tag, reward, scripts) = read(&coinbase);
    assert_eq!((height, reward), (Some(300_000), 2_504_028_360));
    assert_eq!(tag.as_deref(), Some("/P2SH/"));
    assert_eq!(
        scripts,
        ["76a91480ad90d403581fa3bf46086a91b2d9d4125db6c188ac"]
    );
}

/// Block 481,824, the first that could have witnesses. Pools send its coinbase without its witness.
#[test]
fn a_witness_commitment_is_found_and_the_witness_is_skipped() {
    let text = "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff6403205a07f4d3f9da09acf878c2c9c96c410d69758f0eae0e479184e0564589052e832c42899c867100010000000000000000db9901006052ce25d80acfde2f425443432f20537570706f7274202f4e59412f00000000000000000000000000000000000000000000025d322c57000000001976a9142c30a6aaac6d96687291475d7d52f4b469f665a688ac0000000000000000266a24aa21a9ed6c3c4dff76b5760d58694147264d208689ee07823e5694c4872f856eacf5a5d800000000";
    let coinbase = real(
        "da917699942e4a96272401b534381a75512eeebe8403084500bd637bd47168b3",
        text,
    );
    let (height, tag, reward, scripts) = read(&coinbase);
    assert_eq!((height, reward), (Some(481_824), 1_462_514_269));
    assert_eq!(tag.as_deref(), Some("/BTCC/ Support /NYA/"));
    let commitment = "6a24aa21a9ed6c3c4dff76b5760d58694147264d208689ee07823e5694c4872f856eacf5a5d8";
    assert_eq!(
        scripts,
        [
            "76a9142c30a6aaac6d96687291475d7d52f4b469f665a688ac",
            commitment
        ]
    );
    assert!(coinbase.has_witness_commitment());
    // As it is in the block: with a marker after the version and a witness before the lock time.
    let (version, rest) = text.split_at(8);
    let (outputs, lock_time) = rest.split_at(rest.len() - 8);
    let witness = "0120".to_owned() + &"00".repeat(32);
    let with_witness = [version, "0001", outputs, &witness, lock_time].concat();
    assert_eq!(Coinbase::read(hex::decode(with_witness).unwrap()), None);
}

#[test]
fn other_chains_have_no_witness_commitment() {
    // From the test network of Bitcoin Cash.
    let coinbase = real(
        "e940672576b56e4659fcb823e2d07487ef1b4587e950b9457b7f24ae4bba5ce1",
        "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff48031310170c0b2f454233322f414431322f04589ae7620421ab08120c89a1286200000000000000000a626368706f6f6c172f20626974636f696e636173682e6e6574776f726b202fffffffff01e31d5402000000001976a914158b5d181552c9f4f267c0de68aae4963043993988ac00000000",
    );
    let (height, tag, reward, _) = read(&coinbase);
    assert_eq!((height, reward), (Some(1_511_443), 39_067_107));
    assert_eq!(tag.as_deref(), Some("/ bitcoincash.network /"));
    assert!(!coinbase.has_witness_commitment());
    // From Bitcoin SV.
    let coinbase = real(
        "52feca65c7ecab1e76f5bae91c0b58ad734ba4cefe7461ce78cba8d13bb061e1",
        "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff1c039b82083337653730346f696c696733363e063311b59538f8ec0000ffffffff01e040834a000000001976a9145adf1b1272dcfbfc2f6d3e794020c9f6d19de8b088ac00000000",
    );
    let (height, tag, reward, _) = read(&coinbase);
    assert_eq!((height, reward), (Some(557_723), 1_250_115_808));
    assert_eq!(tag.as_deref(), Some("37e704oilig36>"));
    assert!(!coinbase.has_witness_commitment());
}

/// Block 1,260,985 of the test network of Bitcoin Cash, made by software that also supports Bitcoin: nobody looks at
/// such an output there.
#[test]
fn a_block_without_witnesses_may_have_a_witness_commitment() {
    let bytes = |text: &str| hex::decode(text).unwrap();
    let hash = |text: &str| bytes(text).try_into().unwrap();
    let branches = [
        "692c1265e5d05780ccec6e116c6432c78457ee4c2b2551c797f98b8780431d66",
        "f2694137d9b76b3f3c4476edf73c0842d87e5070bc54e0fd7bfcee207020ee31",
    ];
    let notify = Notify {
        job_id: "1".into(),
        prevhash: hash("f3f5c0dccfc13efe46ad4e171b74204c6197357433b9d6e9000f5a3100000000"),
        coinb1: bytes(
            "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4103b93d130e0d2f4249503130302f454233322f04ca31bb5b046d1a86250c7131bb5b",
        ),
        coinb2: bytes(
            "16426974636f696e205854206174203738353066663633ffffffff025a1aa804000000001976a914158b5d181552c9f4f267c0de68aae4963043993988ac0000000000000000266a24aa21a9ed13bc96c3d459e6225b28d045b30a98f3ba03790daf04803d44972b93a5d2391700000000",
        ),
        branches: branches.map(hash).to_vec(),
        version: 0x20000000,
        nbits: 0x1b2c690b,
        ntime: 0x5bbb31ca,
        clean: true,
    };
    let e1 = Extranonce1::new(&[]).unwrap();
    let job = PoolJob::new(Arc::new(notify), e1, 8, Difficulty::ONE, VersionMask::NONE);
    let (e1, e2_size) = (Extranonce1::new(&bytes("d4000000")).unwrap(), 4);
    let solution = Solution {
        e2: Extranonce2::new(&bytes("00000000")).unwrap(),
        ntime: job.notify.ntime,
        nonce: 0x7098aa4c,
        version: job.notify.version,
    };
    let hash = job
        .hash(&MinerExtranonce { e1, e2_size }, &solution)
        .unwrap();
    assert_eq!(
        hash.to_string(),
        "0000000000226b4ca3c750abaf4860a960fd1a13a84af4671596efc4be873820"
    );
    assert!(hash.is_block(job.notify.nbits));
    let coinbase = Coinbase::of_job(&job).unwrap();
    assert_eq!(job.notify.height(), Some(1_260_985));
    assert!(coinbase.has_witness_commitment());
}

/// Block 881,423, from the pool's coinbase halves to the hash that explorers show.
#[test]
fn a_job_and_its_share_rebuild_the_block_that_was_found() {
    let branches = [
        "4282357ab0a2f4e8e562c8c5eae1d63b559068f9072374b72e26b88ac841908f",
        "c2bbae90d06f8025ade3516ca2e42d79318b6e56fccb9609df85a654a8341068",
        "cbb30084acbcb5ce6d5436e853bc612466df0c00702be6f51d47072f1a5d0480",
        "bb092e533f70b79246fc9e4bdc9b81ac8332e56f2651e3b237a150d6d807b081",
        "0d32959988733447cb340326a1fe4d3c2cff5d636e32a4e08c3fc5a234f6f6bc",
        "8ba3477940924a90067cff3dd30bc46916cf4c2f73fb6229b8f8197b83b6ddb9",
        "3fe97cc5dec1cddd66c9d3780888c145c12418590cd983c4871b1bf03fabbf9e",
        "bd1c6a3bcd0ebaa0eca54d9c802540f312c7705435601d776b4f59bb52cff67d",
        "8638c10190b8f4f558bafdbb57f46226c349a83f229f431143ae75e425fb5cbd",
        "6d6f4eae41cccb21a7c97ac496d9f89b8a4f772389b76f7691519dda38264221",
        "82dad7a1e2613af0e61f77f03d6208c83e72f917dade4235cc35e37ee3ad6e3f",
    ];
    let bytes = |text: &str| hex::decode(text).unwrap();
    let hash = |text: &str| bytes(text).try_into().unwrap();
    let notify = Notify {
        job_id: "1".into(),
        prevhash: hash("8a6ac9e3fe15ca70f8995e21434cb64ac4d2b5e10001543b0000000000000000"),
        coinb1: bytes(
            "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff3d030f730d000469c19a67",
        ),
        coinb2: bytes(
            "9a67b6600000000000000a41706f6c6c6f192f6d696e65642062792032353620466f756e646174696f6e2fffffffff0275aac01200000000160014c64b1b9283ba1ea86bb9e7b696b0c8f68dad04000000000000000000266a24aa21a9edb395560ab72068c2afb1d7e6c7db26b813482089d2c4d2471b9036c5e826140600000000",
        ),
        branches: branches.map(hash).to_vec(),
        version: 0x2000_0000,
        nbits: 0x1702_9a8a,
        ntime: 0x679a_c160,
        clean: true,
    };
    let mask = VersionMask(0x1fff_e000);
    let e1 = Extranonce1::new(&bytes("04830cee")).unwrap();
    let job = PoolJob::new(Arc::new(notify), e1, 4, Difficulty::ONE, mask);
    let (miner, e2) = {
        let both = bytes("220cf1ad");
        let (e1, e2) = both.split_at(1);
        let e1 = Extranonce1::new(e1).unwrap();
        let e2_size = 3;
        (
            MinerExtranonce { e1, e2_size },
            Extranonce2::new(e2).unwrap(),
        )
    };
    let solution = Solution {
        e2,
        ntime: 0x679a_c169,
        nonce: 0xff05_fb02,
        version: roll_version(job.notify.version, mask, 0x2e59_6000),
    };
    let hash = job.hash(&miner, &solution).unwrap();
    assert_eq!(
        hash.to_string(),
        "0000000000000000000269d52c24ea451225613aab095d90d771d4e29aa96cdd"
    );
    assert!(hash.is_block(job.notify.nbits));
    let coinbase = Coinbase::of_job(&job).unwrap();
    let (height, tag, reward, scripts) = read(&coinbase);
    assert_eq!(height, Some(881_423));
    assert_eq!(tag.as_deref(), Some("/mined by 256 Foundation/"));
    assert_eq!(reward, 314_616_437);
    assert_eq!(scripts[0], "0014c64b1b9283ba1ea86bb9e7b696b0c8f68dad0400");
    assert!(coinbase.has_witness_commitment());
}

//! A pool's wallet: the input is its text, and also serves as an output's script. An address that can be read becomes a
//! script, which gives the same address again. A typo in it is noticed.

use dpmp::coin::address::{Address, Wallet, of_script};
use dpmp::coin::remark::{remark, wallet_problem};
use dpmp::coin::{Chain, Coin, Network};

pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let text = text.trim();
    if let Wallet::Address(address) = Wallet::read(text) {
        assert_eq!(Wallet::read(&format!("{text}.rig")), Wallet::read(text));
        check_address(text, &address);
    } else {
        for chain in chains() {
            let name = chain.name().unwrap_or("LTC");
            let told = remark(text, name);
            assert_eq!(told.is_some(), wallet_problem(text, name).is_some());
            assert!(told.is_none_or(|told| told.chain.is_none()));
        }
    }
    check_script(data, data);
    // Most inputs are not a script with an address, but these are.
    for (before, size, after) in [
        (&[0x76, 0xa9, 20][..], 20, &[0x88, 0xac][..]),
        (&[0xa9, 20], 20, &[0x87]),
        (&[0xaa, 32], 32, &[0x87]),
        (&[0, 20], 20, &[]),
        (&[0, 32], 32, &[]),
        (&[0x51, 32], 32, &[]),
        (&[0x60, 2], 2, &[]),
    ] {
        if let Some(hash) = data.get(..size) {
            check_script(&[before, hash, after].concat(), data);
        }
    }
}

fn chains() -> impl Iterator<Item = Chain> {
    Coin::ALL
        .into_iter()
        .flat_map(|coin| Network::ALL.map(|network| Chain { coin, network }))
}

/// An address that was read can be written for each of its chains, and gives no bad remark about them.
fn check_address(text: &str, address: &Address) {
    assert!(!address.coins.is_empty() && !address.script.is_empty());
    for chain in chains() {
        let is_of = address.is_of(chain);
        if is_of {
            let written = of_script(&address.script, chain);
            check_written(
                &written.expect("what was read can be written"),
                address,
                chain,
            );
        }
        if let Some(name) = chain.name() {
            let told = remark(text, name).expect("an address is told");
            assert_eq!(told.is_problem, !is_of, "{told:?}");
            if let Some(better) = told.chain {
                assert!(address.is_of(Chain::of_name(better).expect("a known name")));
            }
        }
    }
}

/// A script that has an address is paid through it.
fn check_script(script: &[u8], data: &[u8]) {
    for chain in chains() {
        let Some(written) = of_script(script, chain) else {
            continue;
        };
        let Wallet::Address(address) = Wallet::read(&written) else {
            panic!("{written} is no address");
        };
        assert_eq!(address.script, script, "{written}");
        check_written(&written, &address, chain);
        check_slip(&written, data);
    }
}

fn check_written(written: &str, address: &Address, chain: Chain) {
    let Wallet::Address(again) = Wallet::read(written) else {
        panic!("{written} is no address");
    };
    assert_eq!(again.script, address.script, "{written}");
    assert!(again.is_of(chain), "{written}");
    assert_eq!(of_script(&again.script, chain).as_deref(), Some(written));
}

/// One different character, chosen by the input.
fn check_slip(written: &str, data: &[u8]) {
    const OTHERS: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0";
    let pick = |at: usize| usize::from(data.get(at).copied().unwrap_or_default());
    let mut slip = written.as_bytes().to_vec();
    let at = (pick(0) * 256 + pick(1)) % slip.len();
    let other = OTHERS[pick(2) % OTHERS.len()];
    if slip[at] != other {
        slip[at] = other;
        let slip = String::from_utf8(slip).expect("it is ASCII");
        let read = Wallet::read(&slip);
        assert!(!matches!(read, Wallet::Address(_)), "{slip} for {written}");
    }
}

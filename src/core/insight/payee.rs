//! Who a coinbase pays, as seen from the owner's payout address.
//!
//! - An output with half of the spendable reward or more makes its address the payee. So a few satoshis to the owner do
//!   not count as paying them, and a reward that is split among many has no payee.
//! - Spendable is the part that the coin's rules leave for the pool. eCash requires 32% for its fund and 10% for a
//!   staker; the other coins leave everything.
//! - Bitcoin and its forks share scripts, so a block can also pay an address of the wrong coin.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::coin::address::Wallet;
use crate::coin::remark::wallet_problem;
use crate::coin::{Chain, Coin};
use crate::stratum::coinbase::{Coinbase, Output};
use crate::units::named;

/// The script of eCash's fund, ecash:prfhcnyqnl5cgrnmlfmms675w93ld7mvvqd0y8lz07.
const ECASH_FUND: [u8; 23] = [
    0xa9, 20, 0xd3, 0x7c, 0x4c, 0x80, 0x9f, 0xe9, 0x84, 0x0e, 0x7b, 0xfa, 0x77, 0xb8, 0x6b, 0xd4,
    0x71, 0x63, 0xf6, 0xfb, 0x6c, 0x60, 0x87,
];

/// An eCash staker gets the whole reward divided by this.
const STAKER_PART: u64 = 10;

/// How much the staker's output may differ from that, in the smallest units, because pools round in either direction.
const ROUNDING: u64 = 10;

/// Parts are calculated in millionths.
const MILLION: u32 = 1_000_000;

named! {
    /// Who gets half of the reward or more, the best for the owner first.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    pub enum PayoutKind {
        /// The owner's address.
        Mine = "mine",
        /// No one: the reward is split among several.
        Shared = "shared",
        /// Another address, usually the pool's own.
        Pool = "pool",
    }
}

named! {
    /// Why DPMP cannot tell.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Obstacle {
        /// The payout address is an account name.
        Account = "account",
        /// The payout address begins like one but has a mistake.
        Wallet = "wallet",
        /// The coinbase cannot be read.
        Coinbase = "coinbase",
    }
}

/// Who a pool's job pays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Payee {
    /// It was compared with the owner's address.
    Known(Payment),
    /// It could not be compared, for this reason.
    CannotTell(Obstacle),
}

/// How a job's reward is distributed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Payment {
    /// Who gets the most.
    pub kind: PayoutKind,
    /// The owner's part of the spendable reward, from 0 to 1.
    pub share: f64,
    /// The largest part of one output to another address, from 0 to 1.
    pub other: f64,
    /// The address's coin, if that is certain.
    pub coin: Option<Coin>,
}

impl Payee {
    /// The owner's part of the spendable reward, from 0 to 1, if it is known.
    pub fn share(&self) -> Option<f64> {
        match self {
            Self::Known(payment) => Some(payment.share),
            Self::CannotTell(_) => None,
        }
    }

    /// Compares a job's coinbase, if it could be read, with the payout address of a pool whose coin is called `chain`.
    pub fn of(coinbase: Option<&Coinbase>, wallet: &str, chain: &str) -> Self {
        let address = match Wallet::read(wallet) {
            Wallet::Account => return Self::CannotTell(Obstacle::Account),
            Wallet::Wrong(_) => return Self::CannotTell(Obstacle::Wallet),
            Wallet::Address(address) => address,
        };
        let Some(coinbase) = coinbase else {
            return Self::CannotTell(Obstacle::Coinbase);
        };
        let coin = Chain::of_name(chain).map(|chain| chain.coin);
        let (mut mine, mut most) = (0, 0);
        for output in spendable(coinbase, coin, &address.script) {
            if coinbase.script_of(output) == address.script {
                mine += output.value;
            } else {
                most = most.max(output.value);
            }
        }
        let outputs = spendable(coinbase, coin, &address.script);
        let all = outputs.map(|output| output.value).sum();
        let kind = if is_half(mine, all) {
            PayoutKind::Mine
        } else if is_half(most, all) {
            PayoutKind::Pool
        } else {
            PayoutKind::Shared
        };
        let meant = coin.filter(|coin| address.coins.contains(coin));
        Self::Known(Payment {
            kind,
            share: part(mine, all),
            other: part(most, all),
            coin: address.only_coin().or(meant),
        })
    }
}

/// The outputs that the pool can choose. `mine`: the owner's script.
fn spendable<'a>(
    coinbase: &'a Coinbase,
    coin: Option<Coin>,
    mine: &[u8],
) -> impl Iterator<Item = &'a Output> {
    let is_ecash = coin == Some(Coin::Xec);
    let of_fund = move |output: &Output| is_ecash && coinbase.script_of(output) == ECASH_FUND;
    let staked = coinbase.reward() / STAKER_PART;
    let to_staker = |output: &&Output| {
        let differs = output.value.abs_diff(staked);
        is_ecash && differs <= ROUNDING && coinbase.script_of(output) != mine && !of_fund(output)
    };
    let outputs = coinbase.outputs();
    // One of those that look like it.
    let staker = outputs.iter().position(|output| to_staker(&output));
    let outputs = outputs.iter().enumerate();
    outputs.filter_map(move |(place, output)| {
        (Some(place) != staker && !of_fund(output)).then_some(output)
    })
}

fn is_half(value: u64, all: u64) -> bool {
    value > 0 && value >= all - value
}

fn part(value: u64, all: u64) -> f64 {
    let millionths = u128::from(value) * u128::from(MILLION) / u128::from(all.max(1));
    f64::from(u32::try_from(millionths).unwrap_or(MILLION)) / f64::from(MILLION)
}

/// A sentence for a page.
impl fmt::Display for Payee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paid = match self {
            Self::CannotTell(Obstacle::Account) => {
                return f.write_str(
                    "DPMP cannot tell who it pays: the payout address is an account name.",
                );
            }
            Self::CannotTell(Obstacle::Wallet) => {
                return f
                    .write_str("DPMP cannot tell who it pays: the payout address has a mistake.");
            }
            Self::CannotTell(Obstacle::Coinbase) => {
                return f.write_str("DPMP cannot tell who it pays: its coinbase cannot be read.");
            }
            Self::Known(paid) => paid,
        };
        match paid.kind {
            PayoutKind::Mine => write!(f, "Pays your address {}", Percent(paid.share))?,
            PayoutKind::Shared if paid.share == 0.0 => {
                return f.write_str("Splits the reward among several addresses, not yours.");
            }
            PayoutKind::Shared => write!(
                f,
                "Splits the reward among several addresses, {} to yours",
                Percent(paid.share)
            )?,
            PayoutKind::Pool => {
                return f.write_str("Pays another address, as usual for pools that share rewards.");
            }
        }
        match paid.coin {
            Some(coin) if paid.kind == PayoutKind::Mine => {
                let name = coin.name();
                let article = if name.starts_with('X') { "an" } else { "a" };
                write!(f, " (as {article} {name} address).")
            }
            Some(_) | None => f.write_str("."),
        }
    }
}

/// A part in percent, rounded down, so that only everything is 100.0%.
pub struct Percent(pub f64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = (self.0 * 1000.0 + 1e-6).floor() / 10.0;
        write!(f, "{tenths:.1}%")
    }
}

/// The sentences for a page: a mistake in the payout address comes first.
pub fn sentences(payee: &Payee, wallet: &str, chain: &str) -> String {
    match wallet_problem(wallet, chain) {
        Some(problem) => format!("Check the payout address. {problem} {payee}"),
        None => payee.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stratum::coinbase::tests::transaction;

    /// One key in the forms of two coins, and its script.
    const AS_BTC: &str = "1BpEi6DfDAUFd7GtittLSdBeYJvcoaVggu";
    const AS_BCH: &str = "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a";

    fn mine() -> Vec<u8> {
        match (Wallet::read(AS_BTC), Wallet::read(AS_BCH)) {
            (Wallet::Address(btc), Wallet::Address(bch)) if btc.script == bch.script => btc.script,
            other => panic!("{other:?}"),
        }
    }

    fn of(wallet: &str, chain: &str, outputs: &[(u64, Vec<u8>)]) -> Payee {
        let coinbase = Coinbase::read(transaction(&[3, 1, 2, 3], outputs)).unwrap();
        Payee::of(Some(&coinbase), wallet, chain)
    }

    #[track_caller]
    fn check(outputs: &[(u64, Vec<u8>)], chain: &str, kind: PayoutKind, share: f64) {
        let Payee::Known(paid) = of(AS_BTC, chain, outputs) else {
            panic!("not compared");
        };
        assert_eq!((paid.kind, paid.share), (kind, share));
    }

    fn other(number: u8) -> Vec<u8> {
        [&[0, 20], &[number; 20][..]].concat()
    }

    #[test]
    fn the_payee_is_the_address_with_at_least_half_of_the_reward() {
        let commitment = (0, vec![0x6a; 38]);
        let fee = (6_250_000, other(1));
        let most = (306_250_000, mine());
        check(
            &[fee, most, commitment.clone()],
            "BTC",
            PayoutKind::Mine,
            0.98,
        );
        check(&[(312, mine())], "BTC", PayoutKind::Mine, 1.0);
        check(&[(1, other(1)), (1, mine())], "BTC", PayoutKind::Mine, 0.5);
        check(
            &[(312_500_000, other(1)), commitment],
            "BTC",
            PayoutKind::Pool,
            0.0,
        );
        // A satoshi is not a payment.
        check(
            &[(312_499_999, other(1)), (1, mine())],
            "BTC",
            PayoutKind::Pool,
            0.0,
        );
        check(&[(0, mine())], "BTC", PayoutKind::Shared, 0.0);
        // In two outputs.
        check(
            &[(3, mine()), (4, other(1)), (3, mine())],
            "BTC",
            PayoutKind::Mine,
            0.6,
        );
        let mut many: Vec<_> = (0..200).map(|number| (500, other(number))).collect();
        check(&many, "BTC", PayoutKind::Shared, 0.0);
        many[7] = (500, mine());
        check(&many, "BTC", PayoutKind::Shared, 0.005);
    }

    #[test]
    fn ecash_fund_and_staking_outputs_are_not_counted_as_the_pools_own() {
        let fund = (200_000_327, ECASH_FUND.to_vec());
        let staker = (62_500_102, other(9));
        let rest = 625_001_021 - fund.0 - staker.0;
        let outputs = |mine_gets: u64| {
            let fee = (rest - mine_gets, other(1));
            [(mine_gets, mine()), fund.clone(), staker.clone(), fee]
        };
        check(&outputs(rest), "XEC", PayoutKind::Mine, 1.0);
        check(&outputs(rest / 2 + 1), "XEC", PayoutKind::Mine, 0.5);
        check(&outputs(rest / 4), "XEC", PayoutKind::Pool, 0.25);
        // On other coins, these are ordinary outputs.
        check(&outputs(rest), "BCH", PayoutKind::Mine, 0.579_999);
        // A pool's fee may look like the staker's part, but only one output is the staker's.
        let less = (rest - staker.0, mine());
        let twice = [less, staker.clone(), staker.clone(), fund.clone()];
        check(&twice, "XEC", PayoutKind::Mine, 0.827_586);
    }

    #[test]
    fn the_sentence_names_the_coin_of_the_address() {
        let outputs = [(980, mine()), (20, other(1))];
        let say = |wallet, chain| sentences(&of(wallet, chain, &outputs), wallet, chain);
        for (wallet, chain, said) in [
            (AS_BTC, "BTC", "Pays your address 98.0% (as a BTC address)."),
            (
                AS_BTC,
                "XEC",
                "Pays your address 98.0% (as an XEC address).",
            ),
            (AS_BTC, "LTC", "Pays your address 98.0%."),
            (AS_BCH, "BCH", "Pays your address 98.0% (as a BCH address)."),
            (
                AS_BCH,
                "BTC",
                "Check the payout address. This is a Bitcoin Cash address, but the coin is BTC. Pays your address 98.0% (as a BCH address).",
            ),
            (
                "satoshi.rig",
                "BTC",
                "DPMP cannot tell who it pays: the payout address is an account name.",
            ),
        ] {
            assert_eq!(say(wallet, chain), said);
        }
        let wrong = AS_BTC.replace("Bp", "bp");
        let why = Payee::of(None, &wrong, "BTC");
        assert_eq!(why, Payee::CannotTell(Obstacle::Wallet));
        assert_eq!(
            Payee::of(None, AS_BTC, "BTC").to_string(),
            "DPMP cannot tell who it pays: its coinbase cannot be read."
        );
        for (share, said) in [(1.0, "100.0%"), (0.999_999, "99.9%"), (0.29, "29.0%")] {
            assert_eq!(Percent(share).to_string(), said);
        }
    }
}

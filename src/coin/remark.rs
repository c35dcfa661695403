//! What the pages say about a payout address while it is typed: what it is, what is wrong with it, and which coin it
//! belongs to.
//!
//! Account names are left alone. An address that several coins share does not determine the coin.

use super::address::{Address, Wallet, form};
use super::{Chain, Network};

/// A remark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// As text for people.
    pub text: String,
    /// Whether something is wrong.
    pub is_problem: bool,
    /// What `chain` should be instead, if the address leaves no doubt.
    pub chain: Option<&'static str>,
}

/// A remark about a payout address, given the coin that the owner's `chain` names; `None` for an account.
pub fn remark(wallet: &str, chain: &str) -> Option<Remark> {
    let address = match Wallet::read(wallet) {
        Wallet::Account => return None,
        Wallet::Wrong(fault) => {
            return Some(Remark {
                text: format!("This address has a mistake: {fault}."),
                is_problem: true,
                chain: None,
            });
        }
        Wallet::Address(address) => address,
    };
    let chain = Chain::of_name(chain);
    let problem = chain.and_then(|chain| mismatch(&address, chain));
    Some(Remark {
        is_problem: problem.is_some(),
        chain: match (&problem, address.only_coin()) {
            (Some(_), Some(coin)) => {
                let network = address.network;
                Chain { coin, network }.name()
            }
            (Some(_) | None, _) => None,
        },
        text: problem.unwrap_or_else(|| kind(&address, chain)),
    })
}

/// What is wrong with a payout address for the coin that the owner's `chain` names, as a sentence; `None` if no mistake
/// can be found.
pub fn wallet_problem(wallet: &str, chain: &str) -> Option<String> {
    remark(wallet, chain)
        .filter(|remark| remark.is_problem)
        .map(|remark| remark.text)
}

fn mismatch(address: &Address, chain: Chain) -> Option<String> {
    let named = chain.coin.name();
    if !address.coins.contains(&chain.coin) {
        // Bitcoin represents all coins that share its form.
        let coin = address.coins.first().map_or("", |coin| coin.long_name());
        let article = article(coin);
        Some(format!(
            "This is {article} {coin} address, but the coin is {named}."
        ))
    } else if address.network != chain.network {
        Some(match address.network {
            Network::Test => {
                format!("This is an address of a test network, but the coin is {named}.")
            }
            Network::Main => format!(
                "This is a {} address, but the coin is one of a test network.",
                chain.coin.long_name()
            ),
        })
    } else {
        None
    }
}

/// Such as "A Bitcoin address (P2WPKH)".
fn kind(address: &Address, chain: Option<Chain>) -> String {
    let form = form(&address.script);
    let coin = chain.map(|chain| chain.coin).or(address.only_coin());
    let of = match address.network {
        Network::Main => "",
        Network::Test => " of a test network",
    };
    match coin.map(|coin| coin.long_name()) {
        Some(coin) if article(coin) == "an" => format!("An {coin} address{of} ({form})"),
        Some(coin) => format!("A {coin} address{of} ({form})"),
        None => format!("A valid address{of} ({form})"),
    }
}

fn article(coin: &str) -> &'static str {
    if coin.starts_with('e') { "an" } else { "a" }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BCH: &str = "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a";
    const BTC: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
    const OLD: &str = "1BpEi6DfDAUFd7GtittLSdBeYJvcoaVggu";
    const TEST: &str = "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7";

    #[test]
    fn the_remark_says_what_is_wrong_with_a_wallet() {
        for (wallet, chain) in [
            (BTC, "BTC"),
            (BCH, "BCH"),
            (BCH, "LTC"),
            (BTC, ""),
            (OLD, "XEC"),
            ("3CWFddi6m4ndiGyKqzYvsFYagqDLPVMTzC", "DGB"),
            ("alice", "BTC"),
        ] {
            assert_eq!(wallet_problem(wallet, chain), None, "{wallet} {chain}");
        }
        let told = |wallet, chain| wallet_problem(wallet, chain).unwrap();
        assert_eq!(
            told(BCH, "BTC"),
            "This is a Bitcoin Cash address, but the coin is BTC."
        );
        assert_eq!(
            told(OLD, "DGB"),
            "This is a Bitcoin address, but the coin is DGB."
        );
        assert_eq!(
            told("ecash:qpm2qsznhks23z7629mms6s4cwef74vcwva87rkuu2", "BCH"),
            "This is an eCash address, but the coin is BCH."
        );
        assert_eq!(
            told(TEST, "BTC"),
            "This is an address of a test network, but the coin is BTC."
        );
        assert_eq!(
            told(BTC, "signet"),
            "This is a Bitcoin address, but the coin is one of a test network."
        );
        assert_eq!(
            told("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5.x", ""),
            "This address has a mistake: a character is wrong or missing."
        );
    }

    #[test]
    fn a_good_address_gets_a_remark_with_its_kind_and_an_account_gets_none() {
        let told = |wallet, chain| remark(wallet, chain).unwrap().text;
        for (wallet, chain, wanted) in [
            (BTC, "BTC", "A Bitcoin address (P2WPKH)"),
            (BTC, "LTC", "A Bitcoin address (P2WPKH)"),
            (OLD, "BCH", "A Bitcoin Cash address (P2PKH)"),
            (OLD, "LTC", "A valid address (P2PKH)"),
            (TEST, "TBTC", "A Bitcoin address of a test network (P2WSH)"),
            (
                "ecash:qpm2qsznhks23z7629mms6s4cwef74vcwva87rkuu2",
                "XEC",
                "An eCash address (P2PKH)",
            ),
            (
                "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
                "BTC",
                "A Bitcoin address (P2TR)",
            ),
        ] {
            assert_eq!(told(wallet, chain), wanted);
        }
        assert_eq!(remark("alice", "BTC"), None);
    }

    #[test]
    fn an_address_names_its_coin_unless_several_coins_share_its_form() {
        let named = |wallet, chain| remark(wallet, chain).unwrap().chain;
        for (wallet, chain, wanted) in [
            (BCH, "BTC", Some("BCH")),
            (&BCH["bitcoincash:".len()..], "BTC", Some("BCH")),
            (BCH, "BCH", None),
            (BTC, "BCH", Some("BTC")),
            (TEST, "BTC", Some("TBTC")),
            // DPMP does not know that coin.
            (BTC, "LTC", None),
            (OLD, "DGB", None),
            ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", "BCH", None),
        ] {
            assert_eq!(named(wallet, chain), wanted, "{wallet} {chain}");
        }
    }
}

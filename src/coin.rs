//! Coins that pools mine, and their differences: the format of their addresses, whether a block's hash proves its work,
//! and where to look up their blocks.

pub mod address;
mod cashaddr;
pub mod remark;

use crate::units::named;

named! {
    /// A coin that DPMP knows. All others can be mined as well, but without the features that depend on the coin.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Coin {
        /// Bitcoin.
        Btc = "BTC",
        /// Bitcoin Cash.
        Bch = "BCH",
        /// Bitcoin SV.
        Bsv = "BSV",
        /// eCash.
        Xec = "XEC",
        /// DigiByte.
        Dgb = "DGB",
    }
}

impl Coin {
    /// The name people use.
    pub fn long_name(self) -> &'static str {
        match self {
            Self::Btc => "Bitcoin",
            Self::Bch => "Bitcoin Cash",
            Self::Bsv => "Bitcoin SV",
            Self::Xec => "eCash",
            Self::Dgb => "DigiByte",
        }
    }

    /// How many decimal places an amount has; the last is its smallest unit.
    pub fn decimals(self) -> u32 {
        match self {
            Self::Btc | Self::Bch | Self::Bsv | Self::Dgb => 8,
            Self::Xec => 2,
        }
    }

    /// Whether its blocks have witnesses, which they commit to (BIP 141). Blocks of the other coins may have such an
    /// output as well, and on test networks some do; it means nothing there.
    pub fn has_witness(self) -> bool {
        match self {
            Self::Btc | Self::Dgb => true,
            Self::Bch | Self::Bsv | Self::Xec => false,
        }
    }
}

named! {
    /// Whether the coins are worth anything.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Network {
        /// The main network.
        Main = "main",
        /// A test network.
        Test = "test",
    }
}

/// A coin's chain, as far as it matters for mining.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chain {
    /// Its coin.
    pub coin: Coin,
    /// Its network.
    pub network: Network,
}

impl Chain {
    /// The chain that the owner's `chain` names, in any case; `None` if it is unknown or empty.
    pub fn of_name(name: &str) -> Option<Self> {
        let name = name.trim().to_ascii_uppercase();
        let (coin, network) = match name.as_str() {
            "BTC" | "XBT" | "BITCOIN" => (Coin::Btc, Network::Main),
            "TBTC" | "TESTNET" | "TESTNET3" | "TESTNET4" | "SIGNET" | "REGTEST" => {
                (Coin::Btc, Network::Test)
            }
            "BCH" | "BITCOINCASH" | "BITCOIN CASH" => (Coin::Bch, Network::Main),
            "TBCH" | "BCHTEST" | "BCHREG" | "CHIPNET" => (Coin::Bch, Network::Test),
            "BSV" | "BITCOINSV" | "BITCOIN SV" => (Coin::Bsv, Network::Main),
            "XEC" | "ECASH" | "BCHA" => (Coin::Xec, Network::Main),
            "TXEC" | "ECTEST" => (Coin::Xec, Network::Test),
            "DGB" | "DIGIBYTE" => (Coin::Dgb, Network::Main),
            _ => return None,
        };
        Some(Self { coin, network })
    }

    /// The usual name; `None` if there is none.
    pub fn name(self) -> Option<&'static str> {
        match (self.coin, self.network) {
            (coin, Network::Main) => Some(coin.name()),
            (Coin::Btc, Network::Test) => Some("TBTC"),
            (Coin::Bch, Network::Test) => Some("TBCH"),
            (Coin::Xec, Network::Test) => Some("TXEC"),
            (Coin::Bsv | Coin::Dgb, Network::Test) => None,
        }
    }

    /// Whether a block's hash must meet the target in `nbits`. Test networks waive that for some blocks, and DigiByte
    /// has blocks of several algorithms.
    pub fn hash_shows_work(self) -> bool {
        match (self.coin, self.network) {
            (Coin::Btc | Coin::Bch | Coin::Bsv | Coin::Xec, Network::Main) => true,
            (Coin::Dgb, Network::Main) | (_, Network::Test) => false,
        }
    }

    /// The page about a block in an explorer, by its hash as explorers write it.
    pub fn block_page(self, hash: &str) -> Option<String> {
        let site = match (self.coin, self.network) {
            (Coin::Btc, Network::Main) => "https://mempool.space/block/",
            (Coin::Bch, Network::Main) => "https://blockchair.com/bitcoin-cash/block/",
            (Coin::Bsv, Network::Main) => "https://whatsonchain.com/block/",
            (Coin::Xec, Network::Main) => "https://explorer.e.cash/block/",
            (Coin::Dgb, Network::Main) => "https://digiexplorer.info/block/",
            (_, Network::Test) => return None,
        };
        Some(format!("{site}{hash}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_are_recognized_by_their_usual_names() {
        let chain = |name| Chain::of_name(name).map(|it| (it.coin, it.network));
        assert_eq!(chain("btc"), Some((Coin::Btc, Network::Main)));
        assert_eq!(chain(" eCash "), Some((Coin::Xec, Network::Main)));
        assert_eq!(chain("signet"), Some((Coin::Btc, Network::Test)));
        assert_eq!(chain("LTC"), None);
        assert_eq!(chain(""), None);
        for coin in Coin::ALL {
            assert_eq!(chain(coin.name()), Some((coin, Network::Main)));
            for network in Network::ALL {
                let name = Chain { coin, network }.name();
                assert!(name.is_none_or(|name| chain(name) == Some((coin, network))));
            }
        }
    }

    #[test]
    fn only_hashes_of_real_single_algorithm_chains_show_proof_of_work() {
        let shows = |name| Chain::of_name(name).unwrap().hash_shows_work();
        for (name, wanted) in [
            ("BTC", true),
            ("BCH", true),
            ("XEC", true),
            ("DGB", false),
            ("TBTC", false),
        ] {
            assert_eq!(shows(name), wanted, "{name}");
            let page = Chain::of_name(name).unwrap().block_page("00ab");
            assert_eq!(page.is_some(), name != "TBTC");
        }
    }
}

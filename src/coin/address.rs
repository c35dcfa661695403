//! Payout addresses: from text to the script that a block pays, and back.
//!
//! - An account at a pool may have any name. Text is an address if it can be read as one. If it only begins like an
//!   address, it *should* be one but has a mistake. Anything else is an account name and is left alone.
//! - Several coins share formats: an address in the old format does not show which of them is meant.
//! - Formats: base58check (BIP 13, BIP 16), bech32 and bech32m (BIP 173, BIP 350), CashAddr.

use std::fmt;

use bech32::segwit;

use super::cashaddr::{self, Kind};
use super::{Chain, Coin, Network};

/// An address that could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// The script of an output that pays it.
    pub script: Vec<u8>,
    /// The coins whose addresses look like this; never none.
    pub coins: &'static [Coin],
    /// Its network.
    pub network: Network,
}

/// What is wrong with text that begins like an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressFault {
    /// A character is wrong, missing or too many.
    Checksum,
    /// It mixes lower and upper case, which such an address must not.
    MixedCase,
    /// It has a character that is not allowed in such an address.
    Character(char),
    /// It is well-formed, but no coin pays this kind.
    Unknown,
}

impl fmt::Display for AddressFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checksum => f.write_str("a character is wrong or missing"),
            Self::MixedCase => f.write_str("it mixes lowercase and uppercase letters"),
            Self::Character(found) if found.is_alphanumeric() || found.is_ascii_graphic() => {
                write!(f, "\"{found}\" is never in such an address")
            }
            Self::Character(found) => write!(
                f,
                "an invisible character (U+{:04X}) is never in such an address",
                u32::from(*found)
            ),
            Self::Unknown => f.write_str("it is of an unknown kind"),
        }
    }
}

/// What the owner entered as a pool's payout address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wallet {
    /// An address.
    Address(Address),
    /// It begins like an address but is not one.
    Wrong(AddressFault),
    /// Probably the name of an account.
    Account,
}

/// All coins of the old form.
const BITCOINS: &[Coin] = &[Coin::Btc, Coin::Bch, Coin::Bsv, Coin::Xec];

/// Base58check's first byte, what the hash is of, which coins write it so, and on which network.
///
/// The first of several is how a script is shown.
const BASE58: [(u8, Kind, &[Coin], Network); 10] = [
    (0x3f, Kind::ScriptHash, &[Coin::Dgb], Network::Main),
    (0x00, Kind::KeyHash, BITCOINS, Network::Main),
    // DigiByte's nodes accept this one as well.
    (0x05, Kind::ScriptHash, &Coin::ALL, Network::Main),
    (0x6f, Kind::KeyHash, BITCOINS, Network::Test),
    (0xc4, Kind::ScriptHash, BITCOINS, Network::Test),
    // The form of BitPay's wallet, from before CashAddr.
    (0x1c, Kind::KeyHash, &[Coin::Bch], Network::Main),
    (0x28, Kind::ScriptHash, &[Coin::Bch], Network::Main),
    (0x1e, Kind::KeyHash, &[Coin::Dgb], Network::Main),
    (0x7e, Kind::KeyHash, &[Coin::Dgb], Network::Test),
    (0x8c, Kind::ScriptHash, &[Coin::Dgb], Network::Test),
];

/// The human-readable parts of bech32 addresses.
const BECH32: [(&str, &[Coin], Network); 6] = [
    ("bc", &[Coin::Btc], Network::Main),
    ("tb", &[Coin::Btc], Network::Test),
    ("bcrt", &[Coin::Btc], Network::Test),
    ("dgb", &[Coin::Dgb], Network::Main),
    ("dgbt", &[Coin::Dgb], Network::Test),
    ("dgbrt", &[Coin::Dgb], Network::Test),
];

/// The prefixes of CashAddr.
const CASHADDR: [(&str, &[Coin], Network); 6] = [
    ("bitcoincash", &[Coin::Bch], Network::Main),
    ("ecash", &[Coin::Xec], Network::Main),
    ("bchtest", &[Coin::Bch], Network::Test),
    ("bchreg", &[Coin::Bch], Network::Test),
    ("ectest", &[Coin::Xec], Network::Test),
    ("ecregtest", &[Coin::Xec], Network::Test),
];

/// The length of a CashAddr payload with a hash of 20 bytes, in characters.
const CASHADDR_LENGTH: usize = 42;

impl Wallet {
    /// Reads a payout address. What follows a dot is a worker's name and is ignored.
    pub fn read(text: &str) -> Self {
        let text = text.trim();
        let text = text.split_once('.').map_or(text, |(before, _)| before);
        if let Some(foreign) = text.chars().find(|it| !it.is_ascii()) {
            // A copied address may contain letters of another alphabet, or invisible ones.
            let ascii: String = text.chars().filter(char::is_ascii).collect();
            return match Self::read(&ascii) {
                Self::Account => Self::Account,
                Self::Address(_) | Self::Wrong(_) => Self::Wrong(AddressFault::Character(foreign)),
            };
        }
        read_bech32(text)
            .or_else(|| read_cashaddr(text))
            .or_else(|| read_base58(text))
            .map_or(Self::Account, |read| match read {
                Ok(address) => Self::Address(address),
                Err(fault) => Self::Wrong(fault),
            })
    }
}

impl Address {
    /// Whether a chain's blocks can pay to it in this form.
    pub fn is_of(&self, chain: Chain) -> bool {
        self.network == chain.network && self.coins.contains(&chain.coin)
    }

    /// The coin, if only one has this form.
    pub fn only_coin(&self) -> Option<Coin> {
        match self.coins {
            [coin] => Some(*coin),
            _ => None,
        }
    }
}

/// `None`: it does not look like an address.
type Read = Option<Result<Address, AddressFault>>;

fn read_bech32(text: &str) -> Read {
    let lower = text.to_ascii_lowercase();
    let (start, rest) = lower.split_once('1')?;
    let (_, coins, network) = BECH32.into_iter().find(|(hrp, ..)| *hrp == start)?;
    let odd = rest.chars().find(|c| bech32::Fe32::from_char(*c).is_err());
    Some(match segwit::decode(text) {
        Ok((_, version, program)) => Ok(Address {
            script: witness_script(version.to_u8(), &program),
            coins,
            network,
        }),
        Err(_) if is_mixed(text) => Err(AddressFault::MixedCase),
        Err(_) => Err(odd.map_or(AddressFault::Checksum, AddressFault::Character)),
    })
}

fn read_cashaddr(text: &str) -> Read {
    let lower = text.to_ascii_lowercase();
    let (found, payload) = match lower.split_once(':') {
        Some((prefix, payload)) => {
            let known = CASHADDR.into_iter().find(|known| known.0 == prefix)?;
            (Some(known), payload)
        }
        // Without its prefix, which follows from the checksum.
        None => {
            let payload = lower.as_str();
            let digits = payload.chars().all(|c| bech32::Fe32::from_char(c).is_ok());
            if payload.len() < CASHADDR_LENGTH || !digits {
                return None;
            }
            let known = CASHADDR
                .into_iter()
                .find(|known| cashaddr::has_checksum(known.0, payload));
            let is_like_one =
                payload.len() == CASHADDR_LENGTH && payload.starts_with(['q', 'p', 'z', 'r']);
            if known.is_none() && !is_like_one {
                return None;
            }
            (known, payload)
        }
    };
    if is_mixed(text) {
        return Some(Err(AddressFault::MixedCase));
    }
    let odd = payload
        .chars()
        .find(|c| bech32::Fe32::from_char(*c).is_err());
    if let Some(odd) = odd {
        return Some(Err(AddressFault::Character(odd)));
    }
    let Some((prefix, coins, network)) =
        found.filter(|known| cashaddr::has_checksum(known.0, payload))
    else {
        return Some(Err(AddressFault::Checksum));
    };
    let script = cashaddr::read(prefix, payload).and_then(|(kind, hash)| hash_script(kind, &hash));
    Some(script.ok_or(AddressFault::Unknown).map(|script| Address {
        script,
        coins,
        network,
    }))
}

fn read_base58(text: &str) -> Read {
    // Text with one of the two usual beginnings counts as an address even if it has a character that is not allowed in
    // one.
    let is_like_one = text.starts_with(['1', '3'])
        && (26..=35).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric());
    if text.len() > 40 {
        return None;
    }
    let bytes = match bs58::decode(text).with_check(None).into_vec() {
        Ok(bytes) => bytes,
        Err(bs58::decode::Error::InvalidCharacter { character, .. }) if is_like_one => {
            return Some(Err(AddressFault::Character(character)));
        }
        Err(_) if is_like_one || is_surely_one(text) => {
            return Some(Err(AddressFault::Checksum));
        }
        Err(_) => return None,
    };
    let (version, hash) = bytes.split_first()?;
    let known = BASE58.into_iter().find(|known| known.0 == *version);
    match known.filter(|_| hash.len() == 20) {
        Some((_, kind, coins, network)) => hash_script(kind, hash).map(|script| {
            Ok(Address {
                script,
                coins,
                network,
            })
        }),
        None if is_like_one => Some(Err(AddressFault::Unknown)),
        None => None,
    }
}

/// Whether text is an address of a test network or of DigiByte with a slip in it, beyond reasonable doubt. By their first
/// character alone, accounts begin so as well.
///
/// Still read as accounts: slips in the first character or before a bech32 address's `1`, ones with a character that no
/// address has, ones that change the length by more than one, and the rare forms that begin otherwise (`C` and `H` of
/// Bitcoin Cash, DigiByte's test networks).
fn is_surely_one(text: &str) -> bool {
    let has = |what: fn(&char) -> bool| text.chars().any(|c| what(&c));
    text.starts_with(['m', 'n', '2', 'D', 'S'])
        && (33..=36).contains(&text.len())
        && has(char::is_ascii_lowercase)
        && has(char::is_ascii_uppercase)
        && has(char::is_ascii_digit)
        && bs58::decode(text).into_vec().is_ok()
}

fn is_mixed(text: &str) -> bool {
    text.chars().any(|c| c.is_ascii_lowercase()) && text.chars().any(|c| c.is_ascii_uppercase())
}

/// The usual name for an address's form, by its script.
pub(super) fn form(script: &[u8]) -> &'static str {
    match (hash_of_script(script), script) {
        (Some((Kind::KeyHash, _)), _) => "P2PKH",
        (Some((Kind::ScriptHash, _)), _) => "P2SH",
        (None, [0, 20, ..]) => "P2WPKH",
        (None, [0, 32, ..]) => "P2WSH",
        (None, [0x51, 32, ..]) => "P2TR",
        (None, _) => "SegWit",
    }
}

/// What an output's script begins with and ends with around a hash, the kind of the hash, and its size.
const HASH_SCRIPTS: [(&[u8], &[u8], Kind, usize); 3] = [
    // OP_DUP OP_HASH160 <hash> OP_EQUALVERIFY OP_CHECKSIG
    (&[0x76, 0xa9, 20], &[0x88, 0xac], Kind::KeyHash, 20),
    // OP_HASH160 <hash> OP_EQUAL
    (&[0xa9, 20], &[0x87], Kind::ScriptHash, 20),
    // OP_HASH256 <hash> OP_EQUAL, of Bitcoin Cash
    (&[0xaa, 32], &[0x87], Kind::ScriptHash, 32),
];

fn hash_script(kind: Kind, hash: &[u8]) -> Option<Vec<u8>> {
    let (before, after, ..) = HASH_SCRIPTS
        .into_iter()
        .find(|(_, _, of, size)| *of == kind && *size == hash.len())?;
    Some([before, hash, after].concat())
}

/// The reverse.
fn hash_of_script(script: &[u8]) -> Option<(Kind, &[u8])> {
    HASH_SCRIPTS
        .into_iter()
        .find_map(|(before, after, kind, size)| {
            let hash = script.strip_prefix(before)?.strip_suffix(after)?;
            (hash.len() == size).then_some((kind, hash))
        })
}

/// OP_0, or OP_1 to OP_16, and the program.
fn witness_script(version: u8, program: &[u8]) -> Vec<u8> {
    let opcode = if version == 0 { 0 } else { 0x50 + version };
    let size = u8::try_from(program.len()).unwrap_or(u8::MAX);
    [&[opcode, size], program].concat()
}

/// The address that a script pays, as wallets of the chain write it; `None` if it has none.
pub fn of_script(script: &[u8], chain: Chain) -> Option<String> {
    let Some((kind, hash)) = hash_of_script(script) else {
        return witness_address(script, chain);
    };
    let prefix = CASHADDR
        .into_iter()
        .find(|(_, coins, network)| coins.contains(&chain.coin) && *network == chain.network);
    if let Some((prefix, ..)) = prefix {
        return Some(format!("{prefix}:{}", cashaddr::write(prefix, kind, hash)?));
    }
    if hash.len() != 20 {
        return None;
    }
    let (version, ..) = BASE58.into_iter().find(|(_, of, coins, network)| {
        *of == kind && coins.contains(&chain.coin) && *network == chain.network
    })?;
    let bytes = [&[version], hash].concat();
    Some(bs58::encode(bytes).with_check().into_string())
}

fn witness_address(script: &[u8], chain: Chain) -> Option<String> {
    let [opcode, size, program @ ..] = script else {
        return None;
    };
    let version = match opcode {
        0 => 0,
        0x51..=0x60 => opcode - 0x50,
        _ => return None,
    };
    let (hrp, ..) = BECH32
        .into_iter()
        .find(|(_, coins, network)| coins.contains(&chain.coin) && *network == chain.network)?;
    if usize::from(*size) != program.len() {
        return None;
    }
    let version = bech32::Fe32::try_from(version).ok()?;
    segwit::encode(bech32::Hrp::parse(hrp).ok()?, version, program).ok()
}

#[cfg(test)]
mod tests;

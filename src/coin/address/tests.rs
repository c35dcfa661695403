//! Addresses of all formats, including real ones, and text that is almost an address.

use proptest::prelude::*;

use super::*;

fn address(text: &str) -> Address {
    match Wallet::read(text) {
        Wallet::Address(address) => address,
        other @ (Wallet::Wrong(_) | Wallet::Account) => panic!("{text}: {other:?}"),
    }
}

fn script(text: &str) -> String {
    hex::encode(address(text).script)
}

fn fault(text: &str) -> AddressFault {
    match Wallet::read(text) {
        Wallet::Wrong(fault) => fault,
        other @ (Wallet::Address(_) | Wallet::Account) => panic!("{text}: {other:?}"),
    }
}

fn chain(name: &str) -> Chain {
    Chain::of_name(name).unwrap()
}

/// The vectors of BIP 173 and BIP 350.
#[test]
fn witness_addresses_of_all_versions_can_be_read() {
    for (text, wanted) in [
        (
            "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
            "0014751e76e8199196d454941c45d1b3a323f1433bd6",
        ),
        (
            "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7",
            "00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262",
        ),
        (
            "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y",
            "5128751e76e8199196d454941c45d1b3a323f1433bd6751e76e8199196d454941c45d1b3a323f1433bd6",
        ),
        ("BC1SW50QGDZ25J", "6002751e"),
        (
            "bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs",
            "5210751e76e8199196d454941c45d1b3a323",
        ),
        (
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
            "512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
        ),
    ] {
        assert_eq!(script(text), wanted, "{text}");
        let network = address(text).network;
        let back = of_script(
            &address(text).script,
            Chain {
                coin: Coin::Btc,
                network,
            },
        );
        assert_eq!(back, Some(text.to_ascii_lowercase()));
    }
    for text in [
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
        // Version 0 with the checksum of version 1, and the other way round.
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh",
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",
        // Programs of an impossible size, and a version above 16.
        "bc1rw5uspcuh",
        "BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P",
        "BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R",
    ] {
        assert_eq!(fault(text), AddressFault::Checksum, "{text}");
    }
    assert_eq!(
        fault("bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4"),
        AddressFault::Character('o')
    );
    assert_eq!(
        fault("tb1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq24jC47"),
        AddressFault::MixedCase
    );
}

/// The pairs of the CashAddr specification.
#[test]
fn both_forms_of_a_bitcoin_cash_address_give_the_same_script() {
    for (old, new) in [
        (
            "1BpEi6DfDAUFd7GtittLSdBeYJvcoaVggu",
            "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a",
        ),
        (
            "1KXrWXciRDZUpQwQmuM1DbwsKDLYAYsVLR",
            "bitcoincash:qr95sy3j9xwd2ap32xkykttr4cvcu7as4y0qverfuy",
        ),
        (
            "16w1D5WRVKJuZUsSRzdLp9w3YGcgoxDXb",
            "bitcoincash:qqq3728yw0y47sqn6l2na30mcw6zm78dzqre909m2r",
        ),
        (
            "3CWFddi6m4ndiGyKqzYvsFYagqDLPVMTzC",
            "bitcoincash:ppm2qsznhks23z7629mms6s4cwef74vcwvn0h829pq",
        ),
        (
            "3LDsS579y7sruadqu11beEJoTjdFiFCdX4",
            "bitcoincash:pr95sy3j9xwd2ap32xkykttr4cvcu7as4yc93ky28e",
        ),
        (
            "31nwvkZwyPdgzjBJZXfDmSWsC4ZLKpYyUw",
            "bitcoincash:pqq3728yw0y47sqn6l2na30mcw6zm78dzq5ucqzc37",
        ),
    ] {
        let paid = address(old);
        assert_eq!(paid.script, address(new).script);
        let payload = new.split_once(':').unwrap().1;
        assert_eq!(address(payload), address(new), "without its prefix");
        assert_eq!(address(&new.to_uppercase()), address(new));
        assert!(paid.is_of(chain("BTC")) && paid.is_of(chain("BCH")));
        assert!(!address(new).is_of(chain("BTC")));
        assert_eq!(address(new).only_coin(), Some(Coin::Bch));
        assert_eq!(of_script(&paid.script, chain("BCH")).as_deref(), Some(new));
        assert_eq!(of_script(&paid.script, chain("BTC")).as_deref(), Some(old));
    }
    let ecash = address("ecash:qpm2qsznhks23z7629mms6s4cwef74vcwva87rkuu2");
    assert_eq!(ecash.only_coin(), Some(Coin::Xec));
    assert_eq!(
        ecash.script,
        address("1BpEi6DfDAUFd7GtittLSdBeYJvcoaVggu").script
    );
}

#[test]
fn a_token_aware_address_gives_the_same_script() {
    let plain = address("bitcoincash:qr7fzmep8g7h7ymfxy74lgc0v950j3r2959lhtxxsl");
    let token = address("bitcoincash:zr7fzmep8g7h7ymfxy74lgc0v950j3r295z4y4gq0v");
    assert_eq!(plain, token);
    assert_eq!(
        address("bchtest:zr7fzmep8g7h7ymfxy74lgc0v950j3r295x8qj2hgs").network,
        Network::Test
    );
}

#[test]
fn legacy_addresses_can_be_read() {
    let genesis = address("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa");
    assert_eq!(
        hex::encode(&genesis.script),
        "76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac"
    );
    assert_eq!(genesis.only_coin(), None);
    // BIP 13
    assert_eq!(
        address("3P14159f73E4gFr7JterCCQh9QjiTjiZrG").script[0],
        0xa9
    );
    // A chain's name, and how its addresses begin.
    for (name, first) in [
        ("DGB", ["D", "S"]),
        ("BSV", ["1", "3"]),
        ("TBTC", ["mn", "2"]),
    ] {
        let chain = chain(name);
        for (kind, first) in [Kind::KeyHash, Kind::ScriptHash].into_iter().zip(first) {
            let text = of_script(&hash_script(kind, &[0x35; 20]).unwrap(), chain).unwrap();
            assert!(text.starts_with(|c| first.contains(c)), "{text}");
            assert!(address(&text).is_of(chain), "{text}");
        }
    }
    assert_eq!(
        fault("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb"),
        AddressFault::Checksum
    );
    assert_eq!(
        fault("1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfN0"),
        AddressFault::Character('0')
    );
}

/// The addresses that blocks 227,836 and 300,000 paid.
#[test]
fn scripts_of_real_blocks_give_the_addresses_that_explorers_show() {
    for (text, wanted) in [
        (
            "1MejoVXRvsmwyDpTpkw3VJ82NsjjT8SyEw",
            "76a914e285a29e0704004d4e95dbb7c57a98563d9fb2eb88ac",
        ),
        (
            "1CjPR7Z5ZSyWk6WtXvSFgkptmpoi4UM9BC",
            "76a91480ad90d403581fa3bf46086a91b2d9d4125db6c188ac",
        ),
    ] {
        assert_eq!(script(text), wanted);
        let back = of_script(&hex::decode(wanted).unwrap(), chain("BTC"));
        assert_eq!(back.as_deref(), Some(text));
    }
}

#[test]
fn a_worker_name_after_a_dot_is_ignored() {
    let address = address("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4.garage.1");
    assert_eq!(address.only_coin(), Some(Coin::Btc));
}

#[test]
fn accounts_are_left_alone() {
    for text in [
        "",
        "alice",
        "alice.garage",
        "1",
        "3com",
        "me@example.com",
        "user_1a2b",
        "q",
        "bcash1",
        "solo:bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "ltc1qw508d6qejxtdg4y5r3zarvary0c5xw7kgmn4n9",
        // As long as an address, but with another alphabet or without digits.
        "Solo_Miner_Number_1_In_The_Garage_",
        "miningForTheFamilyAndAllTheirKids",
        "d9428888122b11e1b85cc2a9f5b9a4d10",
        "日本",
    ] {
        assert_eq!(Wallet::read(text), Wallet::Account, "{text}");
    }
}

#[test]
fn letters_of_other_alphabets_are_found_in_addresses() {
    let address = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
    let hidden = |with: char| format!("{}{with}{}", &address[..4], &address[4..]);
    for foreign in ['\u{200b}', '\u{43e}'] {
        let read = Wallet::read(&hidden(foreign));
        assert_eq!(read, Wallet::Wrong(AddressFault::Character(foreign)));
    }
    let replaced = address.replacen('0', "\u{43e}", 1);
    assert!(matches!(Wallet::read(&replaced), Wallet::Wrong(_)));
    assert_eq!(Wallet::read("J\u{fc}rgen.rig1"), Wallet::Account);
}

#[test]
fn a_typo_is_found_anywhere_in_an_address() {
    for text in [
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
        "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a",
        "qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a",
        "1BpEi6DfDAUFd7GtittLSdBeYJvcoaVggu",
        "3CWFddi6m4ndiGyKqzYvsFYagqDLPVMTzC",
    ] {
        let skip = text.find(':').map_or(3, |at| at + 1);
        for at in skip..text.len() {
            for new in "023456789acdefghjklmnpqrstuvwxyzABC".chars() {
                let mut changed: Vec<char> = text.chars().collect();
                if changed[at] == new {
                    continue;
                }
                changed[at] = new;
                let changed: String = changed.into_iter().collect();
                let read = Wallet::read(&changed);
                assert!(!matches!(read, Wallet::Address(_)), "{changed}: {read:?}");
            }
        }
        for end in skip..text.len() {
            let read = Wallet::read(&text[..end]);
            assert!(!matches!(read, Wallet::Address(_)), "{}", &text[..end]);
        }
    }
}

#[test]
fn a_typo_is_found_in_addresses_that_begin_like_account_names() {
    for (name, kind) in [
        ("TBTC", Kind::KeyHash),
        ("TBTC", Kind::ScriptHash),
        ("DGB", Kind::KeyHash),
        ("DGB", Kind::ScriptHash),
    ] {
        let text = of_script(&hash_script(kind, &[0x35; 20]).unwrap(), chain(name)).unwrap();
        let (all_but_last, last) = text.split_at(text.len() - 1);
        let other = if last == "x" { "y" } else { "x" };
        for slip in [
            format!("{all_but_last}{other}"),
            all_but_last.to_owned(),
            format!("{text}x"),
        ] {
            assert_eq!(fault(&slip), AddressFault::Checksum, "{slip}");
        }
    }
}

proptest! {
    #[test]
    fn scripts_survive_the_round_trip_through_addresses(hash: [u8; 20], of_script_hash: bool, coin in 0..Coin::ALL.len()) {
        let kind = if of_script_hash { Kind::ScriptHash } else { Kind::KeyHash };
        let script = hash_script(kind, &hash).unwrap();
        let chain = Chain { coin: Coin::ALL[coin], network: Network::Main };
        let read = address(&of_script(&script, chain).unwrap());
        prop_assert!(read.is_of(chain));
        prop_assert_eq!(read.script, script);
    }

    #[test]
    fn no_input_makes_it_panic(text in "\\PC{0,100}", prefix in 0..CASHADDR.len()) {
        let _ = Wallet::read(&text);
        let _ = Wallet::read(&format!("{}:{text}", CASHADDR[prefix].0));
        let _ = Wallet::read(&format!("bc1{text}"));
    }

    #[test]
    fn any_script_can_be_turned_into_an_address_without_a_panic(script: Vec<u8>, coin in 0..Coin::ALL.len()) {
        let chain = Chain { coin: Coin::ALL[coin], network: Network::Main };
        let _ = of_script(&script, chain);
    }
}

//! `prices`: prices of coins, sent by a program.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::core::balance::prices::HIGHEST;
use crate::shell::inbox::Input;
use crate::web::api::command::command;
use crate::web::error::{Answer, ApiError};
use crate::web::pages::{Call, Pages};
use crate::web::{body, json};

/// How many coins one request may name.
const MOST_COINS: usize = 16;

/// The longest name of a coin, in bytes.
const LONGEST_COIN: usize = 16;

/// `PUT /api/v1/prices`
pub(in crate::web) fn set(pages: &Pages, call: &Call<'_>) -> Answer {
    let prices = checked(body::read(call.request)?)?;
    let answer = json!({ "prices": prices });
    command(pages, |done| Input::PricesSet { prices, done })?;
    Ok(json::respond(&answer))
}

/// The prices by coin in upper case.
fn checked(body: Map<String, Value>) -> Result<BTreeMap<String, f64>, ApiError> {
    if body.is_empty() || body.len() > MOST_COINS {
        let message = "Send the prices of 1 to 16 coins, such as {\"BTC\": 100000}.";
        return Err(ApiError::bad_request(message));
    }
    let one = |(coin, price): (String, Value)| {
        let price = price
            .as_f64()
            .filter(|price| (0.0..=HIGHEST).contains(price));
        match price {
            Some(price) if !coin.is_empty() && coin.len() <= LONGEST_COIN => {
                Ok((coin.to_uppercase(), price))
            }
            Some(_) => Err(ApiError::invalid_value(
                coin,
                "A coin's name must have 1 to 16 letters, such as BTC.",
            )),
            None => Err(ApiError::invalid_value(
                coin,
                format!("A price must be a number from 0 to {HIGHEST}; 0 removes it."),
            )),
        }
    };
    body.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_read_by_coin() {
        let check = |body: Value| checked(body.as_object().unwrap().clone());
        let good = check(json!({"btc": 100_000, "BCH": 0})).unwrap();
        let expected = [("BCH".to_owned(), 0.0), ("BTC".to_owned(), 100_000.0)];
        assert_eq!(good, BTreeMap::from(expected));
        for wrong in [
            json!({}),
            json!({"BTC": "5"}),
            json!({"BTC": -1}),
            json!({"BTC": 1e13}),
            json!({"BTC": null}),
            json!({"": 1}),
            json!({"A coin with a long name": 1}),
        ] {
            assert!(check(wrong.clone()).is_err(), "{wrong}");
        }
    }
}

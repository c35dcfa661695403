//! How many miners are connected, in total and from each address, compared with the limits in `listen`.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::config::Config;
use crate::core::fact::Limit;

/// The connected miners, so that neither one address nor all together exceed the limits.
#[derive(Clone, Debug, Default)]
pub struct Seats(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    total: u32,
    by_address: HashMap<IpAddr, u32>,
}

/// A place among the connected miners; released when dropped.
#[derive(Debug)]
pub struct Seat {
    seats: Seats,
    address: Option<IpAddr>,
}

impl Seats {
    /// How many places are taken.
    pub fn taken(&self) -> u32 {
        self.0.lock().total
    }

    /// A place for a miner whose address may still be unknown.
    ///
    /// # Errors
    /// If all are taken.
    pub fn take(&self, config: &Config) -> Result<Seat, Limit> {
        let most = config.listen.max_miners;
        let mut taken = self.0.lock();
        if most != 0 && taken.total >= most {
            return Err(Limit::Miners);
        }
        taken.total += 1;
        drop(taken);
        Ok(Seat {
            seats: self.clone(),
            address: None,
        })
    }
}

impl Seat {
    /// Counts it for an address.
    ///
    /// # Errors
    /// If the address has as many as it may.
    pub fn belongs_to(&mut self, address: IpAddr, config: &Config) -> Result<(), Limit> {
        let most = config.listen.max_miners_per_address;
        let mut taken = self.seats.0.lock();
        let count = taken.by_address.get(&address).copied().unwrap_or(0);
        if most != 0 && count >= most {
            return Err(Limit::MinersPerAddress);
        }
        taken.by_address.insert(address, count + 1);
        self.address = Some(address);
        Ok(())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.0.lock();
        taken.total = taken.total.saturating_sub(1);
        let Some(address) = self.address else { return };
        if let Some(count) = taken.by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                taken.by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_limited_in_total_and_per_address_and_freed_again() {
        let mut config = Config::default();
        (
            config.listen.max_miners,
            config.listen.max_miners_per_address,
        ) = (3, 2);
        let seats = Seats::default();
        let take = |last| -> Result<Seat, Limit> {
            let mut seat = seats.take(&config)?;
            seat.belongs_to(IpAddr::from([10, 0, 0, last]), &config)?;
            Ok(seat)
        };
        let first = take(1).unwrap();
        let _second = take(1).unwrap();
        assert_eq!(take(1).unwrap_err(), Limit::MinersPerAddress);
        let _third = take(2).unwrap();
        assert_eq!(take(3).unwrap_err(), Limit::Miners);
        drop(first);
        assert!(take(1).is_ok());
        assert_eq!(seats.0.lock().by_address.len(), 2);
        assert_eq!(seats.taken(), 2);
    }
}

//! The PROXY header: the input is the first data from a load balancer. Nothing after the header may be read.

use dpmp::shell::proxy_header::{NoHeader, read_from};

/// The length of a version 2 header with the longest body allowed, in bytes.
const LONGEST: usize = 12 + 4 + 4096;

pub fn run(data: &[u8]) {
    let mut rest = data;
    let found = read_from(&mut rest);
    let header = &data[..data.len() - rest.len()];
    assert!(header.len() <= LONGEST);
    match found {
        Ok(address) => {
            if let Some(address) = address {
                assert_eq!(address.ip(), address.ip().to_canonical());
            }
            // Data after the header makes no difference.
            let again = read_from(header).expect("the header was good");
            assert_eq!(again, address);
        }
        Err(NoHeader::Empty) => assert!(data.is_empty()),
        Err(NoHeader::Bad(what)) => assert!(what.len() < 1000 && !what.contains('\n'), "{what}"),
    }
}

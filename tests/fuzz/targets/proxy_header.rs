//! The PROXY header: the input is what a load balancer sends first. Nothing behind the header may be read.

use dpmp::shell::proxy_header::{NoHeader, read_from};

/// Version 2 with the longest body that is read, in bytes.
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
            // What follows makes no difference.
            let again = read_from(header).expect("the header was good");
            assert_eq!(again, address);
        }
        Err(NoHeader::Empty) => assert!(data.is_empty()),
        Err(NoHeader::Bad(what)) => assert!(what.len() < 1000 && !what.contains('\n'), "{what}"),
    }
}

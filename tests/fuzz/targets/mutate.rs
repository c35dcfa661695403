//! Makes small changes to an input: to its lines (our inputs are dialogs), its words and numbers, and its bytes.

use dpmp::random::Random;

/// The longest derived input, in bytes.
pub const LONGEST: usize = 64 * 1024;

/// Words that some reader understands, and values that often cause trouble.
#[rustfmt::skip]
const WORDS: &[&str] = &[
    // The script of the core target.
    "\nminer\n", "\nm1 share 0\n", "\nm2 share 1\n", "\nm1 leave\n", "\nA close\n", "\nB:1 close\n", "\nA down\n",
    "\nA up\n", "\nB mute\n", "\nB plain\n", "\nA hang\n", "\nwait 1000\n", "\nwait 31000\n", "\nweights 0 1\n",
    "\noverride pause 5000\n", "\noverride A 0\n", "\noverride none\n", "\nworker B\n", "\nworker pause\n",
    "\ntimetable pause\n", "\ntimetable none\n", "\nfailover off\n", "\nwallet B other\n", "\nhost A elsewhere\n", "\nprices 2 1e308\n", "\nstop\n",
    "\nm1 {\"id\":7,\"method\":\"mining.submit\",\"params\":[\"w.rig\",\"1\",\"00000000\",\"6ab00000\",\"00000000\"]}\n",
    "\nm1 {\"id\":1,\"method\":\"mining.subscribe\",\"params\":[]}\n",
    "\nm1 {\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"w.rig\",\"x\"]}\n",
    "\nm1 {\"id\":3,\"method\":\"mining.configure\",\"params\":[[\"version-rolling\"],{}]}\n",
    "\nA:1 {\"id\":4,\"result\":false,\"error\":[21,\"no\",null]}\n",
    "\nA {\"id\":null,\"method\":\"mining.set_extranonce\",\"params\":[\"00\",2]}\n",
    "\nA {\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[1e308]}\n",
    "\nB {\"id\":null,\"method\":\"mining.set_version_mask\",\"params\":[\"0000e000\"]}\n",
    "\nB {\"id\":null,\"method\":\"client.reconnect\",\"params\":[]}\n",
    // JSON.
    "null", "true", "false", "\"\"", "[]", "{}", "[[]]", "{\"a\":", "[", "]", "}", "\\ud800", "\\u0000", "\u{feff}",
    // Methods and keys.
    "mining.notify", "mining.set_difficulty", "mining.ping", "client.get_version", "client.show_message",
    "\"result\":", "\"error\":", "\"reject-reason\":", "\"params\":", "\"id\":null", "\"etag\":\"ETAG\"",
    "\"pools\":", "\"wallet\":", "\"host\":", "\"poolA_weight\":", "\"password_hash\":", "\"slice_seconds\":",
    // Numbers and hex.
    "0", "-1", "1", "255", "65536", "4294967296", "18446744073709551616", "1e308", "1e999", "5e-324", "0.1", "NaN",
    "ffffffff", "1fffe000", "207fffff", "0x1", "+1",
    // Bytes.
    "\r\n", "\n", "\0", "\u{16}", "\u{ff}", "PROXY TCP4 ", "PROXY UNKNOWN\r\n", "\r\n\r\n\0\r\nQUIT\n\u{21}",
];

/// Derives another input from one, sometimes with a part of a second one.
pub fn mutate(input: &[u8], other: &[u8], rng: &mut Random) -> Vec<u8> {
    let mut made = input.to_vec();
    for _ in 0..=rng.below(4) {
        change(&mut made, other, rng);
    }
    made.truncate(LONGEST);
    made
}

fn change(input: &mut Vec<u8>, other: &[u8], rng: &mut Random) {
    match rng.below(8) {
        0 => {
            let at = place(input, rng);
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << rng.below(8);
            }
        }
        1 => {
            let (start, end) = range(input.len(), 32, rng);
            input.drain(start..end);
        }
        2 => {
            let (start, end) = range(input.len(), 64, rng);
            let copy = input[start..end].to_vec();
            let at = place(input, rng);
            input.splice(at..at, copy);
        }
        3 | 4 => {
            let word = WORDS[below(WORDS.len(), rng)].as_bytes();
            let at = place(input, rng);
            // Often replaces something.
            let end = at + below(word.len().min(input.len() - at) + 1, rng);
            input.splice(at..end, word.iter().copied());
        }
        5 => number(input, rng),
        6 => lines(input, other, rng),
        _ => {
            let (start, end) = range(other.len(), 256, rng);
            let at = place(input, rng);
            input.splice(at..at, other[start..end].iter().copied());
        }
    }
}

/// Replaces one number with another.
fn number(input: &mut Vec<u8>, rng: &mut Random) {
    let from = place(input, rng);
    let digit = |byte: &u8| byte.is_ascii_digit();
    let Some(start) = input[from..].iter().position(digit) else {
        return;
    };
    let start = from + start;
    let length = input[start..].iter().take_while(|byte| digit(byte)).count();
    let new = match rng.below(4) {
        0 => rng.below(4).to_string(),
        1 => rng.below(70_000).to_string(),
        2 => rng.next_u64().to_string(),
        _ => format!("{:e}", rng.log_between(1e-300, 1e300)),
    };
    input.splice(start..start + length, new.into_bytes());
}

/// Removes, repeats, moves or copies a line.
fn lines(input: &mut Vec<u8>, other: &[u8], rng: &mut Random) {
    let split = |bytes: &[u8]| -> Vec<Vec<u8>> {
        bytes
            .split(|byte| *byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect()
    };
    let mut lines = split(input);
    let (one, two) = (below(lines.len(), rng), below(lines.len(), rng));
    match rng.below(4) {
        0 => lines.swap(one, two),
        1 => {
            lines.remove(one);
        }
        2 => lines.insert(two, lines[one].clone()),
        _ => {
            let others = split(other);
            lines.insert(two, others[below(others.len(), rng)].clone());
        }
    }
    *input = lines.join(&b'\n');
}

fn place(input: &[u8], rng: &mut Random) -> usize {
    below(input.len() + 1, rng)
}

fn range(length: usize, longest: usize, rng: &mut Random) -> (usize, usize) {
    let start = below(length + 1, rng);
    let end = start + below((length - start).min(longest) + 1, rng);
    (start, end)
}

fn below(end: usize, rng: &mut Random) -> usize {
    rng.below(end as u64) as usize
}

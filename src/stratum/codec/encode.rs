//! Messages to lines. A message becomes one buffer, so that it is sent with one write.

use std::io::Write as _;

use crate::stratum::message::{PoolCall, Reply, ToMiner, ToPool, Work};
use crate::stratum::reject::Reject;

/// Writes into memory, which cannot fail.
macro_rules! put {
    ($out:ident, $($what:tt)*) => {{
        let _ = write!($out, $($what)*);
    }};
}

/// A message that can be sent.
pub trait Encode {
    /// Appends the message, each line with its line end.
    fn encode(&self, out: &mut Vec<u8>);
}

impl Encode for ToMiner {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Reply { id, reply } => {
                // Always all three keys: some firmware needs them (compat Q20).
                put!(out, r#"{{"id":{},"result":"#, id.as_json());
                encode_reply(reply, out);
                out.extend_from_slice(b"}\n");
            }
            Self::Work(work) => encode_work(work, out),
        }
    }
}

fn encode_reply(reply: &Reply, out: &mut Vec<u8>) {
    match reply {
        Reply::True => out.extend_from_slice(b"true"),
        Reply::Pong => out.extend_from_slice(b"\"pong\""),
        Reply::Subscribed(extranonce) => put!(
            out,
            r#"[[["mining.notify","{:0>8}"]],"{}",{}]"#,
            extranonce.e1.to_string(),
            extranonce.e1,
            extranonce.e2_size
        ),
        Reply::Configured { asked, mask } => {
            let mut fields = serde_json::Map::new();
            if asked.version_rolling.is_some() {
                fields.insert("version-rolling".into(), (!mask.is_none()).into());
                if !mask.is_none() {
                    fields.insert("version-rolling.mask".into(), mask.to_string().into());
                }
            }
            if asked.subscribe_extranonce {
                fields.insert("subscribe-extranonce".into(), true.into());
            }
            for extension in &asked.unsupported {
                fields.insert(extension.clone(), false.into());
            }
            put!(out, "{}", serde_json::Value::Object(fields));
        }
        Reply::Rejected(reject) => return encode_error("null", reject, out),
        Reply::Refused(reject) => return encode_error("false", reject, out),
    }
    out.extend_from_slice(b",\"error\":null");
}

fn encode_error(result: &str, reject: &Reject, out: &mut Vec<u8>) {
    put!(
        out,
        r#"{result},"error":[{},{},null]"#,
        reject.code,
        text(&reject.message)
    );
}

fn encode_work(work: &Work, out: &mut Vec<u8>) {
    let pool_job = &work.pool_job;
    let notify = &pool_job.notify;
    if work.set_extranonce {
        put!(
            out,
            "{{\"id\":null,\"method\":\"mining.set_extranonce\",\"params\":[\"{}\",{}]}}\n",
            work.extranonce.e1,
            work.extranonce.e2_size
        );
    }
    if let Some(difficulty) = work.difficulty {
        put!(
            out,
            "{{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[{difficulty}]}}\n"
        );
    }
    if let Some(mask) = work.mask {
        put!(
            out,
            "{{\"id\":null,\"method\":\"mining.set_version_mask\",\"params\":[\"{mask}\"]}}\n"
        );
    }
    put!(
        out,
        r#"{{"id":null,"method":"mining.notify","params":["{}",""#,
        work.job
    );
    put_hex(out, &notify.prevhash);
    out.extend_from_slice(b"\",\"");
    put_hex(out, &notify.coinb1);
    put_hex(out, pool_job.e1.as_slice());
    // Work is only made for extranonces that fit.
    out.resize(
        out.len() + 2 * pool_job.padding(&work.extranonce).unwrap_or(0),
        b'0',
    );
    out.extend_from_slice(b"\",\"");
    put_hex(out, &notify.coinb2);
    out.extend_from_slice(b"\",[");
    for (index, branch) in notify.branches.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b"\"" } else { b",\"" });
        put_hex(out, branch);
        out.push(b'"');
    }
    put!(
        out,
        "],\"{:08x}\",\"{:08x}\",\"{:08x}\",{}]}}\n",
        notify.version,
        notify.nbits,
        work.ntime,
        work.clean
    );
}

impl Encode for ToPool {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Request { id, call } => {
                put!(out, r#"{{"id":{id},"#);
                encode_call(call, out);
                out.extend_from_slice(b"}\n");
            }
            Self::Version { id, user_agent } => put!(
                out,
                "{{\"id\":{},\"result\":{},\"error\":null}}\n",
                id.as_json(),
                text(user_agent)
            ),
            Self::Pong { id } => put!(
                out,
                "{{\"id\":{},\"result\":\"pong\",\"error\":null}}\n",
                id.as_json()
            ),
        }
    }
}

fn encode_call(call: &PoolCall, out: &mut Vec<u8>) {
    match call {
        PoolCall::Configure(mask) => put!(
            out,
            r#""method":"mining.configure","params":[["version-rolling"],{{"version-rolling.mask":"{mask}","version-rolling.min-bit-count":2}}]"#
        ),
        PoolCall::Subscribe { user_agent } => put!(
            out,
            r#""method":"mining.subscribe","params":[{}]"#,
            text(user_agent)
        ),
        PoolCall::Authorize { user, password } => put!(
            out,
            r#""method":"mining.authorize","params":[{},{}]"#,
            text(user),
            text(password)
        ),
        PoolCall::SuggestDifficulty(difficulty) => put!(
            out,
            r#""method":"mining.suggest_difficulty","params":[{difficulty}]"#
        ),
        PoolCall::Submit(submit) => {
            put!(
                out,
                r#""method":"mining.submit","params":[{},{},"{}","{:08x}","{:08x}""#,
                text(&submit.user),
                text(&submit.job_id),
                submit.e2,
                submit.ntime,
                submit.nonce
            );
            if let Some(bits) = submit.version_bits {
                put!(out, r#","{bits:08x}""#);
            }
            out.push(b']');
        }
    }
}

/// A JSON string with its quotes.
fn text(text: &str) -> serde_json::Value {
    serde_json::Value::from(text)
}

fn put_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend(bytes.iter().flat_map(|byte| {
        [
            DIGITS[usize::from(byte >> 4)],
            DIGITS[usize::from(byte & 15)],
        ]
    }));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::stratum::job::{Notify, PoolJob};
    use crate::stratum::message::{Configure, PoolSubmit, RequestId};
    use crate::stratum::reject::RejectReason;
    use crate::units::{Difficulty, Extranonce1, Extranonce2, JobId, MinerExtranonce, VersionMask};

    fn line(message: &impl Encode) -> String {
        let mut out = Vec::new();
        message.encode(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn reply(reply: Reply) -> String {
        let id = RequestId("\"a\"".into());
        line(&ToMiner::Reply { id, reply })
    }

    #[test]
    fn answers_always_contain_id_result_and_error() {
        assert_eq!(
            reply(Reply::True),
            "{\"id\":\"a\",\"result\":true,\"error\":null}\n"
        );
        assert_eq!(
            reply(Reply::Rejected(RejectReason::Stale.into())),
            "{\"id\":\"a\",\"result\":null,\"error\":[21,\"Stale share\",null]}\n"
        );
        assert_eq!(
            reply(Reply::Refused(RejectReason::Unauthorized.into())),
            "{\"id\":\"a\",\"result\":false,\"error\":[24,\"Unauthorized worker\",null]}\n"
        );
        let extranonce = MinerExtranonce {
            e1: Extranonce1::from_hex("01").unwrap(),
            e2_size: 3,
        };
        assert_eq!(
            reply(Reply::Subscribed(extranonce)),
            "{\"id\":\"a\",\"result\":[[[\"mining.notify\",\"00000001\"]],\"01\",3],\"error\":null}\n"
        );
        let asked = Configure {
            version_rolling: Some(VersionMask::BIP320),
            subscribe_extranonce: true,
            unsupported: vec!["minimum-difficulty".into()],
        };
        let configured = reply(Reply::Configured {
            asked,
            mask: VersionMask(0x1fff_e000),
        });
        let value: serde_json::Value = serde_json::from_str(&configured).unwrap();
        assert_eq!(value["result"]["version-rolling.mask"], "1fffe000");
        assert_eq!(value["result"]["minimum-difficulty"], false);
    }

    #[test]
    fn work_is_written_in_the_order_miners_need() {
        let notify = Notify {
            job_id: "pool".into(),
            prevhash: [0xab; 32],
            coinb1: vec![1],
            coinb2: vec![2],
            branches: vec![[3; 32], [4; 32]],
            version: 0x2000_0000,
            nbits: 0x1d00_ffff,
            ntime: 5,
            clean: true,
        };
        let e1 = Extranonce1::from_hex("ee").unwrap();
        let work = ToMiner::Work(Box::new(Work {
            set_extranonce: true,
            difficulty: Difficulty::new(512.0),
            mask: Some(VersionMask::BIP320),
            job: JobId(31),
            pool_job: Arc::new(PoolJob::new(
                Arc::new(notify),
                e1,
                8,
                Difficulty::ONE,
                VersionMask::NONE,
            )),
            extranonce: MinerExtranonce {
                e1: Extranonce1::from_hex("0102").unwrap(),
                e2_size: 4,
            },
            ntime: 6,
            clean: false,
        }));
        let text = line(&work);
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let methods: Vec<_> = lines
            .iter()
            .map(|line| line["method"].as_str().unwrap())
            .collect();
        assert_eq!(
            methods,
            [
                "mining.set_extranonce",
                "mining.set_difficulty",
                "mining.set_version_mask",
                "mining.notify"
            ]
        );
        let params = &lines[3]["params"];
        assert_eq!(params[0], "1f");
        assert_eq!(
            params[2], "01ee0000",
            "the pool's extranonce1 and two bytes of padding"
        );
        assert_eq!(params[4][1], "04".repeat(32));
        assert_eq!(params[7], "00000006");
        assert_eq!(params[8], false);
    }

    #[test]
    fn names_are_escaped_and_version_bits_sent_only_if_negotiated() {
        let mut submit = PoolSubmit {
            user: "w\"\\.x".into(),
            job_id: "j".into(),
            e2: Extranonce2::from_hex("0001").unwrap(),
            ntime: 1,
            nonce: 2,
            version_bits: None,
        };
        let text = |submit: &PoolSubmit| {
            line(&ToPool::Request {
                id: 7,
                call: PoolCall::Submit(Box::new(submit.clone())),
            })
        };
        assert_eq!(
            text(&submit),
            "{\"id\":7,\"method\":\"mining.submit\",\"params\":[\"w\\\"\\\\.x\",\"j\",\"0001\",\"00000001\",\"00000002\"]}\n"
        );
        submit.version_bits = Some(0x2000);
        assert!(text(&submit).contains(",\"00002000\"]"));
    }
}

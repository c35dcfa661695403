//! The entries, in the order of the docs.

use super::{Kind, Level, Push};

/// Makes an entry of each: name, level, push, `[causes]`, begins, over, meaning, action.
macro_rules! catalogue {
    ($($name:literal $level:ident $push:ident [$($cause:expr),*] $begins:literal, $over:literal, $meaning:literal, $action:literal;)*) => {
        /// Every kind of alert, with the same texts wherever one is reported.
        pub const CATALOGUE: &[Kind] = &[$(Kind {
            name: $name,
            level: Level::$level,
            push: Push::$push,
            follows: &[$($cause),*],
            begins: $begins,
            over: $over,
            meaning: $meaning,
            action: $action,
        }),*];
    };
}

catalogue! {
    "nothing_mined" Error AtOnce []
        "when none of the pools in use works.", "when a pool works.",
        "No miner works for any pool.",
        "Check your Internet connection, then the pools' settings on the Config page.";
    "not_set_up" Error Never []
        "when a pool with a weight above 0 has no address or no payout address.", "when it has both.",
        "DPMP serves no miner until the pool is set up.",
        "Complete the pool's settings, or set its weight to 0.";
    "pool_setting" Error AtOnce []
        "when DPMP starts with a pool whose settings are wrong.", "when a correct configuration is saved.",
        "A setting is wrong, so DPMP does not use this pool and serves no miner.",
        "Correct the setting on the Config page.";
    "payout_changed" Warning AtOnce []
        "when a pool's payout address, address or encryption changes.", "when you dismiss the notice.",
        "Your earnings may go elsewhere.",
        "If it wasn't you, correct the setting and set a password.";
    "coinbase_pays_other" Error AtOnce []
        "when a pool's jobs pay your address less than expected, on two of the last three blocks. `payout` sets what is expected.",
        "when they pay enough on three blocks in a row, or when you dismiss the notice.",
        "A block found now would pay you less than expected, or nothing.",
        "Check the payout address. If it is right, contact the pool or choose another one.";
    "wrong_wallet" Error AtOnce ["nothing_mined"]
        "when a pool refuses your payout address.", "when the pool accepts a miner.",
        "The pool does not authorize your miners.",
        "Check the payout address of this pool.";
    "pool_down" Error Later ["nothing_mined"]
        "when a pool in use cannot be reached.", "when it authorizes a miner.",
        "Your miners work for the other pool.",
        "If it continues, test the pool's address on the Config page.";
    "pool_no_job" Error Later ["nothing_mined"]
        "when a pool has accepted miners for 30 seconds without sending a job.", "when it sends a job.",
        "The pool's node is probably down or starting.",
        "If it continues, see the pool's own page.";
    "pool_mute" Error Later ["nothing_mined"]
        "when a pool does not answer shares.", "when it answers again.",
        "The pool probably doesn't pay for shares that it does not answer.",
        "If it continues, see the pool's own page, or set up a backup.";
    "pool_rejecting" Error Later ["nothing_mined"]
        "when a pool rejects more than half of the last 20 shares from all miners, not counting stale ones.",
        "when it accepts two test shares.",
        "The pool doesn't pay for rejected shares.",
        "If it continues, see the pool's own page, or set up a backup.";
    "pool_rejects_all" Error Later ["nothing_mined", "pool_rejecting"]
        "when a pool has rejected all shares from the last 10 minutes, and there were at least 5.", "when it accepts a share.",
        "The pool works, but you earn nothing there.",
        "See the reasons next to the pool on Home.";
    "pool_behind" Error Later ["nothing_mined"]
        "90 seconds after the other pool moved on to a newer block whose work DPMP can check.", "with this pool's first job on a new block.",
        "Work on an old block earns nothing.",
        "If it continues, see the pool's own page.";
    "pool_without_news" Error Later ["nothing_mined"]
        "when a pool has sent no new job for `job_seconds` or ten times the longest recent interval between jobs, whichever is longer.",
        "with the pool's next new job.",
        "The pool's jobs are probably for an old block.",
        "If it continues, see the pool's own page.";
    "wrong_chain" Error Later ["nothing_mined"]
        "when a pool's jobs have a SegWit commitment although its coin has no SegWit, or build on a block with too little work.",
        "with jobs for the right chain.",
        "The pool's jobs are not for the coin that you set.",
        "Check the pool's address and coin on the Config page.";
    "pools_forked" Error Later ["nothing_mined"]
        "when two pools that mine the same coin build on different blocks at three heights in a row.", "when they build on the same block again.",
        "The pools are on different chains, and only one can be right.",
        "Look up their blocks in a block explorer, and check each pool's coin on the Config page.";
    "targets_differ" Error Later ["nothing_mined"]
        "when both pools build on the same block with different network difficulties.", "when they use the same difficulty.",
        "One of the pools cannot find a valid block.",
        "Look up the difficulty in a block explorer, and contact the pool that differs.";
    "one_chain" Warning Later ["nothing_mined"]
        "when two pools are set to different coins but build on the same block.", "when they build on different blocks.",
        "Both pools work on the same chain.",
        "Check each pool's address and coin on the Config page.";
    "no_witness" Warning Later ["nothing_mined"]
        "when none of a BTC pool's last 10 jobs with transactions has a SegWit commitment.", "with the first job that has one.",
        "The pool leaves out SegWit transactions, or its jobs are for another coin.",
        "Check the pool's coin on the Config page. If it is right, contact the pool.";
    "no_new_block" Warning Later ["nothing_mined", "pool_down", "pool_no_job", "pool_behind", "pool_without_news", "pool_old_block", "wrong_chain"]
        "when a pool's jobs have built on the same block for 3 hours.", "with the next block.",
        "Three hours without a block is rare for the coins that DPMP knows.",
        "Look for newer blocks in a block explorer. If there are any, the pool's node may be stuck.";
    "pool_clock" Warning Later ["nothing_mined"]
        "when the time in a pool's jobs has been off by more than 10 minutes for 10 minutes.", "when the time is correct again.",
        "The network rejects blocks whose time is too far off.",
        "If it is your own pool, correct its clock. Otherwise, if it continues, contact the pool.";
    "miners_refused" Warning Later ["nothing_mined", "wrong_wallet"]
        "when a pool refuses some miners and accepts others.", "when it accepts all of them.",
        "The refused miners work for the other pool.",
        "Create the worker in your account, or change its name.";
    "on_backup" Warning Later ["nothing_mined", "pool_down"]
        "when a pool's first address fails and a backup takes over.", "when the first address has worked for five minutes.",
        "The work goes to the backup, which may pay another address.",
        "If it continues, test the first address on the Config page.";
    "mask_missing" Warning Never ["nothing_mined"]
        "when one pool allows version rolling and the other doesn't.", "when both do, or neither.",
        "DPMP blocks shares whose version bits the pool does not allow.",
        "Use two pools that both allow it.";
    "version_form" Warning Later ["nothing_mined"]
        "when a pool rejects both ways of writing a share's version bits.", "an hour after the last blocked share.",
        "DPMP blocks shares whose version bits the pool would reject.",
        "The Miners page shows which miners are affected.";
    "cannot_share" Warning Never ["nothing_mined"]
        "when `connections` is `shared`, but a pool's extranonce2 has fewer than 3 bytes.",
        "when all pools have 3 bytes or more, or when `connections` is `own`.",
        "Each miner uses its own connection.",
        "Use pools with 3 bytes or more.";
    "many_connections" Info Never []
        "when more than 300 miners have their own connections to a pool.", "when they share connections, or when there are fewer.",
        "Shared connections need less memory and reconnect faster.",
        "Set the pool's `connections` to `shared`, unless you need each worker on the pool's page.";
    "unpaid_work" Error Later ["nothing_mined", "no_miner"]
        "when `downstream_diff` asks miners for a higher difficulty than the pool does.", "when the setting or the pool's difficulty changes.",
        "The pool doesn't pay for part of the work.",
        "Clear the minimum difficulty on the Config page.";
    "any_certificate" Warning Never []
        "when a pool in use has `tls_insecure` set.", "when you clear it.",
        "The pool's certificate is not checked.",
        "Clear the setting, or enter the certificate's fingerprint.";
    "reject_spike" Warning Later ["nothing_mined", "no_miner", "pool_rejecting", "pool_rejects_all"]
        "when a pool rejects 20 shares or more, and more than 5%, within 10 minutes.", "when rejected shares are below these limits again.",
        "The pool doesn't pay for rejected shares.",
        "See the reasons next to the pool on Home.";
    "pool_old_block" Warning Never ["nothing_mined", "no_miner", "pool_behind"]
        "30 seconds after the other pool moved on from the same block to a newer one, or when it has been on a higher block for 90 seconds.", "with this pool's first job on a new block.",
        "The pool's node may be stuck. Miners keep working for it.",
        "If it continues, see the pool's own page.";
    "shares_lost" Warning Later ["nothing_mined", "no_miner", "pool_down", "pool_mute"]
        "when a pool leaves 3 shares or more, and more than 2%, unanswered within 10 minutes.", "when unanswered shares are below these limits again.",
        "The pool may not pay for shares that it does not answer.",
        "See `pool_lost` in the log for the reasons.";
    "block_found" Good AtOnce []
        "when a share solves a block.", "when you dismiss the notice.",
        "A miner found a block.",
        "Check on the pool's page whether the network accepted it.";
    "block_rejected" Warning AtOnce []
        "when a pool rejects a block.", "when you dismiss the notice.",
        "The block may not count.",
        "Check the pool's page. If the block doesn't count, send its file from Records to the pool's support.";
    "block_undelivered" Warning AtOnce []
        "when a block cannot be sent to its pool.", "when you dismiss the notice.",
        "DPMP sends the block if the pool returns within an hour.",
        "Download the block's file from Records, and keep it.";
    "refuse_spike" Warning Later ["nothing_mined", "no_miner"]
        "when DPMP blocks 20 shares or more, and more than 5%, within 10 minutes.", "when blocked shares are below these limits again.",
        "The pool would have rejected the blocked shares.",
        "The Miners page shows which miner sends them.";
    "miners_per_address" Warning Never []
        "when more miners than `listen.max_miners_per_address` connect from one address.", "10 minutes after DPMP last turned a miner away.",
        "DPMP turns away the miners above the limit.",
        "If they are your miners, raise the limit.";
    "max_miners" Warning Later []
        "when more miners than `listen.max_miners` connect.", "10 minutes after DPMP last turned a miner away.",
        "DPMP turns away the miners above the limit.",
        "If they are your miners, raise the limit.";
    "no_miner" Warning Later ["nothing_mined"]
        "when no miner is connected, though the pools are ready.", "when a miner connects.",
        "Nothing is being mined.",
        "Check that your miners are on and have DPMP's address as their pool.";
    "miner_missing" Warning AtOnce ["nothing_mined", "no_miner", "miners_per_address", "max_miners"]
        "when a worker that was connected for an hour has been gone for `notify.miner_missing_minutes`, or has had fewer connections than usual for that long.", "when it is back, after seven days, or when you dismiss the notice.",
        "One of your miners has left.",
        "Check its power and network.";
    "miner_hangs" Warning Later ["nothing_mined"]
        "when a miner has work but sends no share for longer than luck can explain.", "when it sends a share.",
        "The miner is connected, but it doesn't mine.",
        "Restart the miner.";
    "miner_slow" Warning Never ["nothing_mined"]
        "when a worker's hashrate over an hour is less than half of its usual hashrate.", "when it is no longer less than half, or when you dismiss the notice.",
        "The miner earns less than usual.",
        "Check temperature, fans and settings on the miner's own page.";
    "no_password" Warning Never []
        "when the pages have no password.", "when you set one, or when you dismiss the notice.",
        "Anyone on your network can redirect your earnings.",
        "Set a password on the Config page.";
    "wrong_passwords" Warning AtOnce []
        "after 20 wrong passwords within an hour.", "when there have been fewer in the last hour.",
        "Someone may be trying to guess your password.",
        "Find the device with the address in the notice.";
    "state_trouble" Warning Later []
        "when the totals or charts cannot be read or saved.", "when you dismiss the notice.",
        "Mining continues, but the totals may be lost when DPMP restarts.",
        "Check whether the disk is full or broken.";
    "log_trouble" Info Never []
        "when log lines are lost.", "when you dismiss the notice.",
        "The disk cannot keep up with the log.",
        "Set `logging.level` to `warn`.";
    "log_files" Warning Later []
        "when log files cannot be written.", "when you dismiss the notice.",
        "Mining continues without a log.",
        "Check whether the disk is full.";
    "accept_trouble" Error Later []
        "when a system limit prevents a miner's connection.", "when you dismiss the notice.",
        "Miners could not connect.",
        "Raise the system limit named in the notice.";
    "no_own_connection" Error Later []
        "when a system limit prevents a miner's own connection to a pool.", "when you dismiss the notice.",
        "Miners that cannot connect to this pool work for the other one if they can.",
        "Set `connections` to `shared`, raise the system limit named in the notice, or run several instances.";
    "config_refused" Warning Later []
        "when the configuration file is changed to something unusable.", "when the file can be used again.",
        "The previous settings stay in force, but DPMP may be unable to restart with this file.",
        "Correct the file.";
    "start_trouble" Warning Later []
        "when DPMP starts but cannot use one of the settings.", "when a correct configuration is saved.",
        "DPMP runs without the setting that it cannot use.",
        "Correct the setting on the Config page.";
    "redirect" Warning Later []
        "when a pool tries to send your miners to another server.", "when you dismiss the notice.",
        "DPMP ignored the pool's request, because such requests can be used to steal hashrate.",
        "If it continues, contact the pool or choose another one.";
}

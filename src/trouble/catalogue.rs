//! The entries, in the order of the docs.

use super::{Kind, Level, Push};

/// Makes an entry of each: name, level, push, `[causes]`, begins, over, meaning, action.
macro_rules! catalogue {
    ($($name:literal $level:ident $push:ident [$($cause:expr),*] $begins:literal, $over:literal, $meaning:literal, $action:literal;)*) => {
        /// Every kind of trouble, the same in all places where one is told of.
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
        "when none of the pools in use can be reached and used.", "when a pool works.",
        "No miner works for any pool.",
        "Check your Internet connection, then the pools' settings.";
    "not_set_up" Error Never []
        "when a pool with a weight above 0 has no address or no payout address.", "when it has both.",
        "No miner is served until the pool is set up.",
        "Complete the pool's settings, or set its weight to 0.";
    "pool_setting" Error AtOnce []
        "when DPMP starts with a pool whose settings are wrong.", "when a correct configuration is saved.",
        "DPMP left the pool out, so no miner is served.",
        "Correct the setting on the page Config.";
    "payout_changed" Warning AtOnce []
        "when a pool's payout address, address or encryption changes.", "when you dismiss it.",
        "Your earnings may go elsewhere.",
        "If it wasn't you, correct the setting and set a password.";
    "coinbase_pays_other" Error AtOnce []
        "when a pool's jobs pay your address less than `payout` expects, on two blocks in a row.",
        "when they pay enough again, or when you dismiss it.",
        "A block found now would pay someone else.",
        "Check the payout address, then ask the pool or use the other one.";
    "wrong_wallet" Error AtOnce ["nothing_mined"]
        "when a pool refuses your payout address.", "when the pool accepts a miner.",
        "The pool does not authorize your miners.",
        "Check the payout address of this pool.";
    "pool_down" Error Later ["nothing_mined"]
        "when a pool in use cannot be reached.", "when a miner is authorized there.",
        "Your miners work for the other pool.",
        "If it lasts, test the pool's address on the page Config.";
    "pool_no_job" Error Later ["nothing_mined"]
        "when a pool has accepted miners for 30 seconds and sent no job.", "when it sends a job.",
        "The pool's node is probably down or starting.",
        "If it lasts, see the pool's own page.";
    "pool_mute" Error Later ["nothing_mined"]
        "when a pool leaves shares without an answer.", "when it answers again.",
        "The pool probably doesn't pay for these shares.",
        "If it lasts, see the pool's own page, or set up a backup.";
    "pool_rejecting" Error Later ["nothing_mined"]
        "when a pool rejects more than half of the last 20 shares, stale ones aside, from all miners.",
        "when it accepts two shares of a trial.",
        "The pool doesn't pay for rejected shares.",
        "If it lasts, see the pool's own page, or set up a backup.";
    "pool_rejects_all" Error Later ["nothing_mined", "pool_rejecting"]
        "when a pool has rejected all of 5 shares or more within 10 minutes.", "when it accepts a share.",
        "The pool can be reached, but you earn nothing there.",
        "See the reasons beside the pool.";
    "pool_behind" Error Later ["nothing_mined"]
        "when the other pool left the block of this pool's jobs 90 seconds ago.", "with its first job on a new block.",
        "Work on an old block earns nothing.",
        "If it lasts, see the pool's own page.";
    "pool_without_news" Error Later ["nothing_mined"]
        "when a pool sends no new job for `job_seconds` and ten times its longest interval.", "with its next new job.",
        "Its jobs are probably for an old block.",
        "If it lasts, see the pool's own page.";
    "wrong_chain" Error Later ["nothing_mined"]
        "when a pool's jobs have a SegWit commitment though its coin has no SegWit, or name a block with too little work.",
        "with jobs of the right chain.",
        "The pool's jobs are not for the coin that you set.",
        "Check the pool's address and coin on the page Config.";
    "pools_forked" Error Later ["nothing_mined"]
        "when the blocks of two pools of one coin still differ two heights after the first that did.", "when they name the same block again.",
        "The pools are on different chains, and only one of them can be the right one.",
        "Compare their blocks with a block explorer, and check each pool's coin on the page Config.";
    "targets_differ" Error Later ["nothing_mined"]
        "when both pools name the same block and different network difficulties.", "when they name the same one.",
        "One of the pools cannot find a valid block.",
        "Compare the difficulty with a block explorer, and ask the pool that is wrong.";
    "one_chain" Warning Later ["nothing_mined"]
        "when two pools are set to different coins and name the same block.", "when they don't.",
        "Both pools work on the same chain.",
        "Check each pool's address and coin on the page Config.";
    "no_witness" Warning Later ["nothing_mined"]
        "when none of a BTC pool's last 10 jobs with transactions has a SegWit commitment.", "with the first that has one.",
        "The pool leaves out SegWit transactions, or its jobs are for another coin.",
        "Check the pool's coin on the page Config. If it is right, ask the pool.";
    "no_new_block" Warning Later ["nothing_mined", "pool_down", "pool_no_job", "pool_behind", "pool_without_news", "pool_old_block", "wrong_chain"]
        "when a pool's jobs have named the same block for 3 hours.", "with the next block.",
        "That is rare on the coins that DPMP knows.",
        "See in a block explorer whether there are newer blocks. If so, the pool's node hangs.";
    "pool_clock" Warning Later ["nothing_mined"]
        "when the time in a pool's jobs has been off by more than 10 minutes for 10 minutes.", "when it is right.",
        "The network rejects blocks whose time is too far off.",
        "If it is your own pool, set its clock. If it lasts, ask the pool.";
    "miners_refused" Warning Later ["nothing_mined", "wrong_wallet"]
        "when a pool refuses some miners and accepts others.", "when it accepts all of them.",
        "These miners work for the other pool.",
        "Create the worker in your account, or change its name.";
    "on_backup" Warning Later ["nothing_mined", "pool_down"]
        "when a pool's first address fails and a backup takes over.", "when the first address has worked for five minutes.",
        "The work goes to the backup, which may pay another address.",
        "If it lasts, test the first address on the page Config.";
    "mask_missing" Warning Never ["nothing_mined"]
        "when one pool allows version rolling and the other doesn't.", "when both do, or neither.",
        "Some miners have shares rejected at that pool.",
        "Use two pools that both allow it.";
    "version_form" Warning Later ["nothing_mined"]
        "when a pool rejects both ways of writing a share's version bits.", "an hour after the last blocked share.",
        "DPMP blocks these shares, because the pool would reject them.",
        "See the page Miners for the affected miners.";
    "cannot_share" Warning Never ["nothing_mined"]
        "when `connections` is `shared` and a pool's extranonce2 has less than 3 bytes.",
        "when the pools leave more, or with `connections` at `own`.",
        "Each miner uses its own connection.",
        "Use pools that leave 3 bytes or more.";
    "many_connections" Info Never []
        "when more than 300 miners have their own connections to a pool.", "when they share them, or there are fewer.",
        "Shared connections need less memory and reconnect faster.",
        "Set `connections` of the pool to `shared`, unless you need each worker on the pool's page.";
    "unpaid_work" Error Later ["nothing_mined", "no_miner"]
        "when `downstream_diff` asks miners for a higher difficulty than the pool.", "when the setting or the pool's difficulty changes.",
        "The pool doesn't pay for part of the work.",
        "Clear the minimum difficulty on the page Config.";
    "any_certificate" Warning Never []
        "when a pool in use has `tls_insecure` set.", "when it is cleared.",
        "The pool's certificate is not checked.",
        "Clear it, or enter the certificate's fingerprint.";
    "reject_spike" Warning Later ["nothing_mined", "no_miner", "pool_rejecting", "pool_rejects_all"]
        "when a pool rejects 20 shares or more, and more than 5%, within 10 minutes.", "when it is less.",
        "The pool doesn't pay for rejected shares.",
        "See the reasons beside the pool.";
    "pool_old_block" Warning Never ["nothing_mined", "no_miner", "pool_behind"]
        "when the other pool left the block of this pool's jobs 30 seconds ago, or has been at a greater height for 90 seconds.", "with its first job on a new block.",
        "The pool's node may hang.",
        "If it lasts, see the pool's own page.";
    "shares_lost" Warning Later ["nothing_mined", "no_miner", "pool_down", "pool_mute"]
        "when 3 shares or more, and more than 2%, got no answer within 10 minutes.", "when it is less.",
        "The pool may not pay for these shares.",
        "See `pool_lost` in the log.";
    "block_found" Good AtOnce []
        "when a share is a block.", "when you dismiss it.",
        "A miner found a block.",
        "See on the pool's page whether the network accepted it.";
    "block_rejected" Warning AtOnce []
        "when a pool rejects a block.", "when you dismiss it.",
        "The block may not count.",
        "If it doesn't count, send the pool's support the file from Records.";
    "block_undelivered" Warning AtOnce []
        "when a block cannot be sent to its pool.", "when you dismiss it.",
        "DPMP sends it if the pool returns within an hour.",
        "Keep the file from Records.";
    "refuse_spike" Warning Later ["nothing_mined", "no_miner"]
        "when DPMP blocks 20 shares or more, and more than 5%, within 10 minutes.", "when it is less.",
        "The pool would have rejected these shares.",
        "See on the page Miners which miner sends them.";
    "miners_per_address" Warning Never []
        "when more miners than `listen.max_miners_per_address` connect from one address.", "10 minutes after the last one.",
        "DPMP turns these miners away.",
        "Raise the limit if they are yours.";
    "max_miners" Warning Later []
        "when more miners than `listen.max_miners` connect.", "10 minutes after the last one.",
        "DPMP turns these miners away.",
        "Raise the limit if they are yours.";
    "no_miner" Warning Later ["nothing_mined"]
        "when no miner is connected, though the pools are ready.", "when a miner connects.",
        "Nobody works.",
        "Check that your miners are on and have DPMP's address as their pool.";
    "miner_missing" Warning AtOnce ["nothing_mined", "no_miner", "miners_per_address", "max_miners"]
        "when a worker that was here for an hour has been gone for `notify.miner_missing_minutes`, or has had fewer connections.", "when it is back, after seven days, or when you dismiss it.",
        "One of your miners has left.",
        "Check its power and network.";
    "miner_hangs" Warning Later ["nothing_mined"]
        "when a miner has work and sends no share for longer than luck explains.", "when it sends a share.",
        "The miner is connected, but it doesn't mine.",
        "Restart the miner.";
    "miner_slow" Warning Never ["nothing_mined"]
        "when a worker has done less than half of its usual hashrate for an hour.", "when it has done more for an hour, or when you dismiss it.",
        "The miner earns less than usual.",
        "See the miner's own page: its temperature, fans and settings.";
    "no_password" Warning Never []
        "when the pages have no password.", "when one is set, or when you dismiss it.",
        "Anyone on your network can redirect your earnings.",
        "Set a password on the page Config.";
    "wrong_passwords" Warning AtOnce []
        "after 20 wrong passwords within an hour.", "an hour later.",
        "Somebody may be guessing your password.",
        "Find the device with the address shown.";
    "state_trouble" Warning Later []
        "when the totals or charts cannot be read or saved.", "when you dismiss it.",
        "Mining goes on, but a restart may lose numbers.",
        "See whether the disk is full or broken.";
    "log_trouble" Info Never []
        "when log lines are lost.", "when you dismiss it.",
        "The disk did not keep up.",
        "Choose a quieter log level.";
    "log_files" Warning Later []
        "when log files cannot be written.", "when you dismiss it.",
        "Mining goes on without a log.",
        "See whether the disk is full.";
    "accept_trouble" Error Later []
        "when the system has no room for a miner's connection.", "when you dismiss it.",
        "Miners could not connect.",
        "Raise the limit of the system that is named.";
    "config_refused" Warning Later []
        "when the configuration file is changed to something unusable.", "when it can be used again.",
        "The settings before stay in force until a restart.",
        "Correct the file.";
    "start_trouble" Warning Later []
        "when DPMP starts without a setting that it could not use.", "when a correct configuration is saved.",
        "DPMP does without it.",
        "Correct it on the page Config.";
    "redirect" Warning Later []
        "when a pool tries to send your miners to another server.", "when you dismiss it.",
        "DPMP refused, because this is how hashrate is stolen.",
        "If it goes on, ask the pool or change it.";
}

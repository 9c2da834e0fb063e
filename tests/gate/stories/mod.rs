//! One file a promise.

mod check;
mod clauses;
mod decisions;
mod hostile_upstream;
mod key_sets;
mod kinds;
mod lines;
mod nothing_leaks;
mod notice_changes;
mod promise_1_no_promise_no_permit;
mod promise_2_the_notice_at_the_time;
mod promise_3_no_byte_without_a_record;
mod promise_4_doubt_refuses;
mod promise_5_parse_never_forward;
mod ranges;
mod reload;
mod strangers;
mod tokens;

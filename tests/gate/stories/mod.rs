//! One file a promise.

mod promise_1_no_promise_no_permit;
mod promise_2_the_notice_at_the_time;
mod promise_3_no_byte_without_a_record;
mod promise_4_doubt_refuses;
mod decisions;
mod nothing_leaks;

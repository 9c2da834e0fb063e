//! One file a promise.

mod promise_1_no_promise_no_permit;

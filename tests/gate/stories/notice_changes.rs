//! Notices that change, and shapes of notices that break naive readers.

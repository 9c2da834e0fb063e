//! The kinds of statement that real notices make: each can be said, is enforced, and is tested.

//! Numbers that can only be within their range.
//!
//! A limit that was typed as 0 or as ten times too much should stop the start, not surface at
//! night. Each number in the configuration says its range in its type; serde refuses the rest.

use std::time::Duration;

use serde::Deserialize;

macro_rules! ranged {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name<const MIN: u64, const MAX: u64>(u64);

        impl<const MIN: u64, const MAX: u64> $name<MIN, MAX> {
            /// A value known when compiling; one outside the range is moved into it.
            #[must_use]
            pub const fn of(value: u64) -> Self {
                let raised = if value < MIN { MIN } else { value };
                Self(if raised > MAX { MAX } else { raised })
            }

            /// The plain number, in the unit of the type.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }
        }

        impl<const MIN: u64, const MAX: u64> Default for $name<MIN, MAX> {
            fn default() -> Self {
                Self(MIN)
            }
        }

        impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for $name<MIN, MAX> {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let value = i64::deserialize(from)?;
                match u64::try_from(value) {
                    Ok(value) if (MIN..=MAX).contains(&value) => Ok(Self(value)),
                    _ => Err(serde::de::Error::custom(format_args!(
                        "must be between {MIN} and {MAX}"
                    ))),
                }
            }
        }
    };
}

ranged!(
    /// A number of things.
    Count
);
ranged!(
    /// A number of bytes.
    Bytes
);
ranged!(
    /// A time in milliseconds.
    Millis
);
ranged!(
    /// A time in seconds.
    Seconds
);

impl<const MIN: u64, const MAX: u64> Count<MIN, MAX> {
    /// The number as a size.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl<const MIN: u64, const MAX: u64> Bytes<MIN, MAX> {
    /// The number as a size in memory.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl<const MIN: u64, const MAX: u64> Millis<MIN, MAX> {
    /// The time.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl<const MIN: u64, const MAX: u64> Seconds<MIN, MAX> {
    /// The time.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

//! How many entries there are over time, as bars that lead to their span.

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};
use maud::{Markup, html};

use super::super::said::{count, number};
use super::asked::Asked;
use crate::ledger::index::IndexError;
use crate::ledger::{Bar, Query, Review, Unit};

/// LIMIT: bars of days. More of them are bars of months.
const DAYS_MAX: usize = 62;

/// LIMIT: bars of hours. More of them are bars of days.
const HOURS_MAX: usize = 49;

/// LIMIT: bars of months, ten years; older ones are not drawn.
const MONTHS_MAX: usize = 120;

const WIDTH: usize = 960;
const HEIGHT: u64 = 90;

/// The bars of what was found.
#[derive(Debug)]
pub(super) struct Timeline {
    unit: Unit,
    /// Every bar from the first to the last that has something, also those between without.
    bars: Vec<(Timestamp, u64)>,
}

impl Timeline {
    /// Counts what matches in the unit that fits.
    pub(super) fn count(review: &Review, query: &Query) -> Result<Self, IndexError> {
        let index = review.index();
        let days = whole(Unit::Day, &index.histogram(query, Unit::Day, None)?);
        if days.len() <= 2 {
            let hours = whole(Unit::Hour, &index.histogram(query, Unit::Hour, None)?);
            if hours.len() <= HOURS_MAX {
                return Ok(Self { unit: Unit::Hour, bars: wide(Unit::Hour, hours) });
            }
        }
        if days.len() <= DAYS_MAX {
            return Ok(Self { unit: Unit::Day, bars: wide(Unit::Day, days) });
        }
        let mut months = whole(Unit::Month, &index.histogram(query, Unit::Month, None)?);
        let old = months.len().saturating_sub(MONTHS_MAX);
        months.drain(..old);
        Ok(Self { unit: Unit::Month, bars: wide(Unit::Month, months) })
    }

    /// Draws them; the links go to what was asked, within the span of a bar.
    pub(super) fn draw(&self, asked: &Asked, thing: &str) -> Markup {
        let most = self.bars.iter().map(|(_, count)| *count).max().unwrap_or(0);
        let (Some((first, _)), Some((last, _)), true) =
            (self.bars.first(), self.bars.last(), most > 0)
        else {
            return html! {};
        };
        let width = WIDTH / self.bars.len().max(1);
        let unit = word(self.unit);
        let says = format!("{thing}s for each {unit}; each bar leads to its {unit}");
        html! {
            figure.timeline {
                svg viewBox=(format!("0 0 {} {HEIGHT}", width * self.bars.len())) preserveAspectRatio="none" role="group" aria-label=(says) {
                    @for (place, (start, count_of)) in self.bars.iter().enumerate() {
                        @if *count_of > 0 {
                            @let height = (count_of * (HEIGHT - 4)).div_ceil(most);
                            @let (since, until) = (stamp(*start), stamp(end(self.unit, *start)));
                            @let says = format!("{}: {}", day(self.unit, *start), count(*count_of, thing));
                            a href=(asked.between(&since, &until).href("/log")) aria-label=(says)
                                data-since=(since) data-until=(until) {
                                title { (says) }
                                rect.reach x=(place * width) width=(width) height=(HEIGHT) {}
                                rect.bar x=(place * width) y=(HEIGHT - height) width=(width.saturating_sub(2).max(1)) height=(height) {}
                            }
                        }
                    }
                }
                figcaption {
                    span { (day(self.unit, *first)) }
                    span { "at most " (number(most)) " " (each(self.unit)) }
                    span { (day(self.unit, *last)) }
                }
            }
        }
    }
}

/// As many bars before the first as make the others tell something by their place.
fn wide(unit: Unit, bars: Vec<(Timestamp, u64)>) -> Vec<(Timestamp, u64)> {
    let least = match unit {
        Unit::Hour => 24,
        Unit::Day => 30,
        Unit::Month => 12,
    };
    let Some((mut first, _)) = bars.first().copied() else { return bars };
    let mut all = std::collections::VecDeque::from(bars);
    while all.len() < least {
        let before = match unit {
            Unit::Hour => first.checked_sub(1.hour()),
            Unit::Day => first.checked_sub(24.hours()),
            Unit::Month => {
                let before = TimeZone::UTC.to_datetime(first).checked_sub(1.month());
                before.and_then(|before| TimeZone::UTC.to_timestamp(before))
            }
        };
        let Ok(before) = before else { break };
        first = before;
        all.push_front((first, 0));
    }
    all.into()
}

/// The bars with those between them that have nothing. The bars of a clock that was wrong by years
/// are not worth millions of empty ones.
fn whole(unit: Unit, bars: &[Bar]) -> Vec<(Timestamp, u64)> {
    let mut all: Vec<(Timestamp, u64)> = Vec::with_capacity(bars.len());
    for bar in bars {
        while let Some((at, _)) = all.last().copied() {
            let next = end(unit, at);
            if next >= bar.start || all.len() > 10 * MONTHS_MAX {
                break;
            }
            all.push((next, 0));
        }
        all.push((bar.start, bar.count));
    }
    all
}

fn end(unit: Unit, start: Timestamp) -> Timestamp {
    let span: Span = match unit {
        Unit::Hour => 1.hour(),
        Unit::Day => 24.hours(),
        Unit::Month => {
            let next = TimeZone::UTC.to_datetime(start).checked_add(1.month()).ok();
            let next = next.and_then(|next| TimeZone::UTC.to_timestamp(next).ok());
            return next.unwrap_or(Timestamp::MAX);
        }
    };
    start.checked_add(span).unwrap_or(Timestamp::MAX)
}

fn stamp(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn each(unit: Unit) -> &'static str {
    match unit {
        Unit::Hour => "an hour",
        Unit::Day => "a day",
        Unit::Month => "a month",
    }
}

fn word(unit: Unit) -> &'static str {
    match unit {
        Unit::Hour => "hour",
        Unit::Day => "day",
        Unit::Month => "month",
    }
}

fn day(unit: Unit, at: Timestamp) -> String {
    let form = match unit {
        Unit::Hour => "%d %b %Y %H:00",
        Unit::Day => "%d %b %Y",
        Unit::Month => "%b %Y",
    };
    at.strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_between_are_there_too() {
        let bar = |day: &str, count| Bar { start: day.parse().unwrap(), value: None, count };
        let bars = [bar("2026-01-01T00:00:00Z", 2), bar("2026-03-01T00:00:00Z", 1)];
        let months = whole(Unit::Month, &bars);
        assert_eq!(months.iter().map(|(_, count)| *count).collect::<Vec<_>>(), [2, 0, 1]);
        assert_eq!(whole(Unit::Day, &bars).len(), 60);
        let year = wide(Unit::Month, months);
        assert_eq!((year.len(), year[0].0.to_string()), (12, "2025-04-01T00:00:00Z".to_owned()));
        assert_eq!(
            end(Unit::Month, "2026-01-01T00:00:00Z".parse().unwrap()).to_string(),
            "2026-02-01T00:00:00Z"
        );
    }
}

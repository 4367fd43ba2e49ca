//! [`Crontab`]: times of day in a time zone.

use std::str::FromStr;

use jiff::tz::TimeZone;
use marlowe_broker::Timestamp;

/// Times of day in a time zone, as `cron` writes them.
#[derive(Clone)]
pub(crate) struct Crontab {
    times: croner::Cron,
    zone: TimeZone,
}

impl Crontab {
    /// Parses a crontab. `times` has 5 fields (minute, hour, day of month, month, day of week) or 6
    /// (seconds first). `zone` is a name such as `Europe/Berlin`.
    pub(crate) fn parse(times: &str, zone: &str) -> Result<Self, String> {
        let zone = TimeZone::get(zone).map_err(|error| {
            format!("time zone `{zone}` is not known ({error}): use a name such as `Europe/Berlin` or `UTC`")
        })?;
        let times = croner::Cron::from_str(times).map_err(|error| {
            format!(
                "`{times}` is not a crontab ({error}): write minute, hour, day of month, month and day of week, for \
                 example `0 4 * * 1-5`"
            )
        })?;
        let crontab = Self { times, zone };
        match crontab.never_after(Timestamp::default()) {
            Some(never) => Err(never),
            None => Ok(crontab),
        }
    }

    /// Returns the reason why no time after `now` is named, if none is. Examples are a day that no
    /// year has, as 30 February, and a year that is over.
    pub(crate) fn never_after(&self, now: Timestamp) -> Option<String> {
        match self.next_time(now) {
            Some(_) => None,
            None => {
                let times = self.times.as_str();
                Some(format!("`{times}` never fires: choose a date that will come, for example `0 0 28 2 *`"))
            }
        }
    }

    /// Returns the first named time after `now`, or `None` if there is none.
    pub(crate) fn next_time(&self, now: Timestamp) -> Option<Timestamp> {
        let now = jiff::Timestamp::from_millisecond(now.millis()).ok()?.to_zoned(self.zone.clone());
        let next = self.times.find_next_occurrence(&now, false).ok()?;
        Some(Timestamp::from_millis(next.timestamp().as_millisecond()))
    }

    /// Returns the last named time that is not after `now`, or `None` if there is none.
    pub(crate) fn last_until(&self, now: Timestamp) -> Option<Timestamp> {
        let now = jiff::Timestamp::from_millisecond(now.millis()).ok()?.to_zoned(self.zone.clone());
        let last = self.times.find_previous_occurrence(&now, true).ok()?;
        Some(Timestamp::from_millis(last.timestamp().as_millisecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::from_millis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn a_crontab_follows_its_zone_and_its_summer_time() {
        let daily = Crontab::parse("30 4 * * *", "Europe/Berlin").unwrap();
        // 04:30 in Berlin is 03:30 UTC in winter and 02:30 in summer.
        assert_eq!(daily.next_time(at("2026-01-10T00:00:00Z")), Some(at("2026-01-10T03:30:00Z")));
        assert_eq!(daily.next_time(at("2026-07-10T00:00:00Z")), Some(at("2026-07-10T02:30:00Z")));
        assert_eq!(daily.last_until(at("2026-07-10T02:30:00.900Z")), Some(at("2026-07-10T02:30:00Z")));
    }

    #[test]
    fn n3_4_impossible_days_are_refused_and_rare_ones_accepted() {
        for never in ["0 0 30 2 *", "0 0 31 2 *", "0 0 31 4,6,9,11 *", "0 0 0 30 2 *"] {
            for zone in ["UTC", "Europe/Berlin", "America/New_York"] {
                let told = Crontab::parse(never, zone).err().unwrap_or_else(|| panic!("`{never}` is taken"));
                assert!(told.contains(never) && told.contains("never fires"), "{told}");
            }
        }
        for rare in ["0 0 29 2 *", "30 2 29 2 *", "0 0 31 12 *", "0 0 29 2 1"] {
            Crontab::parse(rare, "Europe/Berlin").unwrap_or_else(|error| panic!("{rare}: {error}"));
        }
    }

    #[test]
    fn n3_4_a_year_that_is_over_never_comes() {
        let once = Crontab::parse("0 0 0 1 1 * 2026", "UTC").unwrap();
        assert!(once.never_after(at("2025-12-31T00:00:00Z")).is_none());
        assert!(once.never_after(at("2026-01-01T00:00:00Z")).is_some_and(|told| told.contains("never fires")));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let zone = Crontab::parse("* * * * *", "Mars/Olympus").err().unwrap();
        assert!(zone.contains("Mars/Olympus") && zone.contains("Europe/Berlin"), "{zone}");
        let times = Crontab::parse("every day", "UTC").err().unwrap();
        assert!(times.contains("every day") && times.contains("0 4 * * 1-5"), "{times}");
    }
}

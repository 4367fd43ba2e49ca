use std::str::FromStr;
use std::time::Duration;

use jiff::tz::TimeZone;
use marlowe_broker::Timestamp;

/// Times of day in a time zone, as `cron` writes them.
#[derive(Clone)]
pub(crate) struct Crontab {
    times: croner::Cron,
    zone: TimeZone,
}

impl Crontab {
    /// `times` has 5 fields (minute, hour, day of month, month, day of week) or 6 (seconds first); `zone` is a name such as
    /// `Europe/Berlin`.
    pub(crate) fn parse(times: &str, zone: &str) -> Result<Self, String> {
        let zone = TimeZone::get(zone).map_err(|error| {
            format!("time zone `{zone}` is not known ({error}): use a name such as `Europe/Berlin` or `UTC`")
        })?;
        let times = croner::Cron::from_str(times).map_err(|error| {
            format!("`{times}` is not a crontab ({error}): write minute, hour, day of month, month and day of week, as `0 4 * * 1-5`")
        })?;
        Ok(Self { times, zone })
    }

    /// How long from `now` to the next time; `None` when there is none.
    pub(crate) fn next_after(&self, now: Timestamp) -> Option<Duration> {
        let now = jiff::Timestamp::from_millisecond(now.millis()).ok()?.to_zoned(self.zone.clone());
        let next = self.times.find_next_occurrence(&now, false).ok()?;
        Duration::try_from(next.timestamp().duration_since(now.timestamp())).ok()
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
        let hours = |wait: Option<Duration>| wait.unwrap().as_secs_f64() / 3600.0;
        // 04:30 in Berlin is 03:30 UTC in winter and 02:30 in summer.
        assert_eq!(hours(daily.next_after(at("2026-01-10T00:00:00Z"))), 3.5);
        assert_eq!(hours(daily.next_after(at("2026-07-10T00:00:00Z"))), 2.5);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let zone = Crontab::parse("* * * * *", "Mars/Olympus").err().unwrap();
        assert!(zone.contains("Mars/Olympus") && zone.contains("Europe/Berlin"), "{zone}");
        let times = Crontab::parse("every day", "UTC").err().unwrap();
        assert!(times.contains("every day") && times.contains("0 4 * * 1-5"), "{times}");
    }
}

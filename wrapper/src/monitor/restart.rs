//! Whether a container that has ended is started again, and when.

use crate::container::{RestartPolicy, RestartWhen};
use std::time::Duration;

/// The first pause; each is twice as long as the one before.
const FIRST: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(60);
/// Who has run for so long begins with the first pause again.
const WELL: Duration = Duration::from_secs(10);

/// Whether a container that ended with this status is started again, `count` being how often it was already.
#[must_use]
pub fn is_wanted(policy: &RestartPolicy, status: i32, count: u32) -> bool {
    match policy.name {
        RestartWhen::No => false,
        RestartWhen::Always | RestartWhen::UnlessStopped => true,
        RestartWhen::OnFailure => {
            status != 0 && (policy.maximum_retry_count == 0 || count < policy.maximum_retry_count)
        }
    }
}

/// The pauses between one end and the next start.
#[derive(Debug, Clone, Copy, Default)]
pub struct Backoff {
    last: Option<Duration>,
}

impl Backoff {
    /// The pause after a run of this length.
    pub fn next(&mut self, ran: Duration) -> Duration {
        let pause = match self.last {
            Some(last) if ran < WELL => (last * 2).min(LONGEST),
            _ => FIRST,
        };
        self.last = Some(pause);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_say_when() {
        let policy = |name, maximum_retry_count| RestartPolicy { name, maximum_retry_count };
        for (policy, status, count, wanted) in [
            (policy(RestartWhen::No, 0), 1, 0, false),
            (policy(RestartWhen::Always, 0), 0, 100, true),
            (policy(RestartWhen::UnlessStopped, 0), 0, 100, true),
            (policy(RestartWhen::OnFailure, 0), 0, 0, false),
            (policy(RestartWhen::OnFailure, 0), 137, 100, true),
            (policy(RestartWhen::OnFailure, 2), 1, 1, true),
            (policy(RestartWhen::OnFailure, 2), 1, 2, false),
        ] {
            assert_eq!(is_wanted(&policy, status, count), wanted, "{policy:?} {status} {count}");
        }
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_begin_again_after_a_good_run() {
        let mut backoff = Backoff::default();
        let short = Duration::from_secs(1);
        let pauses: Vec<_> = (0..12).map(|_| backoff.next(short).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000]);
        assert_eq!(backoff.next(WELL).as_millis(), 100);
        assert_eq!(backoff.next(short).as_millis(), 200);
    }
}

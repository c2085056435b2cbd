//! What a container is doing, in docker's words.

use crate::container::{HealthStatus, State, Status};
use mydocker_img::cli::Moment;

/// Such as `Up 3 minutes (healthy)` or `Exited (0) 2 hours ago`.
#[must_use]
pub fn describe(state: &State, now: Moment) -> String {
    let ago =
        |moment: &Option<String>| moment.as_deref().and_then(Moment::parse).map(|moment| moment.since(now));
    let up = || {
        let span = ago(&state.started_at).unwrap_or_default();
        format!("Up {}", span.strip_suffix(" ago").unwrap_or(&span))
    };
    let ended = |word: &str| {
        let span = ago(&state.finished_at).unwrap_or_default();
        format!("{word} ({}) {span}", state.exit_code).trim_end().to_owned()
    };
    match state.status {
        Status::Created => "Created".to_owned(),
        Status::Running => format!("{}{}", up(), health(state)),
        Status::Paused => format!("{} (Paused)", up()),
        Status::Restarting => ended("Restarting"),
        Status::Removing => "Removal In Progress".to_owned(),
        Status::Exited => ended("Exited"),
        Status::Dead => "Dead".to_owned(),
    }
}

fn health(state: &State) -> &'static str {
    match state.health.as_ref().map(|health| health.status) {
        None => "",
        Some(HealthStatus::Starting) => " (health: starting)",
        Some(HealthStatus::Healthy) => " (healthy)",
        Some(HealthStatus::Unhealthy) => " (unhealthy)",
    }
}

/// The word for a status.
#[must_use]
pub fn word(status: Status) -> &'static str {
    match status {
        Status::Created => "created",
        Status::Running => "running",
        Status::Paused => "paused",
        Status::Restarting => "restarting",
        Status::Removing => "removing",
        Status::Exited => "exited",
        Status::Dead => "dead",
    }
}

/// Whether processes of it may be there: docker lists it without `-a`.
#[must_use]
pub fn is_up(status: Status) -> bool {
    matches!(status, Status::Running | Status::Paused | Status::Restarting)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::Health;

    #[test]
    fn statuses_are_docker_s() {
        let at = |text: &str| Some(text.to_owned());
        let health = |status| Some(Health { status, ..Health::default() });
        let now = Moment::parse("2024-05-01T12:00:00Z").expect("a moment");
        let state = State {
            started_at: at("2024-05-01T11:57:00.5Z"),
            finished_at: at("2024-05-01T10:00:00Z"),
            exit_code: 3,
            ..State::default()
        };
        for (status, health, text) in [
            (Status::Created, None, "Created"),
            (Status::Running, None, "Up 3 minutes"),
            (Status::Running, health(HealthStatus::Starting), "Up 3 minutes (health: starting)"),
            (Status::Running, health(HealthStatus::Healthy), "Up 3 minutes (healthy)"),
            (Status::Running, health(HealthStatus::Unhealthy), "Up 3 minutes (unhealthy)"),
            (Status::Paused, None, "Up 3 minutes (Paused)"),
            (Status::Restarting, None, "Restarting (3) 2 hours ago"),
            (Status::Exited, health(HealthStatus::Healthy), "Exited (3) 2 hours ago"),
        ] {
            assert_eq!(describe(&State { status, health, ..state.clone() }, now), text);
        }
        assert_eq!(describe(&State { status: Status::Exited, ..State::default() }, now), "Exited (0)");
    }
}

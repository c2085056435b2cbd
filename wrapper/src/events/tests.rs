use super::*;
use crate::home::{Home, Wishes};
use mydocker_sys::AsFd as _;
use mydocker_sys::poll::{Interest, poll};
use std::path::Path;
use std::time::{Duration, Instant};

fn home(place: &Path) -> Home {
    let wishes = Wishes {
        root: Some(place.join("root")),
        run_root: Some(place.join("run")),
        runtime: Some("none".to_owned()),
        ..Wishes::default()
    };
    Home::find(wishes).expect("a home")
}

#[test]
fn events_are_there_in_their_order_and_in_docker_s_form() {
    let place = tempfile::tempdir().expect("a directory");
    let home = home(place.path());
    assert_eq!(read(&home).expect("none"), []);
    record(&home, &Event::new(Kind::Container, "start", "0123").with("image", "busybox").with("name", "web"));
    record(&home, &Event::new(Kind::Volume, "create", "data").with("driver", "local"));
    let events = read(&home).expect("events");
    let [start, volume] = &events[..] else { panic!("two: {events:?}") };
    assert_eq!(start.status.as_deref(), Some("start"));
    assert_eq!(start.from.as_deref(), Some("busybox"));
    assert_eq!(start.actor.attributes["name"], "web");
    assert!(start.time_nano <= volume.time_nano && start.time == start.time_nano / 1_000_000_000);
    let text = serde_json::to_value(volume).expect("JSON");
    assert_eq!(text["Type"], "volume");
    assert_eq!(text["Actor"]["ID"], "data");
    assert_eq!(text.get("status"), None);
}

#[test]
fn many_writers_lose_nothing_while_the_file_is_changed_under_them() {
    let place = tempfile::tempdir().expect("a directory");
    let home = home(place.path());
    let mut follower = Follower::new(&home).expect("a follower");
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let home = &home;
            scope.spawn(move || {
                for number in 0..200 {
                    let event = Event::new(Kind::Container, "start", &format!("{writer}-{number}"));
                    // Some four hundred and fifty lines: the file is changed once, however late its reader comes.
                    journal::append_limited(home, &event, 72 << 10).expect("room");
                }
            });
        }
        let mut ids = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(60);
        while ids.len() < 800 {
            ids.extend(follower.take().expect("events").into_iter().map(|event| event.actor.id));
            if ids.len() < 800 {
                poll(&[Interest::read(follower.as_fd())], Some(deadline), "events").expect("more events");
                follower.settle().expect("a watch");
            }
        }
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 800);
    });
}

#[test]
fn half_a_line_costs_only_itself() {
    let place = tempfile::tempdir().expect("a directory");
    let home = home(place.path());
    record(&home, &Event::new(Kind::Image, "pull", "one"));
    let path = home.events().join("events.json");
    let mut text = std::fs::read_to_string(&path).expect("the file");
    text.push_str("{\"Type\":\"ima\n");
    std::fs::write(&path, text).expect("room");
    record(&home, &Event::new(Kind::Image, "tag", "two"));
    let events = read(&home).expect("events");
    let actions: Vec<_> = events.iter().map(|event| event.action.as_str()).collect();
    assert_eq!(actions, ["pull", "tag"]);
}

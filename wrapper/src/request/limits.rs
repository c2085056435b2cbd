//! Limits, devices, policies, checks: flags whose values have a grammar of their own.

use super::size::{bytes, scaled};
use super::{RequestError, bad, nanoseconds};
use crate::cli::LifeArgs;
use crate::container::{Device, RestartPolicy, RestartWhen, ThrottleDevice, Ulimit, WeightDevice};
use mydocker_img::image::Healthcheck;
use std::path::PathBuf;

/// The limits that a process has (setrlimit(2)), by docker's names.
const ULIMITS: &[&str] = &[
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// The shortest time of a health check, in nanoseconds.
const SHORTEST_TIME: i64 = 1_000_000;

/// Reads `NAME=SOFT[:HARD]`; -1 and `unlimited` are no limit.
///
/// # Errors
/// [`RequestError::Value`].
pub fn ulimit(text: &str) -> Result<Ulimit, RequestError> {
    let wrong = |problem: String| bad("ulimit", text, problem);
    let (name, value) = text.split_once('=').ok_or_else(|| wrong("write NAME=SOFT:HARD".to_owned()))?;
    if !ULIMITS.contains(&name) {
        return Err(wrong(format!("there is no limit {name:?}; there are {}", ULIMITS.join(", "))));
    }
    let number = |text: &str| match text {
        "unlimited" => Ok(-1),
        text => text
            .parse::<i64>()
            .ok()
            .filter(|number| *number >= -1)
            .ok_or_else(|| wrong(format!("{text:?} is no number"))),
    };
    let (soft, hard) = value.split_once(':').unwrap_or((value, value));
    let (soft, hard) = (number(soft)?, number(hard)?);
    if hard != -1 && (soft == -1 || soft > hard) {
        return Err(wrong("the soft limit is above the hard one".to_owned()));
    }
    Ok(Ulimit { name: name.to_owned(), soft, hard })
}

/// Reads `PATH[:PATH-INSIDE[:rwm]]`.
///
/// # Errors
/// [`RequestError::Value`].
pub fn device(text: &str) -> Result<Device, RequestError> {
    let parts: Vec<&str> = text.split(':').collect();
    let is_permission = |text: &str| !text.is_empty() && text.bytes().all(|byte| b"rwm".contains(&byte));
    let (host, inside, permissions) = match *parts {
        [host] => (host, host, "rwm"),
        [host, permissions] if is_permission(permissions) => (host, host, permissions),
        [host, inside] => (host, inside, "rwm"),
        [host, inside, permissions] if is_permission(permissions) => (host, inside, permissions),
        _ => return Err(bad("device", text, "write PATH:PATH-INSIDE:rwm")),
    };
    if !host.starts_with('/') || !inside.starts_with('/') {
        return Err(bad("device", text, "the paths are not absolute"));
    }
    let permissions = permissions.to_owned();
    Ok(Device {
        path_on_host: host.into(),
        path_in_container: PathBuf::from(inside),
        cgroup_permissions: permissions,
    })
}

/// Reads `0.5` processors: billionths. None at all are no limit.
///
/// # Errors
/// [`RequestError::Value`].
pub fn cpus(text: &str) -> Result<u64, RequestError> {
    let number = scaled(text, 1_000_000_000).filter(|number| *number == 0 || *number >= 10_000_000);
    number.ok_or_else(|| bad("cpus", text, "it is no number of at least 0.01"))
}

/// Reads `DEVICE:RATE`, where a rate of bytes may have a unit.
///
/// # Errors
/// [`RequestError::Value`].
pub fn throttle(flag: &'static str, text: &str) -> Result<ThrottleDevice, RequestError> {
    let (path, rate) = device_and(flag, text)?;
    let number = if flag.ends_with("bps") { bytes(flag, rate).ok() } else { rate.parse().ok() };
    let rate =
        number.ok_or_else(|| bad(flag, text, "the rate is a number, such as 1000 or, of bytes, 10mb"))?;
    Ok(ThrottleDevice { path, rate })
}

/// Reads `DEVICE:WEIGHT`.
///
/// # Errors
/// [`RequestError::Value`].
pub fn weight(text: &str) -> Result<WeightDevice, RequestError> {
    let (path, weight) = device_and("blkio-weight-device", text)?;
    let weight = weight.parse().ok().filter(|weight| (10..=1000).contains(weight));
    let weight =
        weight.ok_or_else(|| bad("blkio-weight-device", text, "the weight is not between 10 and 1000"))?;
    Ok(WeightDevice { path, weight })
}

fn device_and<'a>(flag: &'static str, text: &'a str) -> Result<(PathBuf, &'a str), RequestError> {
    let parts = text.rsplit_once(':').filter(|(path, _)| path.starts_with("/dev/"));
    let (path, number) = parts
        .ok_or_else(|| bad(flag, text, "write a device of the host and a number, such as /dev/sda:1000"))?;
    Ok((PathBuf::from(path), number))
}

/// Refuses more processors than there are, as docker does: more than all of them is no limit.
///
/// # Errors
/// [`RequestError::Value`].
pub fn check_cpus(billionths: u64) -> Result<(), RequestError> {
    let there = std::thread::available_parallelism().map_or(u64::MAX, |number| number.get() as u64);
    if billionths <= there.saturating_mul(1_000_000_000) {
        return Ok(());
    }
    let text = format!("{}", billionths as f64 / 1e9);
    Err(bad("cpus", &text, format!("there are only {there} CPUs available; 0.01 to {there} can be given")))
}

/// Reads the hardware address of one interface: six bytes in hexadecimal, of which the first is even.
///
/// # Errors
/// [`RequestError::Value`].
pub fn mac_address(text: &str) -> Result<String, RequestError> {
    let is_pair = |pair: &str| pair.len() == 2 && pair.bytes().all(|byte| byte.is_ascii_hexdigit());
    let pairs: Vec<&str> = text.split([':', '-']).collect();
    let first = pairs.first().and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let is_one = pairs.len() == 6 && pairs.iter().all(|pair| is_pair(pair));
    if is_one && first.is_some_and(|first| first % 2 == 0) {
        return Ok(pairs.join(":").to_ascii_lowercase());
    }
    Err(bad("mac-address", text, "it is no hardware address of one interface, such as 02:42:ac:11:00:02"))
}

/// Reads `no`, `on-failure[:N]`, `always` or `unless-stopped`.
///
/// # Errors
/// [`RequestError::Value`].
pub fn restart_policy(text: &str) -> Result<RestartPolicy, RequestError> {
    let wrong = || bad("restart", text, "it is none of no, on-failure[:N], always and unless-stopped");
    let (name, count) = match text.split_once(':') {
        Some((name, count)) => (name, Some(count.parse().map_err(|_| wrong())?)),
        None => (text, None),
    };
    let name = match (name, count) {
        ("no" | "", None) => RestartWhen::No,
        ("on-failure", _) => RestartWhen::OnFailure,
        ("always", None) => RestartWhen::Always,
        ("unless-stopped", None) => RestartWhen::UnlessStopped,
        _ => return Err(wrong()),
    };
    Ok(RestartPolicy { name, maximum_retry_count: count.unwrap_or(0) })
}

/// The image's health check with the flags over it.
///
/// # Errors
/// [`RequestError`].
pub fn healthcheck(image: Option<Healthcheck>, args: &LifeArgs) -> Result<Option<Healthcheck>, RequestError> {
    if args.no_healthcheck {
        let is_asked =
            args.health_cmd.is_some() || args.health_interval.is_some() || args.health_timeout.is_some();
        if is_asked {
            return Err(RequestError::Together("--no-healthcheck does not go with the flags --health-..."));
        }
        return Ok(Some(Healthcheck { test: vec!["NONE".to_owned()], ..Healthcheck::default() }));
    }
    let mut check = image.unwrap_or_default();
    if let Some(command) = &args.health_cmd {
        check.test = vec!["CMD-SHELL".to_owned(), command.clone()];
    }
    let time = |flag, text: &Option<String>, old: i64| match text {
        Some(text) => time_between(flag, text),
        None => Ok(old),
    };
    check.interval = time("health-interval", &args.health_interval, check.interval)?;
    check.timeout = time("health-timeout", &args.health_timeout, check.timeout)?;
    check.start_period = time("health-start-period", &args.health_start_period, check.start_period)?;
    check.start_interval = time("health-start-interval", &args.health_start_interval, check.start_interval)?;
    if let Some(retries) = args.health_retries {
        if retries < 1 {
            return Err(bad("health-retries", &retries.to_string(), "it is less than 1"));
        }
        check.retries = retries;
    }
    Ok((!check.test.is_empty()).then_some(check))
}

/// Reads a time of a health check: none, or one that leaves the host time for something else.
fn time_between(flag: &'static str, text: &str) -> Result<i64, RequestError> {
    let time = nanoseconds(flag, text)?;
    if time == 0 || time >= SHORTEST_TIME {
        return Ok(time);
    }
    Err(bad(flag, text, "it is less than 1ms"))
}

/// Reads the name of a capability, in any case and without `CAP_` if one likes, or `ALL`.
///
/// # Errors
/// [`RequestError::Value`].
pub fn capability(flag: &'static str, text: &str) -> Result<String, RequestError> {
    let upper = text.to_ascii_uppercase();
    if upper == "ALL" || upper == "CAP_ALL" {
        return Ok("ALL".to_owned());
    }
    let name = if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") };
    if mydocker_bundles::all_capabilities().contains(&name) {
        return Ok(name);
    }
    Err(bad(flag, text, "there is no such capability; capabilities(7) lists them"))
}

/// Reads the name of a signal, with or without `SIG`, or its number.
///
/// # Errors
/// [`RequestError::Value`].
pub fn signal(flag: &'static str, text: &str) -> Result<String, RequestError> {
    if mydocker_sys::signal::number(text).is_some() {
        return Ok(text.to_ascii_uppercase());
    }
    Err(bad(flag, text, "there is no such signal; signal(7) lists them"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_devices_and_policies_are_those_of_docker() {
        let limit = ulimit("nofile=1024:-1").expect("a limit");
        assert_eq!((&*limit.name, limit.soft, limit.hard), ("nofile", 1024, -1));
        assert!(
            ["nofile", "files=1", "nofile=2:1", "nofile=-1:5", "nofile=x"]
                .iter()
                .all(|text| ulimit(text).is_err())
        );
        let zero = device("/dev/null:/dev/zero:r").expect("a device");
        assert_eq!((&*zero.path_in_container, &*zero.cgroup_permissions), ("/dev/zero".as_ref(), "r"));
        assert!(["null", "/dev/null:x:y", "/a:/b:c:d"].iter().all(|text| device(text).is_err()));
        assert_eq!(cpus("1.5").expect("a number"), 1_500_000_000);
        assert!(["0.001", "-1", "x", ""].iter().all(|text| cpus(text).is_err()));
        assert_eq!(throttle("device-read-bps", "/dev/sda:1mb").expect("a rate").rate, 1 << 20);
        assert_eq!(throttle("device-read-iops", "/dev/sda:10").expect("a rate").rate, 10);
        assert!(
            ["/dev/sda", "sda:1", "/dev/sda:x", "/dev/sda:1mb"].iter().all(|text| throttle(
                "device-read-iops",
                text
            )
            .is_err())
        );
        assert!(weight("/dev/sda:10").is_ok() && weight("/dev/sda:5").is_err());
        assert!(check_cpus(10_000_000).is_ok() && check_cpus(1 << 62).is_err());
        assert_eq!(mac_address("02-42-AC-11-00-02").expect("an address"), "02:42:ac:11:00:02");
        let wrong =
            ["foo", "", "02:42:ac:11:00", "02:42:ac:11:00:0g", "02:42:ac:11:00:002", "01:00:5e:00:00:01"];
        assert!(wrong.iter().all(|text| mac_address(text).is_err()));
        assert_eq!(restart_policy("on-failure:3").expect("a policy").maximum_retry_count, 3);
        assert!(["sometimes", "always:3", "on-failure:x"].iter().all(|text| restart_policy(text).is_err()));
        assert_eq!(capability("cap-add", "net_admin").expect("a capability"), "CAP_NET_ADMIN");
        assert!(capability("cap-add", "FLY").is_err());
    }
}

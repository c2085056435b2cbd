//! A configuration that an ordinary user may run.

use serde_json::{Value, json};

/// Changes a configuration so that a user with nothing but the own ids can run it: the container's root is that user, the
/// network is the host's, since the user could connect no other, and no limits are asked for.
#[must_use]
pub fn rootless(mut config: Value, uid: u32, gid: u32) -> Value {
    let map = |id: u32| json!([{ "containerID": 0, "hostID": id, "size": 1 }]);
    let linux = &mut config["linux"];
    linux["uidMappings"] = map(uid);
    linux["gidMappings"] = map(gid);
    if let Some(linux) = linux.as_object_mut() {
        linux.remove("resources");
    }
    if let Some(namespaces) = linux["namespaces"].as_array_mut() {
        namespaces.retain(|namespace| namespace["type"] != "network");
        namespaces.push(json!({ "type": "user" }));
    }
    if let Some(mounts) = config["mounts"].as_array_mut() {
        mounts.retain(|mount| !mount["destination"].as_str().is_some_and(|path| path.starts_with("/sys")));
        // The kernel mounts a new sysfs only for who owns the network namespace.
        mounts.push(json!({
            "destination": "/sys", "type": "none", "source": "/sys",
            "options": ["rbind", "nosuid", "noexec", "nodev", "ro"],
        }));
        mounts.iter_mut().for_each(without_ids);
    }
    // Groups cannot be set where the kernel cannot tell whether they were taken to refuse something.
    config["process"]["user"]["additionalGids"] = json!([]);
    config
}

/// Options that name an id which is not mapped.
fn without_ids(mount: &mut Value) {
    if let Some(options) = mount["options"].as_array_mut() {
        let names_id = |option: &Value| {
            option.as_str().is_some_and(|option| option.starts_with("gid=") || option.starts_with("uid="))
        };
        options.retain(|option| !names_id(option));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ImageSettings, User, config};

    #[test]
    fn nothing_is_asked_for_that_an_ordinary_user_may_not() {
        let user = User { uid: 0, gid: 0, groups: vec![4] };
        let config = rootless(config(&ImageSettings::default(), &user), 1000, 100);
        let linux = &config["linux"];
        assert_eq!(linux["uidMappings"], json!([{ "containerID": 0, "hostID": 1000, "size": 1 }]));
        assert_eq!(linux["gidMappings"], json!([{ "containerID": 0, "hostID": 100, "size": 1 }]));
        assert!(linux["resources"].is_null() && config["process"]["user"]["additionalGids"] == json!([]));
        let text = config.to_string();
        assert!(text.contains("\"rbind\"") && !text.contains("gid=5") && !text.contains("/sys/fs/cgroup"));
        assert!(text.contains("{\"type\":\"user\"}") && !text.contains("{\"type\":\"network\"}"));
    }
}

//! What a configuration asks for and this host does not have is refused by its name before anything is touched. The
//! machines of these tests have neither AppArmor nor SELinux nor a resctrl file system.

use mydocker_tests::Runtime;
use serde_json::{Value, json};

fn refused(change: impl Fn(&mut Value), pointer: &str, words: &str) {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().with(change);
    for verb in ["create", "run"] {
        let outcome = runtime.bundle_command(verb, &bundle, &[]).run().exits(1);
        let told = outcome.stderr.contains(pointer) && outcome.stderr.contains(words);
        assert!(told, "{}", outcome.describe());
        assert!(!runtime.root().join(bundle.id()).exists(), "{verb} has touched the state root");
    }
}

#[test]
fn privileged_labels_of_absent_security_modules_are_refused() {
    let label = "system_u:system_r:container_t:s0";
    refused(
        |c| c["process"]["apparmorProfile"] = json!("docker-default"),
        "/process/apparmorProfile",
        "AppArmor is not",
    );
    refused(|c| c["process"]["selinuxLabel"] = json!(label), "/process/selinuxLabel", "SELinux is not");
    refused(|c| c["linux"]["mountLabel"] = json!(label), "/linux/mountLabel", "SELinux is not");
}

#[test]
fn privileged_a_class_of_service_without_its_file_system_is_refused() {
    refused(|c| c["linux"]["intelRdt"] = json!({}), "/linux/intelRdt", "no resctrl file system is mounted");
}

//! AppArmor where it is in force: with the kernel of the virtual machine.

use mydocker_tests::Runtime;
use serde_json::json;

/// A profile of the kernel's for as long as this lives.
struct Profile<'a> {
    runtime: &'a Runtime,
    text: String,
}

impl<'a> Profile<'a> {
    /// Loads one with the name of the runtime, which forbids the file `/etc/forbidden` alone.
    fn load(runtime: &'a Runtime) -> Self {
        let text = format!(
            "profile {} flags=(attach_disconnected,mediate_deleted) {{\n\
             file, capability, network, signal, unix, ptrace, mount, umount, pivot_root,\n\
             deny /etc/forbidden w,\n}}\n",
            runtime.name()
        );
        let profile = Self { runtime, text };
        profile.parser("--replace");
        profile
    }

    fn parser(&self, action: &str) {
        let command = self.runtime.host(["apparmor_parser", "--skip-cache", action]);
        command.stdin(&self.text).run().succeeds().discard();
    }
}

impl Drop for Profile<'_> {
    fn drop(&mut self) {
        self.parser("--remove");
    }
}

#[test]
fn privileged_v2_a_profile_confines_the_container_and_what_joins_it() {
    let runtime = Runtime::new();
    let profile = Profile::load(&runtime);
    let script =
        "echo x >/etc/allowed && echo allowed; echo x >/etc/forbidden || echo denied; exec sleep 1000";
    let bundle = runtime.bundle().script(script);
    let bundle = bundle.with(|config| config["process"]["apparmorProfile"] = json!(runtime.name()));
    let running = runtime.spawn(&bundle);
    running.wait_for_output("allowed\ndenied\n");

    let label = format!("{} (enforce)\n", runtime.name());
    assert_eq!(runtime.exec(bundle.id(), ["cat", "/proc/1/attr/current"]).succeeds().stdout, label);
    let joined =
        runtime.exec(bundle.id(), ["sh", "-c", "cat /proc/self/attr/current; echo x >/etc/forbidden"]);
    assert_eq!(joined.fails().stdout, label);
    let file = bundle.dir().join("process.json");
    let mut process = json!({"cwd": "/", "user": {}, "args": ["/bin/cat", "/proc/self/attr/current"]});
    for (profile, expected) in [(json!(null), label.as_str()), (json!("unconfined"), "unconfined\n")] {
        process["apparmorProfile"] = profile;
        std::fs::write(&file, process.to_string()).expect("the bundle is writable");
        let exec = runtime.command(["exec", "--process"]).arg(&file).arg(bundle.id()).run();
        assert_eq!(exec.succeeds().stdout, expected);
    }
    runtime.kill(bundle.id(), "KILL").succeeds().discard();
    running.wait().exits(137).discard();
    drop(profile);
}

#[test]
fn privileged_v2_a_profile_that_is_not_loaded_is_named() {
    let runtime = Runtime::new();
    let bundle = runtime.bundle().with(|config| config["process"]["apparmorProfile"] = json!("never-was"));
    runtime.create(&bundle).fails().says("never-was").says("the profile is not loaded").discard();
    assert!(!runtime.knows(bundle.id()));
}

use super::*;

fn hosts(registries: &str, options: HostOptions) -> Hosts {
    let mut conf = RegistriesConf::default();
    conf.add(Path::new("/registries.conf"), registries).expect("valid");
    Hosts { certs_directories: options.certs_directories.clone(), options, registries: conf }
}

fn shown(hosts: &Hosts, name: &str, operation: Operation) -> Vec<String> {
    let reference = Reference::parse(name).expect(name);
    let endpoints = hosts.endpoints(&reference, operation).expect("endpoints");
    endpoints
        .iter()
        .map(|endpoint| {
            let namespace = endpoint.namespace.as_ref().map(|ns| format!(" ns={ns}")).unwrap_or_default();
            let insecure = if endpoint.tls.skip_verify { " skip-verify" } else { "" };
            format!("{} {}{namespace}{insecure}", endpoint.base, endpoint.repository)
        })
        .collect()
}

#[test]
fn docker_hub_is_asked_under_its_own_name() {
    let hosts = hosts("", HostOptions::default());
    assert_eq!(
        shown(&hosts, "arm64v8/ubuntu:20.04", Operation::Pull),
        ["https://registry-1.docker.io/v2 arm64v8/ubuntu"]
    );
    let reference = Reference::parse("ubuntu").expect("a name");
    let endpoints = hosts.endpoints(&reference, Operation::Pull).expect("endpoints");
    assert_eq!(endpoints[0].credentials_host, "docker.io");
}

#[test]
fn this_machine_may_speak_http_and_others_may_not() {
    let plain = hosts("", HostOptions::default());
    assert_eq!(
        shown(&plain, "localhost:5000/a", Operation::Pull),
        ["http://localhost:5000/v2 a", "https://localhost:5000/v2 a"]
    );
    assert_eq!(shown(&plain, "10.0.0.1:5000/a", Operation::Pull), ["https://10.0.0.1:5000/v2 a"]);
    let typed = hosts("", HostOptions { plain_http: true, ..HostOptions::default() });
    assert_eq!(shown(&typed, "10.0.0.1:5000/a", Operation::Pull), ["http://10.0.0.1:5000/v2 a"]);
}

#[test]
fn mirrors_of_registries_conf_come_before_the_registry() {
    let text = r#"
        [[registry]]
        prefix = "docker.io"
        location = "registry-1.docker.io"
        [[registry.mirror]]
        location = "mirror.example:5000/hub"
        insecure = true
        [[registry.mirror]]
        location = "digests.example"
        pull-from-mirror = "digest-only"
        [[registry]]
        prefix = "docker.io/team"
        location = "team.example/x"
    "#;
    let hosts = hosts(text, HostOptions::default());
    assert_eq!(
        shown(&hosts, "ubuntu:1", Operation::Pull),
        [
            "https://mirror.example:5000/v2 hub/library/ubuntu skip-verify",
            "http://mirror.example:5000/v2 hub/library/ubuntu skip-verify",
            "https://registry-1.docker.io/v2 library/ubuntu"
        ]
    );
    assert_eq!(
        shown(&hosts, "ubuntu:1", Operation::Push),
        ["https://registry-1.docker.io/v2 library/ubuntu"]
    );
    assert_eq!(shown(&hosts, "team/app", Operation::Pull), ["https://team.example/v2 x/app"]);
    let digest = "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(shown(&hosts, &format!("ubuntu{digest}"), Operation::Pull).len(), 4);
}

#[test]
fn prefixes_end_with_a_part_of_the_name_and_wildcards_with_a_domain() {
    let text = r#"
        [[registry]]
        location = "quay.io/a"
        blocked = true
        [[registry]]
        prefix = "*.corp.example"
        location = "all.example"
    "#;
    let hosts = hosts(text, HostOptions::default());
    let blocked = Reference::parse("quay.io/a/b").expect("a name");
    assert!(
        matches!(hosts.endpoints(&blocked, Operation::Pull), Err(HostsError::Blocked(key)) if key == "quay.io/a")
    );
    assert_eq!(shown(&hosts, "quay.io/ab", Operation::Pull), ["https://quay.io/v2 ab"]);
    assert_eq!(shown(&hosts, "x.corp.example/p/q", Operation::Pull), ["https://all.example/v2 p/q"]);
    assert_eq!(shown(&hosts, "corp.example/p", Operation::Pull), ["https://corp.example/v2 p"]);
}

#[test]
fn short_names_follow_aliases_and_never_a_lottery() {
    let expand = |text: &str, name: &str| hosts(text, HostOptions::default()).expand(name);
    let alias = "[aliases]\n\"fedora\" = \"registry.example/fedora\"";
    assert_eq!(expand(alias, "fedora:40").expect("a name").to_string(), "registry.example/fedora:40");
    assert_eq!(expand(alias, "ubuntu").expect("a name").to_string(), "docker.io/library/ubuntu");
    assert_eq!(expand(alias, "localhost/fedora").expect("a name").to_string(), "localhost/fedora");
    let one = "unqualified-search-registries = [\"q.example\"]";
    assert_eq!(expand(one, "a/b").expect("a name").to_string(), "q.example/a/b");
    let hub = "unqualified-search-registries = [\"q.example\", \"docker.io\"]";
    assert_eq!(expand(hub, "a").expect("a name").to_string(), "docker.io/library/a");
    let two = "unqualified-search-registries = [\"q.example\", \"r.example\"]";
    assert!(matches!(expand(two, "a"), Err(HostsError::Ambiguous { .. })));
}

#[test]
fn the_old_registries_conf_is_refused_by_name() {
    let mut conf = RegistriesConf::default();
    let error =
        conf.add(Path::new("/x"), "[registries.search]\nregistries = [\"a\"]").expect_err("version 1");
    assert!(error.to_string().contains("version 1"), "{error}");
    assert!(conf.add(Path::new("/x"), "[[registry]]\ninsecure = true").is_err());
}

fn with_hosts_toml(host: &str, text: &str) -> (tempfile::TempDir, Hosts) {
    let place = tempfile::tempdir().expect("a directory");
    let directory = place.path().join(host);
    std::fs::create_dir_all(&directory).expect("made");
    std::fs::write(directory.join("hosts.toml"), text).expect("written");
    let options = HostOptions { certs_directories: vec![place.path().to_owned()], ..HostOptions::default() };
    (place, hosts("", options))
}

#[test]
fn hosts_toml_gives_the_order_and_the_namespace() {
    let (_place, hosts) = with_hosts_toml(
        "docker.io",
        r#"
            server = "https://registry-1.docker.io"
            [host."https://z.example"]
            capabilities = ["pull", "resolve"]
            [host."http://a.example:5000/proxy"]
            capabilities = ["pull", "resolve"]
            skip_verify = true
            [host."https://o.example/v2/hub"]
            capabilities = ["pull", "resolve"]
            override_path = true
            [host."https://resolve.example"]
            capabilities = ["resolve"]
        "#,
    );
    assert_eq!(
        shown(&hosts, "ubuntu", Operation::Pull),
        [
            "https://z.example/v2 library/ubuntu ns=docker.io",
            "http://a.example:5000/proxy/v2 library/ubuntu ns=docker.io skip-verify",
            "https://o.example/v2/hub library/ubuntu ns=docker.io",
            "https://registry-1.docker.io/v2 library/ubuntu",
        ]
    );
    assert_eq!(shown(&hosts, "ubuntu", Operation::Push), ["https://registry-1.docker.io/v2 library/ubuntu"]);
}

#[test]
fn a_mirror_gets_credentials_of_its_own_alone() {
    let (_place, hosts) = with_hosts_toml("docker.io", "[host.\"https://m.example:1\"]");
    let reference = Reference::parse("ubuntu").expect("a name");
    let endpoints = hosts.endpoints(&reference, Operation::Pull).expect("endpoints");
    let keys: Vec<_> = endpoints.iter().map(|endpoint| endpoint.credentials_host.as_str()).collect();
    assert_eq!(keys, ["m.example:1", "docker.io"]);
}

#[test]
fn hosts_toml_takes_certificates_and_headers() {
    let text = "[host.\"https://m.example\"]\nca = [\"a.pem\", \"/b.pem\"]\nclient = [[\"c.cert\", \"c.key\"]]\n\
        [host.\"https://m.example\".header]\nx-one = \"1\"\nx-two = [\"2\", \"3\"]\n";
    let (place, hosts) = with_hosts_toml("q.io:5000", text);
    let reference = Reference::parse("q.io:5000/a").expect("a name");
    let endpoint = hosts.endpoints(&reference, Operation::Pull).expect("endpoints").remove(0);
    let file = |name: &str| place.path().join("q.io:5000").join(name);
    assert_eq!(endpoint.tls.authorities, [file("a.pem"), PathBuf::from("/b.pem")]);
    assert_eq!(endpoint.tls.client, Some((file("c.cert"), file("c.key"))));
    assert_eq!(endpoint.headers.len(), 3);
}

#[test]
fn docker_s_certificates_are_found_by_their_names() {
    let place = tempfile::tempdir().expect("a directory");
    let directory = place.path().join("q.io_5000_");
    std::fs::create_dir_all(&directory).expect("made");
    for name in ["ca.crt", "me.cert", "me.key"] {
        std::fs::write(directory.join(name), "").expect("written");
    }
    let options = HostOptions { certs_directories: vec![place.path().to_owned()], ..HostOptions::default() };
    let hosts = hosts("", options);
    let reference = Reference::parse("q.io:5000/a").expect("a name");
    let tls = hosts.endpoints(&reference, Operation::Pull).expect("endpoints").remove(0).tls;
    assert_eq!(tls.authorities, [directory.join("ca.crt")]);
    assert_eq!(tls.client, Some((directory.join("me.cert"), directory.join("me.key"))));
    std::fs::remove_file(directory.join("me.key")).expect("removed");
    assert!(hosts.endpoints(&reference, Operation::Pull).is_err());
}

#[test]
fn broken_hosts_toml_is_an_error() {
    for text in [
        "server = ",
        "[host.\"ftp://x\"]",
        "[host.\"https://x\"]\nclient = 7",
        "server = \"https://h\"\ncapabilities = []",
    ] {
        let (_place, hosts) = with_hosts_toml("q.io", text);
        let reference = Reference::parse("q.io/a").expect("a name");
        assert!(hosts.endpoints(&reference, Operation::Pull).is_err(), "{text}");
    }
}

//! Who is let in: passwords, tokens, certificates, and the files and helpers that keep them.

use mydocker_tests::Terminal;
use mydocker_tests::img::{
    Authority, FakeRegistry, Img, Registry, RegistryOptions, Reply, SampleImage, Served, TlsProxy,
    TokenServer,
};
use mydocker_tests::invocation::Invocation;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;

fn sample() -> (SampleImage, FakeRegistry) {
    let image = SampleImage::new(&[b"secret"]);
    let registry = FakeRegistry::good(Served::image("1", &image));
    (image, registry)
}

/// An image in the store under the name `local/app:1` of another registry.
fn with_image(img: &Img) -> String {
    let (_, source) = sample();
    let name = source.name("app:1");
    img.pull(&name).run().succeeds().discard();
    name
}

fn log_in(img: &Img, host: &str, user: &str, password: &str) -> Invocation {
    img.command(["login", "-u", user, "--password-stdin", host]).stdin(password)
}

#[test]
fn a_registry_with_passwords_lets_in_who_logs_in() {
    let img = Img::new();
    let options =
        RegistryOptions { password: Some(("me".into(), "right: one".into())), ..Default::default() };
    let registry = Registry::with(&options);
    let (source, target) = (with_image(&img), registry.name("team/app:1"));
    img.command(["push", &source, &target]).run().fails().says("'login ").discard();
    log_in(&img, &registry.host(), "me", "wrong").run().fails().says("does not accept").discard();
    img.command(["push", &source, &target]).run().fails().says("logged in").discard();
    let outcome = log_in(&img, &registry.host(), "me", "right: one\n").run().succeeds();
    assert!(outcome.stdout.starts_with("Login Succeeded"), "{}", outcome.describe());
    let kept = img.path("home/.docker/config.json");
    assert_eq!(std::fs::metadata(&kept).expect("kept").permissions().mode() & 0o777, 0o600);
    img.command(["push", &source, &target]).run().succeeds().discard();
    img.pull(&target).run().succeeds().discard();
    img.command(["logout", &registry.host()]).run().succeeds().discard();
    img.pull(&target).run().fails().says("logged in").discard();
}

#[test]
fn tokens_are_fetched_for_what_is_asked() {
    let img = Img::new();
    let authority = Authority::new();
    let certificate = authority.certificate();
    let kept = std::fs::read(&certificate).expect("a certificate");
    let bundle = img.path("token.crt");
    std::fs::write(&bundle, kept).expect("writable");
    let tokens = TokenServer::start(authority, "me", "pw");
    let registry =
        Registry::with(&RegistryOptions { token: Some((tokens.realm(), bundle)), ..Default::default() });
    let (source, target) = (with_image(&img), registry.name("team/app:1"));
    img.command(["push", &source, &target]).run().fails().discard();
    log_in(&img, &registry.host(), "me", "wrong").run().fails().says("does not accept").discard();
    log_in(&img, &registry.host(), "me", "pw").run().succeeds().discard();
    img.command(["push", &source, &target]).run().succeeds().discard();
    let scope = "scope=repository%3Ateam%2Fapp%3Apull%2Cpush";
    assert!(tokens.server.requests().iter().any(|request| request.target.contains(scope)));
    // A second name in the same registry takes the blobs from the first.
    img.command(["tag", &source, &target]).run().succeeds().discard();
    let outcome = img.command(["push", &target, &registry.name("team/copy:2")]).run().succeeds();
    assert!(outcome.stdout.contains("Mounted"), "{}", outcome.describe());
    img.command(["logout", &registry.host()]).run().succeeds().discard();
    let stranger = Img::new();
    stranger.pull(&target).run().succeeds().discard();
    assert!(tokens.server.requests().iter().any(|request| request.header("authorization").is_none()));
}

#[test]
fn own_authorities_and_client_certificates_are_used() {
    let img = Img::new();
    let (authority, stranger) = (Authority::new(), Authority::new());
    let registry = Registry::with(&RegistryOptions {
        tls: Some(authority.issue("server")),
        client_authority: Some(authority.certificate()),
        ..Default::default()
    });
    let (source, target) = (with_image(&img), registry.name("a:1"));
    let (certificate, key) = authority.issue("client");
    let push = |ca: &Authority| img.command(["push", &source, &target, "--tlscacert"]).arg(ca.certificate());
    push(&stranger).run().fails().says("certificate").discard();
    push(&authority).run().fails().discard();
    let shown = |command: Invocation| command.arg("--tlscert").arg(&certificate).arg("--tlskey").arg(&key);
    shown(push(&authority)).run().succeeds().discard();

    let directory = img.path("certs.d").join(registry.host());
    std::fs::create_dir_all(&directory).expect("writable");
    for (from, to) in [(&authority.certificate(), "ca.crt"), (&certificate, "me.cert"), (&key, "me.key")] {
        std::fs::copy(from, directory.join(to)).expect("writable");
    }
    img.pull(&target).run().succeeds().discard();
    // A key of somebody else is found before anybody is asked.
    std::fs::copy(stranger.issue("other").1, directory.join("me.key")).expect("writable");
    img.pull(&target).run().fails().says("cannot be used together").discard();
}

#[test]
fn a_proxy_may_speak_tls_itself() {
    let (img, authority) = (Img::new(), Authority::new());
    let options = RegistryOptions { tls: Some(authority.issue("server")), ..Default::default() };
    let registry = Registry::with(&options);
    let proxy = TlsProxy::start(&authority.issue("proxy"), registry.host());
    let source = with_image(&img);
    let through = |command: Invocation| {
        let command = command.arg("--tlscacert").arg(authority.certificate());
        command.env("HTTPS_PROXY", proxy.url()).env("NO_PROXY", "")
    };
    through(img.command(["push", &source, "registry.invalid/team/app:1"])).run().succeeds().discard();
    let other = Img::new();
    through(other.pull("registry.invalid/team/app:1")).run().succeeds().discard();
    let asked = proxy.asked();
    assert!(asked.iter().all(|line| line == "CONNECT registry.invalid:443 HTTP/1.1"), "{asked:?}");
    assert!(!asked.is_empty());
    // The proxy has to be trusted as well, also where what is behind it speaks no TLS.
    let stranger = TlsProxy::start(&Authority::new().issue("proxy"), registry.host());
    let pull = other.pull("registry.invalid/team/app:1").arg("--tlscacert").arg(authority.certificate());
    pull.env("https_proxy", stranger.url()).run().fails().says("certificate").discard();
    let plain = other.pull("registry.invalid/team/app:1").arg("--plain-http");
    plain.env("http_proxy", stranger.url()).run().fails().says("certificate").discard();
    assert!(stranger.asked().is_empty());
}

#[test]
fn the_longest_key_of_podman_s_file_counts() {
    let image = SampleImage::new(&[b"x"]);
    let registry = FakeRegistry::start(Served::image("1", &image), |request, good| {
        match request.header("authorization") {
            // team:t
            Some("Basic dGVhbTp0") => good,
            _ => Reply::new(401, "").header("www-authenticate", "Basic realm=\"x\""),
        }
    });
    let (img, host) = (Img::new(), registry.server.host());
    let auths =
        format!(r#"{{"auths":{{"{host}":{{"auth":"dXNlcjpwYXNz"}},"{host}/team":{{"auth":"dGVhbTp0"}}}}}}"#);
    img.write("home/run/containers/auth.json", &auths);
    img.pull(&registry.name("team/app:1")).run().succeeds().discard();
    img.pull(&registry.name("other/app:1")).run().fails().says("does not accept").discard();
}

#[test]
fn a_helper_keeps_the_credentials() {
    let image = SampleImage::new(&[b"x"]);
    let registry = FakeRegistry::start(Served::image("1", &image), |request, good| {
        match request.header("authorization") {
            Some("Basic aGVscGVkOnk=") => good,
            _ => Reply::new(401, "").header("www-authenticate", "Basic realm=\"x\""),
        }
    });
    let (img, host) = (Img::new(), registry.server.host());
    let helper = img.write(
        "bin/docker-credential-mine",
        "#!/bin/sh\nread -r key\necho \"$1 $key\" >>\"${0%/*}/asked\"\n\
         echo '{\"ServerURL\":\"x\",\"Username\":\"helped\",\"Secret\":\"y\"}'\n",
    );
    std::fs::set_permissions(&helper, std::fs::Permissions::from_mode(0o755)).expect("writable");
    img.write("home/.docker/config.json", &format!(r#"{{"credHelpers":{{"{host}":"mine"}}}}"#));
    let path = format!("{}:/usr/bin:/bin", img.path("bin").display());
    img.pull(&registry.name("a:1")).env("PATH", &path).run().succeeds().discard();
    assert_eq!(std::fs::read_to_string(img.path("bin/asked")).expect("asked"), format!("get {host}\n"));
    img.pull(&registry.name("b:1")).run().fails().says("docker-credential-mine").discard();
}

#[test]
fn an_identity_token_is_exchanged_and_a_refused_login_stays_refused() {
    let image = SampleImage::new(&[b"x"]);
    let registry = FakeRegistry::start(Served::image("1", &image), |request, good| {
        if request.target == "/token" {
            let body = String::from_utf8_lossy(&request.body).into_owned();
            let known = body.contains("grant_type=refresh_token") && body.contains("refresh_token=IDENTITY");
            return if known { Reply::new(200, r#"{"access_token":"T"}"#) } else { Reply::new(401, "{}") };
        }
        if request.header("authorization") == Some("Bearer T") {
            return good;
        }
        let host = request.header("host").unwrap_or_default().to_owned();
        Reply::new(401, "")
            .header("www-authenticate", format!("Bearer realm=\"http://{host}/token\",service=s"))
    });
    let (img, host) = (Img::new(), registry.server.host());
    let config = |token: &str| format!(r#"{{"auths":{{"{host}":{{"identitytoken":"{token}"}}}}}}"#);
    img.write("home/.docker/config.json", &config("IDENTITY"));
    img.pull(&registry.name("a:1")).run().succeeds().discard();
    img.write("home/.docker/config.json", &config("OLD"));
    img.pull(&registry.name("b:1")).run().fails().says("does not accept the credentials").discard();
    let anonymous =
        registry.server.requests().into_iter().filter(|request| request.target.starts_with("/token?"));
    assert_eq!(anonymous.count(), 0);
}

#[test]
fn what_a_flag_names_has_to_be_there() {
    let registry = FakeRegistry::good(Served::image("1", &SampleImage::new(&[b"x"])));
    let (img, name) = (Img::new(), registry.name("a:1"));
    for flag in ["--registries-conf", "--hosts-dir", "--authfile"] {
        let missing = img.path("missing");
        let outcome = img.command(["pull", &name, flag]).arg(&missing).run().fails();
        outcome.says(&format!("which {flag} names")).says("No such file").discard();
    }
    assert!(registry.server.requests().is_empty());
    // Where credentials are to be kept, there may be none yet.
    let (new, host) = (img.path("new.json"), registry.server.host());
    let login = ["login", "--username", "u", "--password", "p", &host, "--authfile"];
    img.command(login).arg(&new).run().succeeds().discard();
    assert!(new.is_file());
}

#[test]
fn a_password_is_not_shown_while_it_is_typed_and_an_interrupt_leaves_the_terminal_as_it_was() {
    let img = Img::new();
    let registry = FakeRegistry::start(Served::default(), |request, _| {
        // me:pw
        match request.header("authorization") {
            Some("Basic bWU6cHc=") => Reply::new(200, "{}"),
            _ => Reply::new(401, "").header("www-authenticate", "Basic realm=\"x\""),
        }
    });
    let host = registry.server.host();
    for is_interrupted in [false, true] {
        let mut terminal = Terminal::open();
        let before = terminal.modes();
        let running = img.command(["login", &host]).on_terminal(&terminal).spawn();
        terminal.read_until("Username: ");
        terminal.type_text("me\n");
        terminal.read_until("Password: ");
        // A script answers at once.
        terminal.type_text(if is_interrupted { "p\x03" } else { "pw\n" });
        let shown = terminal.read_until(if is_interrupted { "\n" } else { "Login Succeeded" });
        assert!(!shown.contains("pw"), "{shown:?}");
        let outcome = running.wait();
        assert_eq!(outcome.status.signal(), is_interrupted.then_some(2), "{}", outcome.describe());
        assert_eq!(terminal.modes().local_modes, before.local_modes);
    }
}

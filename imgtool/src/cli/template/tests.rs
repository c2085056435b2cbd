use super::*;
use serde_json::json;

const TITLES: &[(&str, &str)] = &[("ID", "IMAGE ID"), ("Tag", "TAG")];

fn render(format: &str) -> Result<String, TemplateError> {
    let row = vec![("ID", "0123456789ab".to_owned()), ("Tag", "a \"b\"".to_owned())];
    Template::parse(format, &["ID", "Tag"]).and_then(|template| template.render(TITLES, &[row]))
}

fn document() -> Value {
    json!({
        "Id": "sha256:0123",
        "RepoTags": ["a:1", "b:2"],
        "Size": 1234,
        "Nothing": null,
        "Empty": [],
        "Config": {
            "Env": ["PATH=/bin", "X=1"],
            "Cmd": null,
            "Labels": { "b.c": "d", "plain": "yes" },
            "Tty": false,
        },
        "History": [{ "By": "one", "Size": 0 }, { "By": "two", "Size": 7 }],
    })
}

fn value(format: &str) -> Result<String, TemplateError> {
    Template::of_value(format).and_then(|template| template.render_value(&document()))
}

#[track_caller]
fn gives(format: &str, text: &str) {
    assert_eq!(value(format).as_deref(), Ok(text), "{format}");
}

#[track_caller]
fn fails(format: &str, part: &str) {
    let error = value(format).expect_err(format).to_string();
    assert!(error.contains(part), "{format}: {error}");
}

#[test]
fn a_template_puts_fields_into_text() {
    assert_eq!(render("{{.ID}}:{{ .Tag }}!").as_deref(), Ok("0123456789ab:a \"b\"!\n"));
    assert_eq!(render("{{json .Tag}}\\t").as_deref(), Ok("\"a \\\"b\\\"\"\t\n"));
    assert_eq!(render("json").as_deref(), Ok("{\"ID\":\"0123456789ab\",\"Tag\":\"a \\\"b\\\"\"}\n"));
    assert_eq!(render("json"), render("{{json .}}"));
    assert_eq!(render("{{if eq .Tag \"x\"}}1{{else}}{{upper .ID}}{{end}}").as_deref(), Ok("0123456789AB\n"));
}

#[test]
fn a_table_has_titles_and_columns() {
    let table = "IMAGE ID       TAG\n0123456789ab   a \"b\"\n";
    assert_eq!(render("table {{.ID}}\\t{{.Tag}}").as_deref(), Ok(table));
    let table = "IMAGE ID   TAG\n0123       \"a \\\"b\\\"\"\n";
    assert_eq!(render("table {{truncate .ID 4}}\\t{{json .Tag}}").as_deref(), Ok(table));
}

#[test]
fn what_is_not_supported_is_named() {
    let error = render("{{nothing .}}").expect_err("a function").to_string();
    assert!(error.contains("{{nothing .}}") && error.contains("json, join"), "{error}");
    let error = render("{{with .ID}}{{$.No}}{{end}}").expect_err("a field").to_string();
    assert!(error.contains("{{$.No}}") && error.contains(".ID, .Tag"), "{error}");
    assert!(render("{{.Nothing}}").is_err() && render("{{.ID").is_err());
    fails("{{template \"x\"}}", "templates in templates");
    fails("{{range .RepoTags}}", "no '{{end}}'");
    fails("{{end}}", "ends nothing");
    fails("{{if .Id}}{{else}}{{else}}{{end}}", "already");
    fails("{{break}}", "not in a 'range'");
    fails("{{.Id .Size}}", "arguments");
    fails("{{.Id | .Size}}", "function");
    fails("{{(.Id}}", "not closed");
    fails("{{.Id)}}", "no '('");
    fails("{{\"x}}", "without");
    fails("{{\"\\z\"}}", "not known");
    fails("{{1x}}", "no number");
    fails("{{}}", "missing");
    fails("{{.Id ; 1}}", "';'");
    fails("{{.A..B}}", "arguments");
    fails(&"{{if .Id}}".repeat(5000), "too deep");
    fails(&format!("{{{{if .Id}}}}{}{{{{end}}}}", "{{else if .Id}}".repeat(5000)), "too deep");
    fails(&format!("{{{{{}1}}}}", "(".repeat(5000)), "parentheses");
}

#[test]
fn fields_are_followed_and_mistakes_are_told_with_what_there_is() {
    gives("{{.Id}} {{.Config.Env}} {{.Size}}", "sha256:0123 [PATH=/bin X=1] 1234");
    gives("{{.Config.Labels}}", "map[b.c:d plain:yes]");
    gives("{{.Config.Labels.plain}} {{.Config.Labels.other}}", "yes <no value>");
    gives("{{index .Config.Labels \"b.c\"}}{{index .Config.Labels \"none\"}}", "d");
    gives("{{(index .History 1).By}} {{$.Config.Tty}} {{.Nothing}}", "two false <no value>");
    fails("{{.Config.Environment}}", "there is no .Environment; there are .Cmd, .Env");
    fails("{{.Id.Part}}", "text has no .Part");
    fails("{{index .RepoTags 2}}", "2 items, and none at 2");
    fails("{{index .Nothing 0}}", "no items");
}

#[test]
fn branches_and_loops_are_go_s() {
    gives("{{range .RepoTags}}{{.}},{{end}}", "a:1,b:2,");
    gives("{{range $i, $tag := .RepoTags}}{{if $i}} {{end}}{{$i}}={{$tag}}{{end}}", "0=a:1 1=b:2");
    gives("{{range $name, $_ := .Config.Labels}}{{$name}};{{end}}", "b.c;plain;");
    gives("{{range .Empty}}x{{else}}none{{end}}{{range .Nothing}}x{{end}}", "none");
    gives("{{range .History}}{{if eq .By \"one\"}}{{continue}}{{end}}{{.By}}{{break}}{{end}}", "two");
    gives("{{with .Config}}{{len .Env}}{{$.Size}}{{else}}x{{end}}", "21234");
    gives("{{with .Nothing}}x{{else with .Id}}{{.}}{{end}}", "sha256:0123");
    gives("{{if .Config.Tty}}a{{else if .Size}}b{{else}}c{{end}}", "b");
    gives("{{$x := .Id}}{{range .RepoTags}}{{$x = .}}{{end}}{{$x}}", "b:2");
    gives("a {{- /* note }} */ -}} b{{- .Size -}}\n c", "ab1234c");
    fails("{{range .Id}}{{end}}", "cannot go through text");
    fails("{{$nothing}}", "$nothing");
    fails("{{if .Id}}{{$x := 1}}{{end}}{{$x}}", "$x");
}

#[test]
fn functions_are_docker_s_and_go_s() {
    gives(
        "{{join .RepoTags \", \"}} {{json .RepoTags}} {{join .Nothing \"x\"}}",
        "a:1, b:2 [\"a:1\",\"b:2\"] ",
    );
    gives("{{.Id | upper}} {{lower \"AB\"}} {{title \"one two\"}}", "SHA256:0123 ab One Two");
    gives("{{index (split (index .RepoTags 1) \":\") 0}} {{(split `a.b` `.`)}}", "b [a b]");
    gives("{{println .Id .Size}}{{print .Size 1 \"x\" 2}}", "sha256:0123 1234\n1234 1x2");
    gives(
        "{{printf \"%-6s|%6d|%q|%.3s|%%|%v|%t|%x|%05d\" \"ab\" 12 \"q\" .Id .RepoTags true 255 -7}}",
        "ab    |    12|\"q\"|sha|%|[a:1 b:2]|true|ff|-0007",
    );
    gives("{{slice .Id 7 9}} {{len .Id}} {{slice .RepoTags 1}} {{pad \"x\" 1 2}}|", "01 11 [b:2]  x  |");
    gives(
        "{{eq .Size 1 1234}} {{ne .Id \"x\"}} {{lt 1 2}} {{ge 2.5 2}} {{eq .Nothing nil}}",
        "true true true true true",
    );
    gives(
        "{{not .Id}} {{and .Size .Id}} {{or .Nothing .Id}} {{and .Nothing .Nothing.X}}",
        "false sha256:0123 sha256:0123 <no value>",
    );
    gives("{{if and (eq .Size 1234) (not .Empty)}}both{{end}}", "both");
    fails("{{eq .Id 1}}", "text and a number cannot be compared");
    fails("{{upper .Size}}", "'upper' cannot be used on a number");
    fails("{{printf \"%d\" .Id}}", "cannot print text");
    fails("{{printf \"%d\"}}", "no argument");
    fails("{{printf \"x\" 1}}", "no verb");
    fails("{{printf \"%9999d\" 1}}", "1000 columns");
    fails("{{slice .Id 5 99}}", "do not fit");
    fails("{{len .Size}}", "no length");
}

#[test]
fn a_row_has_labels_beside_its_fields() {
    let labels = Labels::from([("com.example.my-team".to_owned(), "red".to_owned())]);
    let row = vec![("ID", "0123".to_owned()), ("Tag", String::new())];
    let rows = [(row, &labels)];
    let text = |format: &str| {
        Template::parse(format, &["ID", "Tag"]).and_then(|template| template.render_labelled(TITLES, &rows))
    };
    let format = "{{.ID}} {{.Label \"com.example.my-team\"}}{{.Label \"other\"}}";
    assert_eq!(text(format).as_deref(), Ok("0123 red\n"));
    let table = text("table {{.ID}}\\t{{.Label \"com.example.my-team\" | upper}}");
    assert_eq!(table.as_deref(), Ok("IMAGE ID   my team\n0123       RED\n"));
    assert!(render("{{.Label \"x\"}}").is_err());
}
